"""Exported model formats and their metadata."""
