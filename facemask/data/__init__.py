"""Data preparation: sources, merging, duplicates, splitting, leakage, synthetic masks."""
