"""Ctrl-C (SIGINT) and the order to end (SIGTERM), put off where they would come at a bad moment."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

ENDING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def heard_later() -> Iterator[None]:
    """What tells this process to end during the body is heard when the body has ended: for moves that belong together, and for clearing away."""
    if threading.current_thread() is not threading.main_thread():  # signals come to the main thread only
        yield
        return
    heard: list[int] = []
    before = {number: handler for number in ENDING if (handler := signal.getsignal(number)) is not None}
    for number in before:
        signal.signal(number, lambda number, _: heard.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if heard:
            signal.raise_signal(heard[0])
