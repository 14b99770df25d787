"""Face detection and face landmarks."""
