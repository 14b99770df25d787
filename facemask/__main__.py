"""Lets `python -m facemask` do what the command `facemask` does."""

from facemask.cli import main

main()
