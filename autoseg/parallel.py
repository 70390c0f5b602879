"""One door to local workers: `map_cases` runs a function over cases, in order, and a failure names its case.

Workers are spawned, never forked (a forked copy of a threaded library can hang), and each computes with one thread.
`overlap` runs three steps of neighbouring cases at once, in threads of this process. `Programs` runs whole programs beside one
another, and `other_load` tells what programs of others take of the processor.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

from autoseg.errors import AutosegError, CaseError, OutOfMemory
from autoseg.interrupts import heard_later

T = TypeVar("T")
R = TypeVar("R")
A = TypeVar("A")
B = TypeVar("B")

log = logging.getLogger(__name__)

SECONDS_TO_END = 10.0  # for a program that was told to
# guests' time is contained in `user`; what the host takes (`steal`) counts as others'
IDLE = ("idle", "iowait", "guest", "guest_nice")
SMALLEST_POOL_WORK = 8  # starting a worker costs about a second; fewer cases than this run faster in-process


def available_cores() -> int:
    """Processor cores this process may use (respects affinity where the system tells it)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def evenly(items: Sequence[T], number: int) -> list[T]:
    """So many of them, or all, evenly drawn from the first to the last."""
    if len(items) <= number:
        return list(items)
    return [items[round(place * (len(items) - 1) / max(1, number - 1))] for place in range(number)]


def map_cases(
    function: Callable[[T], R],
    cases: Sequence[T],
    *,
    name: Callable[[T], str],
    workers: int = 0,
    on_done: Callable[[int], None] | None = None,
) -> Iterator[R]:
    """Yield `function(case)` for every case, in the cases' order.

    Args:
        function: a module-level function (or `functools.partial` of one); it must be picklable when `workers > 0`.
        cases: what it is called with, one at a time.
        name: a case's name for errors.
        workers: processes; 0 runs in this one. At most two results per worker wait to be taken, so memory stays bounded.
        on_done: called with the number of cases done so far.

    Raises:
        CaseError: a call failed with something other than an `AutosegError`, or its worker died (memory, usually).
    """
    workers = min(workers, len(cases)) if len(cases) >= SMALLEST_POOL_WORK else 0
    if workers <= 1:
        for done, case in enumerate(cases, start=1):
            yield _named(function, case, name)
            if on_done:
                on_done(done)
        return
    yield from _map_in_pool(function, cases, name, workers, on_done)


def overlap(
    cases: Sequence[T],
    before: Callable[[T], A],
    during: Callable[[T, A], B],
    after: Callable[[T, B], None],
    failed: Callable[[T, Exception], None],
    ended_early: Callable[[], None] = lambda: None,
) -> None:
    """Run `after(case, during(case, before(case)))` for every case, in order.

    `during` runs in the calling thread (a device wants one owner), meanwhile `before` of the next case and `after` of the
    previous one in a thread each. At most three cases are in memory.

    A case whose step raises is handed to `failed` and the others go on, except for an `OutOfMemory`, which ends the work:
    the device would not suffice for the others either. When it ends early, by this or by Ctrl-C, `ended_early` is called before
    what is under way is waited for, so that nothing waits for what will not come.
    """

    def finish(case: T, result: B) -> None:
        try:
            after(case, result)
        except Exception as error:
            failed(case, error)

    with ThreadPoolExecutor(1, "before") as preparer, ThreadPoolExecutor(1, "after") as finisher:
        try:
            coming = [preparer.submit(before, case) for case in cases[:1]]
            finishing: Future[None] | None = None
            for number, case in enumerate(cases, start=1):
                ready = coming.pop()
                coming = [preparer.submit(before, following) for following in cases[number : number + 1]]
                try:
                    result = during(case, ready.result())
                except OutOfMemory:
                    raise
                except Exception as error:
                    failed(case, error)
                    continue
                finally:
                    del ready  # it holds the prepared case
                if finishing:
                    finishing.result()  # only one case at a time waits to be finished, so memory stays bounded
                finishing = finisher.submit(finish, case, result)
                del result
            if finishing:
                finishing.result()
        except BaseException:
            preparer.shutdown(wait=False, cancel_futures=True)
            ended_early()
            raise


