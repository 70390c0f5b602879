"""Ctrl-C (SIGINT) and the order to end (SIGTERM), put off where they would come at a bad moment."""

from __future__ import annotations

import signal
import sys
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


@contextmanager
def signal_stack_kept() -> Iterator[None]:
    """What the body loads gives this thread no stack of its own for signals.

    OpenVINO's CPU plugin does so (for AMX), and frees it when another thread lets go of the network: the next Ctrl-C or SIGTERM then ends
    in a segmentation fault instead of being heard.
    """
    if sys.platform != "linux":
        yield
        return
    import ctypes  # only where it is needed: all verbs import this module

    class Stack(ctypes.Structure):  # `stack_t`
        _fields_ = (("place", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))

    system, before = ctypes.CDLL(None), Stack()
    system.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        system.sigaltstack(ctypes.byref(before), None)
