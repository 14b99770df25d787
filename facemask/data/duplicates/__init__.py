"""Near-duplicate detection: local features, candidate retrieval, geometric verification, grouping."""
