"""Ctrl-C and the order to end, heard when it suits."""

from __future__ import annotations

import signal
import threading

import pytest

from autoseg.interrupts import heard_later


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
