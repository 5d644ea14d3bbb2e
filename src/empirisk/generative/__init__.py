"""Learning to generate: each family one file, a network wrapped with its losses and its way to sample."""
