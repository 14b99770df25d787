"""Cache folder for downloads, outside the repository so that new clones do not download again."""

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """Return the folder for downloads: `$FACEMASK_CACHE`, else the user's cache folder of this system."""
    chosen = os.environ.get("FACEMASK_CACHE")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("facemask-pipeline")
