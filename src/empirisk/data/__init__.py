"""A table of samples: forms, readers, splits, audit, batches, augmentation, targets."""
