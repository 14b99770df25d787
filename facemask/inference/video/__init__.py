"""Reading video, tracking faces and counting people."""
