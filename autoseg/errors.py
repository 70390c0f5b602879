"""What can go wrong, as one tree.

    AutosegError                   exit 2   anything the user can mend
    ├── DataError (ValueError)     exit 2   faults of a data set, all reported at once
    ├── RecordError (ValueError)   exit 2   a JSON record that cannot be read, or does not belong here
    ├── RunFolderError (OSError)   exit 2   a run folder that is missing, incomplete or holds another run
    ├── PlanError (ValueError)     exit 2   options or facts for which no plan exists
    ├── CaseError (RuntimeError)   exit 1   the work on one case failed; the others may go on
    ├── CaseTooLarge (MemoryError) exit 75  a case needs more memory than there is; the others go on
    ├── TrainingDiverged (ArithmeticError)  exit 1   the loss is no longer a number
    ├── DiskFull (OSError)         exit 2   a file could not be written to its end
    ├── StoppedElsewhere           exit 2   another of the processes that train together has stopped, and said why
    └── OutOfMemory (MemoryError)  exit 75  the device's memory did not suffice

Messages say where, what was expected, what was found and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

EXIT_SOME_FAILED = 1
EXIT_UNUSABLE = 2
EXIT_OUT_OF_MEMORY = 75


class AutosegError(Exception):
    """Base of all errors raised on purpose; `exit_code` is what the command line returns."""

    exit_code = EXIT_UNUSABLE


@dataclass(frozen=True, order=True)
class Fault:
    """One fault of a data set: the case (or file) it concerns, and a sentence with the cure."""

    case: str
    message: str

    def __str__(self) -> str:
        return f"{self.case}: {self.message}"


class DataError(AutosegError, ValueError):
    """A data set (or one file of it) cannot be used; `faults` lists every reason found."""

    def __init__(self, faults: Iterable[Fault] | str):
        self.faults = (Fault("data set", faults),) if isinstance(faults, str) else tuple(faults)
        super().__init__("\n".join(fault.message if fault.case == "data set" else str(fault) for fault in self.faults))


class RecordError(AutosegError, ValueError):
    """A record on disk cannot be read, is of another format, or belongs to something else."""


class RunFolderError(AutosegError, OSError):
    """A run folder is missing, incomplete, or holds another run."""


class DiskFull(AutosegError, OSError):
    """There is no room for a file; what was there before is intact."""


class PlanError(AutosegError, ValueError):
    """No plan can be made from these options and facts."""


class CaseError(AutosegError, RuntimeError):
    """The work on one case failed; carries the case's name."""

    exit_code = EXIT_SOME_FAILED

    def __init__(self, case: str, message: str):
        self.case, self.message = case, message
        super().__init__(f"{case}: {message}")

    def __reduce__(self) -> tuple[type[CaseError], tuple[str, str]]:
        return CaseError, (self.case, self.message)  # crosses process borders whole


class CaseTooLarge(AutosegError, MemoryError):
    """One case needs more memory than there is."""

    exit_code = EXIT_OUT_OF_MEMORY


class TrainingDiverged(AutosegError, ArithmeticError):
    """Training cannot go on, since the loss is not finite."""

    exit_code = EXIT_SOME_FAILED


class StoppedElsewhere(AutosegError):
    """Another process, without which this one cannot go on, has stopped."""


class OutOfMemory(AutosegError, MemoryError):
    """The device ran out of memory."""

    exit_code = EXIT_OUT_OF_MEMORY
