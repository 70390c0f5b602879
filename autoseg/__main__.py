"""`python -m autoseg` is the same as `autoseg`."""

from autoseg.cli import main

main()
