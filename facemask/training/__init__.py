"""Training: sampling, augmentation, cached features, the training loop."""
