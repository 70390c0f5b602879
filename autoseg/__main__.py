"""`python -m autoseg` is the same as `autoseg`."""

from autoseg.cli import main

if __name__ == "__main__":  # worker processes import this file again
    main()
