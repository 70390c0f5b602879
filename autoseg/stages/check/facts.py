"""The set as it was looked at: the cases' looks, and what labels mean where the set declares it or their values tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from autoseg.errors import DataError
from autoseg.layouts.label_scan import FoundLabels, scheme_from
from autoseg.records import CheckFinding, CheckKind, Dataset, OutlineEncoding, Severity, Splits, ValueEncoding
from autoseg.stages.check.label_look import LabelLook
from autoseg.stages.check.look import CaseLook

BINARY = ({1}, {255})  # two ways to store one structure


@dataclass(frozen=True)
class SetLook:
    """What the checks decide from.

    `declared` tells whether the data set says what its labels mean; otherwise `dataset` has what their values suggest, and no targets
    where these suggest nothing.
    """

    dataset: Dataset
    looks: tuple[CaseLook, ...]
    declared: bool = True
    folds: int = 5
    splits: Splits | None = None

    def subject_of(self) -> dict[str, str]:
        """By case."""
        return {look.case.id: look.case.subject for look in self.looks}

    def labelled(self) -> list[tuple[CaseLook, LabelLook]]:
        """Cases whose label could be read."""
        return [(look, look.label) for look in self.looks if look.label is not None]

    def structure_pixels(self, look: CaseLook) -> dict[str, int] | None:
        """Pixels of every target; None where the label holds what nothing declares, or was not read."""
        if look.label is None or not self.dataset.targets or look.label.picture:
            return None
        internal = self.meaning(look, look.label)
        if internal is None:
            return None
        return {target.name: sum(internal[value] for value in target.values) for target in self.dataset.targets}

    def meaning(self, look: CaseLook, label: LabelLook) -> Counter[int] | None:
        """Pixels of every internal value; None where there is a value that nothing declares."""
        known = on_disk(self.dataset, look)
        counts: Counter[int] = Counter()
        for key, pixels in label.counts.items():
            if key not in known:
                return None
            counts[known[key]] += pixels
        return counts


def on_disk(dataset: Dataset, look: CaseLook) -> dict[str, int]:
    """What a case's label may hold, as a label look tells it, and the internal value."""
    encoding = dataset.encodings[look.case.encoding]
    if isinstance(encoding, ValueEncoding):
        return {str(value): internal for value, internal in encoding.values.items()}
    if isinstance(encoding, OutlineEncoding):
        return {"0": 0, str(encoding.value): encoding.value}
    greys = {colour.split(",")[0]: internal for colour, internal in encoding.colours.items() if len(set(colour.split(","))) == 1}
    return greys | dict(encoding.colours)  # a mask without colour is told by grey values


def with_scheme(dataset: Dataset, looks: Sequence[CaseLook]) -> Dataset:
    """The data set with the targets that its labels' values suggest, where it declares none; labels that are no masks have no say."""
    if dataset.targets:
        return dataset
    try:
        scheme = scheme_from(_found(looks))
    except DataError:
        return dataset
    return dataset.model_copy(
        update={"targets": scheme.targets, "encodings": {"default": scheme.encoding}, "notes": (*dataset.notes, *scheme.notes)}
    )


def no_scheme(looks: Sequence[CaseLook]) -> str | None:
    """Why the values of the labels suggest no targets; None where they do, or where there is no mask to suggest any."""
    found = _found(looks)
    if not found.files:
        return None
    try:
        scheme_from(found)
    except DataError as error:
        return f"the labels {error.faults[0].message}"
    return None


def _found(looks: Sequence[CaseLook]) -> FoundLabels:
    found = FoundLabels()
    for look in looks:
        label = look.label
        if label is None or label.coloured or label.lossy or label.broken or label.soft or label.picture:
            continue
        for key, pixels in label.counts.items():
            found.pixels[int(key)] += pixels
            found.files[int(key)] += 1
    if two_codings(looks):
        found.pixels.pop(255)
    return found


def two_codings(looks: Iterable[CaseLook]) -> bool:
    """Whether some labels hold 0 and 1, others 0 and 255, and none anything else."""
    kinds = {frozenset(values) for look in looks if (values := foreground_values(look.label))}
    return kinds == {frozenset(kind) for kind in BINARY}


def foreground_values(label: LabelLook | None) -> set[int]:
    """Values other than 0 of a label of whole numbers; none where it is no such label."""
    if label is None or label.coloured or label.lossy or label.broken or label.picture:
        return set()
    return {int(float(key)) for key in label.counts} - {0}


def finding(
    kind: CheckKind,
    severity: Severity,
    told: str,
    cases: Iterable[str] = (),
    *,
    fixable: bool = False,
    boxes: Mapping[str, tuple[int, int, int, int]] | None = None,
) -> CheckFinding:
    """A finding without a picture yet."""
    return CheckFinding(
        kind=kind, severity=severity, told=told, cases=tuple(cases), fixable=fixable, boxes=dict(boxes) if boxes else {}
    )


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 image", "3 images"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
