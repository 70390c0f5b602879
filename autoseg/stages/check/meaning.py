"""What the labels of a repaired copy hold, and which labels that leaves without a meaning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from autoseg.errors import DataError
from autoseg.records import Case, Dataset, ValueEncoding
from autoseg.stages.check.facts import SetLook, on_disk, two_codings
from autoseg.stages.check.label_look import LabelLook
from autoseg.stages.check.look import CaseLook
from autoseg.stages.check.values import MOST_NAMED, is_unreadable_mask

WHITE = 255


@dataclass(frozen=True)
class Meaning:
    """What labels of the copy hold: per stored text ("2", "255,0,0") the value written, by encoding; and the names of the values.

    `guessed`: nothing declares it, and it is taken from labels of one kind, in colours or in values (`in_colours`).
    """

    values: Mapping[str, Mapping[str, int]]
    names: Mapping[str, int | list[int]]
    ignore: int | None = None
    order: tuple[int, ...] = ()
    derived: Mapping[str, list[str]] = field(default_factory=dict)
    guessed: bool = False
    in_colours: bool = False


def meaning_of(the_set: SetLook, left_out: Collection[str] = ()) -> Meaning:
    """What the labels of the copy will hold.

    Values that the data set declares stay as they are, but for 255 alone, which becomes 1; colours and outlines become 1, 2, ... Where nothing is
    declared, and some labels are in colours and others in values, the kind that more labels have is taken.

    Args:
        the_set: as it was looked at.
        left_out: cases that are not copied, and have no say.

    Raises:
        DataError: the labels have no meaning that could be told: too many values, or none.
    """
    dataset = the_set.dataset
    if not dataset.targets or (not the_set.declared and _mostly_colours(the_set, left_out)):
        return _of_colours(the_set, left_out)
    written = _written_values(dataset, declared=the_set.declared)
    values = {
        name: {
            key: written[internal]
            for key, internal in on_disk(dataset, CaseLook(Case(id="", subject="", images=(), encoding=name), None, None)).items()
        }
        for name in dataset.encodings
    }
    single = len(dataset.targets) == 1 and not dataset.regions
    if single and (two_codings(the_set.looks) or the_set.declared):
        for one in values.values():
            if not any("," in key for key in one):
                one.setdefault(str(WHITE), written[dataset.targets[0].values[0]])
    several = {target.name: [written[value] for value in target.values] for target in dataset.targets}
    names: dict[str, int | list[int]] = {"background": 0}
    names |= several if dataset.regions else {name: one[0] for name, one in several.items()}
    return Meaning(
        values,
        names,
        ignore=None if dataset.ignore_value is None else written[dataset.ignore_value],
        order=tuple(target.output_value for target in dataset.targets) if dataset.regions else (),
        derived=_derived(dataset),
        guessed=not the_set.declared,
    )


def without_meaning(the_set: SetLook, meaning: Meaning) -> dict[str, str]:
    """Cases whose label the copy cannot hold, and why: it is of the other kind, in colours or in values, or has a value that means nothing."""
    found = {}
    for look, label in the_set.labelled():
        if meaning.guessed and _is_of_other_kind(label, meaning):
            kinds = (
                "in values, and most others are in colours" if meaning.in_colours else "in colours, and most others are in values"
            )
            found[look.case.id] = (
                f"the label is {kinds}; nothing tells which colour is which value, so it is not repaired: store all labels in one way"
            )
            continue
        known = meaning.values[look.case.encoding]
        if strange := [key for key in label.counts if key not in known]:
            more = f" and {len(strange) - MOST_NAMED} more" if len(strange) > MOST_NAMED else ""
            found[look.case.id] = (
                f"its label holds {', '.join(strange[:MOST_NAMED])}{more}, which means nothing; correct it, or declare it"
            )
    return found


def _is_of_other_kind(label: LabelLook, meaning: Meaning) -> bool:
    """Whether a label with foreground is stored otherwise than the meaning is made of; red, green and blue that are equal may be either."""
    if meaning.in_colours:
        return not label.in_channels and set(label.counts) != {"0"}
    return label.coloured


def _mostly_colours(the_set: SetLook, left_out: Collection[str]) -> bool:
    usable = [label for look, label in the_set.labelled() if look.case.id not in left_out and not is_unreadable_mask(label)]
    in_values = sum(not label.in_channels and set(label.counts) != {"0"} for label in usable)
    return sum(label.coloured for label in usable) > in_values


def _written_values(dataset: Dataset, *, declared: bool) -> dict[int, int]:
    """The value that the copy holds for each internal value."""
    encodings = list(dataset.encodings.values())
    first = encodings[0]
    if len(encodings) > 1 or not isinstance(first, ValueEncoding):
        internal = {value for target in dataset.targets for value in target.values}
        return {value: value for value in (0, *sorted(internal), *([dataset.ignore_value] if dataset.ignore_value else []))}
    stored: dict[int, int] = {}
    for value, internal_value in sorted(first.values.items()):
        stored.setdefault(internal_value, value)
    only_white = set(stored.values()) == {0, WHITE}
    return {0: 0, 1: 1} if only_white and not declared else stored


def _of_colours(the_set: SetLook, left_out: Collection[str]) -> Meaning:
    """Colours without names become 1, 2, ... with names made of them, the most frequent first.

    JPEG, smoothed borders and broken numbers have no say: their fringes are no classes. A grey of a colour file is the colour of three equal parts.
    """
    pixels: Counter[str] = Counter()
    for look, label in the_set.labelled():
        if label.in_channels and look.case.id not in left_out and not is_unreadable_mask(label):
            pixels.update(label.counts if label.coloured else {_as_colour(key): number for key, number in label.counts.items()})
    colours = [colour for colour, _ in pixels.most_common() if colour != "0,0,0"]
    if not colours:
        usable = [label for look, label in the_set.labelled() if not is_unreadable_mask(label)]
        if usable and all(set(label.counts) <= {"0", "0,0,0"} for label in usable):
            raise DataError(
                "no label holds anything but background, so there is nothing to copy; put the right labels in their place"
            )
        raise DataError("what the labels mean cannot be told, so no copy can be written; declare them in dataset.json")
    values = {"0": 0, "0,0,0": 0, **{colour: value for value, colour in enumerate(colours, start=1)}}
    greys = {colour.split(",")[0]: value for colour, value in values.items() if len(set(colour.split(","))) == 1}
    names: dict[str, int | list[int]] = {"background": 0}
    names |= {f"colour_{colour.replace(',', '_')}": values[colour] for colour in colours}
    return Meaning(dict.fromkeys(the_set.dataset.encodings, greys | values), names, guessed=True, in_colours=True)


def _as_colour(grey: str) -> str:
    return ",".join([grey] * 3)


def _derived(dataset: Dataset) -> dict[str, list[str]]:
    parts = {}
    for structure in dataset.derived:
        members = [target.name for target in dataset.targets if set(target.values) <= set(structure.values)]
        parts[structure.name] = members
    return parts
