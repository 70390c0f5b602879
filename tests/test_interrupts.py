"""Ctrl-C and the order to end, heard when it suits."""

from __future__ import annotations

import ctypes
import signal
import sys
import threading

import pytest

from autoseg.interrupts import heard_later, signal_stack_kept


def test_ctrl_c_is_heard_when_the_body_has_ended() -> None:
    steps: list[str] = []
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        with heard_later():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            steps.append("in the body")
        steps.append("after it")
    assert steps == ["in the body"] and signal.getsignal(signal.SIGINT) is before


def test_a_body_that_fails_and_one_that_is_not_disturbed() -> None:
    with pytest.raises(ZeroDivisionError), heard_later():
        raise ZeroDivisionError
    with pytest.raises(KeyboardInterrupt), heard_later():
        signal.raise_signal(signal.SIGINT)
        raise ZeroDivisionError


def test_the_order_to_end_is_heard_later_and_what_is_ignored_stays_so() -> None:
    told: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with heard_later():
            signal.raise_signal(signal.SIGINT)
            assert told == []
        with heard_later():
            signal.raise_signal(signal.SIGTERM)
            assert told == []
        assert told == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, ignored)


def test_in_another_thread_nothing_is_changed() -> None:
    handlers = []

    def work() -> None:
        with heard_later():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGINT)]


@pytest.mark.skipif(sys.platform != "linux", reason="the numbers are those of Linux")
def test_a_stack_that_a_library_leaves_behind_is_taken_away() -> None:
    """`sigaltstack(2)`: 2 in the flags says that there is none."""

    class Stack(ctypes.Structure):
        _fields_ = (("place", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))

    system, room = ctypes.CDLL(None), ctypes.create_string_buffer(65536)

    def now() -> Stack:
        found = Stack()
        system.sigaltstack(None, ctypes.byref(found))
        return found

    before = now()
    with signal_stack_kept():
        assert system.sigaltstack(ctypes.byref(Stack(ctypes.addressof(room), 0, len(room))), None) == 0
        assert now().place == ctypes.addressof(room)
    assert (now().place, now().flags) == (before.place, before.flags)
