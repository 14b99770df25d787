"""Synthetic masks, drawn over photographs of bare faces."""
