"""Metrics, calibration, selective classification, robustness and explanations."""
