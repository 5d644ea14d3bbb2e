"""Models that need no labels: most are closed forms, scikit-learn inside, an nn.Module with buffers outside."""
