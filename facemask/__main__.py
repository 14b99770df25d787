"""Run the command `facemask` with `python -m facemask`."""

from facemask.cli.app import main

main()
