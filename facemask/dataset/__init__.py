"""The files that pipeline stages hand to one another, and how images are read."""
