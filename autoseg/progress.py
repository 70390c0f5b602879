"""How a long piece of work tells what it is doing, without knowing who listens.

The command line draws it; from Python it is silent unless a listener is handed in.
"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A listener. All methods are called from the main process, and must return quickly."""

    def stage(self, name: str, total: int | None = None) -> None:
        """A stage begins and the one before it is over; `total` is how many steps it has, None if that is not known."""

    def advance(self, done: int, text: str = "") -> None:
        """`done` steps of the current stage (a count from its beginning, not an increment) are over; `text` says more."""

    def message(self, text: str) -> None:
        """A sentence for the reader, to be kept."""


class SilentProgress:
    """Listens to nothing."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Ignored."""

    def advance(self, done: int, text: str = "") -> None:
        """Ignored."""

    def message(self, text: str) -> None:
        """Ignored."""
