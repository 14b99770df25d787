"""Lets `python -m facemask` do what the command `facemask` does."""

from facemask.cli.app import main

main()
