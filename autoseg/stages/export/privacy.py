"""What must not be handed over: names of cases and subjects, which may be those of patients, and paths of the machine that trained.

A name that is a mere number cannot be told from a figure in a sentence, and is not looked for there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath

from autoseg.records import Configuration, Dataset, Decision, Plan
from autoseg.volume.files import split_suffix

WORD = re.compile(r"[\w.-]*\w")
PATH = re.compile(
    r"(?<![\w.:/])(/[\w.~-]+){2,}|\.\./|\bfile:|\b[A-Za-z]:\\|\\\\\w"
)  # two names deep: "and/or" and a lone slash are none
LONG = 6  # names with blanks in them are looked for as they are, from this length on
HANDED_OVER_NOTE = "handed over without its cases"


@dataclass(frozen=True)
class Names:
    """Names of a data set's cases, subjects and files, to find them in texts."""

    dataset: Dataset

    @cached_property
    def _all(self) -> frozenset[str]:
        found = {self.dataset.root}
        for case in self.dataset.cases:
            files = [PurePath(file) for file in (*case.images, *([case.label] if case.label else []))]
            found |= {case.id, case.subject, case.group or case.id}
            found |= {name for file in files for name in (str(file), file.name, split_suffix(file.name)[0])}
        return frozenset(name.casefold() for name in found if name and not name.isdecimal())

    @cached_property
    def _long(self) -> tuple[str, ...]:
        return tuple(name for name in self._all if len(name) >= LONG and not WORD.fullmatch(name))

    def are_in(self, text: str) -> bool:
        """Whether a text names a case, a subject or a file, or holds any absolute path."""
        folded = text.casefold()
        words = WORD.findall(folded)
        return bool(PATH.search(text)) or not self._all.isdisjoint(words) or any(name in folded for name in self._long)


def without_cases(dataset: Dataset) -> Dataset:
    """The data set as a model needs it: channels, structures and what their values mean, but no case, file or note."""
    return dataset.model_copy(update={"root": "", "cases": (), "notes": (HANDED_OVER_NOTE,)})


def handed_over_plan(plan: Plan, names: tuple[str, ...], dataset: Dataset, private: Names) -> Plan:
    """The plan with some of its configurations, the last of them the default.

    Decisions keep their reasons, except those that name a case or a path. Nothing is told of a run that it was made from.

    Args:
        plan: of the run.
        names: of the configurations; of a cascade, the first stage stands first.
        dataset: that is handed over with it.
        private: of the data set as it was.
    """
    configurations = {name: _configuration(plan.configurations[name], names, private) for name in names}
    return plan.model_copy(
        update={
            "configurations": configurations,
            "default": names[-1],
            "decisions": _telling(plan.decisions, private),
            "dataset_digest": dataset.digest(),
            "transfer": None,
        }
    )


def _configuration(configuration: Configuration, names: tuple[str, ...], private: Names) -> Configuration:
    following = configuration.next_stage if configuration.next_stage in names else None
    return configuration.model_copy(
        update={"next_stage": following, "decisions": _telling(configuration.decisions, private)},
    )


def _telling(decisions: tuple[Decision, ...], private: Names) -> tuple[Decision, ...]:
    return tuple(decision for decision in decisions if not private.are_in(_words_of(decision)))


def _words_of(decision: Decision) -> str:
    """All text of a decision; numbers are figures of the whole set."""
    words = [value for value in decision.numbers.values() if isinstance(value, str)]
    return "\n".join(map(str, (decision.choice, decision.rule, decision.reason, decision.alternative, *words)))
