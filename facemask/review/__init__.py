"""Comparing revisions: metrics, data, the quality gate and scheduled retraining."""
