"""Sets that do not declare what their labels mean: what the values suggest, and where that suggestion would be wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from autoseg.records import CheckFinding
from autoseg.stages.check.facts import SetLook, counted, finding, foreground_values, no_scheme, two_codings
from autoseg.stages.check.values import MOST_NAMED, is_unreadable_mask

RARE_FILES = 0.05  # of the labels; a value that occurs in fewer may be a slip of the brush
FEWEST_LABELS = 8  # among fewer labels nothing is rare
RARE_PIXELS = 0.001  # of the foreground of the labels that have it
STRAY_PIXELS = 20  # in the whole set; so few are no structure, however many labels there are
MOST_COLOURS = 16  # classes that a colour mask can be taken to have
LEAST_GREY = (
    10  # values below count classes, and 3 and 4 are two of these; greys from here on were chosen to be seen, and rounded
)


def guessed(the_set: SetLook) -> list[CheckFinding]:
    """A set that declares nothing: colours without names, one structure in two codings, and values that hardly occur."""
    if the_set.declared:
        return []
    found = _nameless_colours(the_set)
    if not the_set.dataset.targets and not found and (why := no_scheme(the_set.looks)) is not None:
        return [finding("undeclared values", "error", why)]
    if two_codings(the_set.looks):
        by_value: dict[int, list[str]] = {1: [], 255: []}
        for look, label in the_set.labelled():
            for value in foreground_values(label):
                by_value[value].append(look.case.id)
        few = min((1, 255), key=lambda value: len(by_value[value]))
        told = (
            f"{counted(len(by_value[1]), 'label')} with 0 and 1, {counted(len(by_value[255]), 'label')} with 0 and 255, none with both: "
            "one structure stored in two ways would be learned as two; save all with 1"
        )
        return [*found, finding("two codings", "error", told, by_value[few], fixable=True)]
    return found + _rare(the_set) + _neighbours(the_set)


def _nameless_colours(the_set: SetLook) -> list[CheckFinding]:
    pixels: Counter[str] = Counter()
    files: Counter[str] = Counter()
    cases = []
    for look, label in the_set.labelled():
        if label.coloured and not is_unreadable_mask(label):
            cases.append(look.case.id)
            pixels.update(label.counts)
            files.update(label.counts.keys())
    if not cases:
        return []
    each = [f"{colour} ({counted(files[colour], 'image')})" for colour, _ in pixels.most_common(MOST_NAMED)]
    more = f" and {len(pixels) - MOST_NAMED} more" if len(pixels) > MOST_NAMED else ""
    told = (
        f'the labels are stored in colours that nothing names: {", ".join(each)}{more}; name them under "colours" in dataset.json'
    )
    in_values = sum(not label.in_channels and bool(foreground_values(label)) for _, label in the_set.labelled())
    if in_values:
        told += f". {counted(in_values, 'other label')} in values, and nothing tells which colour is which value: store all in one way"
    return [finding("colours", "error", told, cases, fixable=len(pixels) <= MOST_COLOURS)]


def _rare(the_set: SetLook) -> list[CheckFinding]:
    """Values in few labels with few pixels: rather a slip than a structure."""
    files, pixels, share_of = _occurrences(the_set)
    labels = sum(not is_unreadable_mask(label) and not label.coloured for _, label in the_set.labelled())
    found = []
    for value, cases in sorted(files.items()):
        rare = labels >= FEWEST_LABELS and len(cases) <= max(1, RARE_FILES * labels) and share_of[value] <= RARE_PIXELS
        if len(files) > 1 and (rare or pixels[value] <= STRAY_PIXELS):
            told = (
                f"the value {value} occurs in {counted(len(cases), 'label')} of {labels}, with {counted(pixels[value], 'pixel')}; nothing "
                "declares the labels' values, so it would be a structure of its own: correct the masks, or declare the values in dataset.json"
            )
            found.append(finding("rare values", "warning", told, cases))
    return found


def _neighbours(the_set: SetLook) -> list[CheckFinding]:
    """Two greys next to one another of which every label has at most one: rather one structure, rounded in two ways."""
    files, pixels, _ = _occurrences(the_set)
    found = []
    for value, cases in sorted(files.items()):
        other = files.get(value + 1, [])
        if value < LEAST_GREY or not other or set(cases) & set(other) or min(pixels[value], pixels[value + 1]) <= STRAY_PIXELS:
            continue
        told = (
            f"the value {value} is in {counted(len(cases), 'label')}, {value + 1} in {counted(len(other), 'label')}, and no label has both: "
            "one structure stored in two ways would be learned as two; save all with one value"
        )
        found.append(finding("two codings", "warning", told, cases if len(cases) <= len(other) else other))
    return found


def _occurrences(the_set: SetLook) -> tuple[Mapping[int, list[str]], Mapping[int, int], Mapping[int, float]]:
    """By value: the cases whose labels have it, its pixels, and their share of the foreground of these labels."""
    files: dict[int, list[str]] = defaultdict(list)
    pixels: Counter[int] = Counter()
    foreground: Counter[str] = Counter()
    for look, label in the_set.labelled():
        if is_unreadable_mask(label) or label.coloured:
            continue
        for value in foreground_values(label):
            files[value].append(look.case.id)
            pixels[value] += label.counts[str(value)]
            foreground[look.case.id] += label.counts[str(value)]
    shares = {value: pixels[value] / sum(foreground[case] for case in cases) for value, cases in files.items()}
    return files, pixels, shares