def ahead(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield `function(item)` for every item in order; the next is computed in a thread while the one before is in use.

    What comes before an error, of the function or of the items, is given out first.
    """
    source, failure = iter(items), None
    with ThreadPoolExecutor(1, "ahead") as thread:
        coming: Future[R] | None = None
        while True:
            try:
                item = next(source)
            except StopIteration:
                break
            except Exception as error:
                failure = error
                break
            following = thread.submit(function, item)
            if coming is not None:
                yield coming.result()
            coming = following
        if coming is not None:
            yield coming.result()
    if failure is not None:
        raise failure


def _map_in_pool(
    function: Callable[[T], R], cases: Sequence[T], name: Callable[[T], str], workers: int, on_done: Callable[[int], None] | None
) -> Iterator[R]:
    context = multiprocessing.get_context("spawn")
    waiting: deque[tuple[T, Future[R]]] = deque()
    remaining = iter(cases)
    done = 0
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker)
    try:
        while True:
            while len(waiting) < 3 * workers and (case := next(remaining, None)) is not None:
                with _deaf_workers():  # any may be started here
                    waiting.append((case, pool.submit(function, case)))
            if not waiting:
                return
            case, future = waiting.popleft()
            yield _result(future, name(case))
            done += 1
            if on_done:
                on_done(done)
    finally:
        _end(pool)


@contextlib.contextmanager
def _deaf_workers() -> Iterator[None]:
    """Processes that start in the body never hear Ctrl-C, which a terminal sends to all of them; this one hears it afterwards."""
    with heard_later():
        if not hasattr(signal, "pthread_sigmask"):  # Windows
            yield
            return
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which is handed down
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(pool: ProcessPoolExecutor) -> None:
    """Wait for the cases under way, so that nothing is written any more; told a second time to end, end the workers.

    The pool is shut down in a thread, where no signal disturbs it: a thread whose `join` is interrupted counts as ended.
    """
    ended = threading.Event()

    def shut_down() -> None:
        pool.shutdown(cancel_futures=True)
        ended.set()

    threading.Thread(target=shut_down).start()
    try:
        ended.wait()
    except BaseException:
        for worker in multiprocessing.active_children():
            worker.terminate()
        with heard_later():
            ended.wait()
        raise


def _result(future: Future[R], case: str) -> R:
    try:
        return future.result()
    except AutosegError:
        raise
    except BrokenProcessPool as error:
        raise CaseError(
            case, "a worker process died here or close by, usually for lack of memory; use fewer --workers"
        ) from error
    except Exception as error:
        raise CaseError(case, f"{type(error).__name__}: {error}") from error


def _named(function: Callable[[T], R], case: T, name: Callable[[T], str]) -> R:
    try:
        return function(case)
    except AutosegError:
        raise
    except Exception as error:
        raise CaseError(name(case), f"{type(error).__name__}: {error}") from error


def _begin_worker() -> None:
    """Compute with one thread, leave Ctrl-C to the main process, and end when that has ended, even if it was killed."""
    import numpy  # noqa: F401  only libraries that are loaded can be limited
    import SimpleITK
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:

        def follow() -> None:
            multiprocessing.connection.wait([parent.sentinel])
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()


class Programs:
    """Programs that run beside one another, each started from a thread of its own; none outlives the `with` block.

    Where the block is left early, by an error or because this process is told to end (SIGTERM, which scheduling systems send), nothing
    more is started, and those that still run are told to end, too, and waited for.
    """

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self.ending = False  # the block is being left
        self._is_main = False

    def __enter__(self) -> Programs:
        self._is_main = threading.current_thread() is threading.main_thread()
        if self._is_main:  # only there may a signal be handled
            self._before = signal.signal(signal.SIGTERM, _raise_end)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._is_main:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not come between
        try:
            with self._lock:
                self.ending, left = True, tuple(self._running)
            if kind is KeyboardInterrupt:  # the terminal told them, too
                _wait_for(left, SECONDS_TO_END)
            for program in left:
                program.terminate()
            _wait_for(left, SECONDS_TO_END)
            for program in left:
                program.kill()
        finally:
            if self._is_main:
                signal.signal(signal.SIGTERM, self._before)

    def run(self, command: Sequence[str], log: Path) -> int | None:
        """Run a program to its end and return its exit code; None if the block was left before it began.

        All that it prints is appended to a file, whose folder is made.
        """
        with self._lock:
            if self.ending:
                return None
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as file:
                program = subprocess.Popen(command, stdout=file, stderr=file)
            self._running.add(program)
        code = program.wait()
        with self._lock:
            self._running.discard(program)
        return code


def _wait_for(programs: Sequence[subprocess.Popen[bytes]], seconds: float) -> None:
    end = time.monotonic() + seconds
    for program in programs:
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.wait(max(0.0, end - time.monotonic()))


def _raise_end(number: int, _: object) -> None:
    raise SystemExit(128 + number)


@dataclass
class OtherLoad:
    """Processor cores that others kept busy, on average, of the `available` ones that this process may use."""

    cores: float = 0.0
    available: int = 1

    @property
    def share(self) -> float:
        """Of the available cores."""
        return self.cores / self.available


@contextlib.contextmanager
def other_load() -> Iterator[OtherLoad]:
    """Watch what other programs take of the processor while the body runs; the result stands when it has ended.

    Children of this process count as others. In a container all programs of the host do; and none where the system does not tell the
    load of the very cores that this process may use.
    """
    process = psutil.Process()
    mine = process.cpu_affinity() if hasattr(process, "cpu_affinity") else list(range(psutil.cpu_count() or 1))
    load = OtherLoad(available=len(mine))
    begin, busy, own = time.monotonic(), _busy_seconds(mine), _own_seconds(process)
    try:
        yield load
    finally:
        seconds, busy_now = max(time.monotonic() - begin, 1e-6), _busy_seconds(mine)
        if busy is not None and busy_now is not None:
            taken = (busy_now - busy) - (_own_seconds(process) - own)
            load.cores = min(max(taken / seconds, 0.0), float(load.available))


def _busy_seconds(cores: Sequence[int]) -> float | None:
    times = psutil.cpu_times(percpu=True)
    if max(cores, default=0) >= len(times):  # some are switched off, so the list cannot be told by number
        return None
    return sum(seconds for core in cores for kind, seconds in times[core]._asdict().items() if kind not in IDLE)


def _own_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
