"""Where the words of a verb go: results to standard output, progress and errors to standard error.

An error becomes a sentence and an exit code: 0 done; 1 some cases failed, each named; 2 input that cannot be used; 70 a fault
in autoseg itself; 75 out of memory; 130 interrupted; 143 told to end.
"""

from __future__ import annotations

import logging
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from autoseg.errors import EXIT_OUT_OF_MEMORY, EXIT_UNUSABLE, AutosegError, DataError
from autoseg.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

EXIT_FAULT_IN_AUTOSEG = 70  # EX_SOFTWARE of sysexits.h, whose 75 (try again) is used for memory
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells count
EXIT_TERMINATED = 143  # 128 + SIGTERM, which scheduling systems send
CONTINUED = ("preprocess", "train", "predict", "fetch")  # verbs that go on where they were interrupted
MOST_FAULTS = 100  # told one by one
CASES_NAMED = 10  # of those that have one message, where there are more faults
LINE_WIDTH = 160  # of tables that go to a file or a pipe


def show(console: Console, parts: list[RenderableType]) -> None:
    """Print results; a plain sentence is left to the terminal to break."""
    for part in parts:
        console.print(part, markup=False, highlight=False, soft_wrap=isinstance(part, str))


def typed(path: Path) -> str:
    """A path as one types it in a command: in quotes where it has a blank or a sign that shells take for their own."""
    return f'"{path}"' if re.search(r"[^\w%+=:,./\\~@-]", str(path)) else str(path)


@contextmanager
def reported(context: typer.Context) -> Iterator[tuple[Console, Progress]]:
    """A console for results and a listener for progress; errors inside end the program, see `stopping_in_words`."""
    from rich.console import Console

    from autoseg.cli_progress import shown_progress

    with stopping_in_words(context), shown_progress(Console(stderr=True)) as progress:
        yield results_console(), progress


def results_console() -> Console:
    """For what a verb answers, on standard output."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else LINE_WIDTH)


@contextmanager
def stopping_in_words(context: typer.Context) -> Iterator[None]:
    """Errors inside end the program with a sentence and an exit code."""
    debug = bool(context.parent and context.parent.params.get("debug"))
    in_main = threading.current_thread() is threading.main_thread()  # only there may a signal be handled
    before = signal.signal(signal.SIGTERM, _end) if in_main else None
    try:
        yield
    except SystemExit as end:
        if end.code != EXIT_TERMINATED:
            raise
        _stop(f"told to end (SIGTERM); {_again(context)}", EXIT_TERMINATED, debug)
    except (typer.Exit, typer.BadParameter):
        raise
    except KeyboardInterrupt:
        _stop(f"interrupted; {_again(context)}", EXIT_INTERRUPTED, debug)
    except AutosegError as error:
        _stop(_sentences(error), error.exit_code, debug)
    except MemoryError as error:
        _stop(f"out of memory: {str(error) or 'this process got no more of it'}", EXIT_OUT_OF_MEMORY, debug)
    except OSError as error:
        _stop(str(error), EXIT_UNUSABLE, debug)
    except Exception as error:
        fault = f"{type(error).__name__}: {error} (a fault in autoseg, not in the data; --debug shows where)"
        _stop(fault, EXIT_FAULT_IN_AUTOSEG, debug)
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, before)


def _end(number: int, _: object) -> None:
    """The program ends as by an error, so that what is half done is cleared away."""
    raise SystemExit(128 + number)


def _again(context: typer.Context) -> str:
    return "the same command goes on where it was" if context.info_name in CONTINUED else "give the same command again"


def _sentences(error: AutosegError) -> str:
    if not isinstance(error, DataError) or len(error.faults) < 2:
        return str(error)
    lines = str(error).splitlines() if len(error.faults) <= MOST_FAULTS else _joined(error)
    return "\n  ".join([f"{len(error.faults)} faults:", *lines])


def _joined(error: DataError) -> list[str]:
    """Faults with one message as one line, so that a wrong folder is not told once for each of a thousand images."""
    cases: dict[str, list[str]] = {}
    for fault in error.faults:
        cases.setdefault(fault.message, []).append(fault.case)
    lines = []
    for message, names in cases.items():
        more = f" and {len(names) - CASES_NAMED} more" if len(names) > CASES_NAMED else ""
        lines.append(f"{', '.join(names[:CASES_NAMED])}{more}: {message}")
    left = lines[MOST_FAULTS:]
    return [*lines[:MOST_FAULTS], *([f"... and {len(left)} more"] if left else [])]


def _stop(message: str, code: int, debug: bool) -> NoReturn:
    if debug:
        logging.getLogger("autoseg").exception("stopped")
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code)
