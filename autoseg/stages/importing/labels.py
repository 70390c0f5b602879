"""What the labels of an import are called, and which values they have in the label maps that are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from autoseg.annotations.base import AnnotationSet, Colour, ReadOptions, is_background
from autoseg.annotations.decoding import Naming
from autoseg.annotations.nested import parted
from autoseg.annotations.painting import Overlap, region_values
from autoseg.records import Dataset
from autoseg.stages.importing.choosing import Choice, chosen

SHOWN = 6
FEW_CASES = 3  # colours in that few images are told with their number


def options_of(
    structures: Mapping[str, Sequence[int] | Colour] | None, colours: bool, folders: bool = False, empty: bool = False
) -> ReadOptions:
    """What the user says of values or colours, of folders and of missing masks, as formats take it."""
    plain = ReadOptions(folders_are_labels=folders, empty=empty)
    if structures is None:
        return plain
    if colours:
        named = {(int(r), int(g), int(b)): name for name, (r, g, b) in structures.items()}
        return replace(plain, colours=named)
    return replace(plain, values=parted(structures)[0])


def naming(
    found: AnnotationSet,
    structures: Mapping[str, Sequence[int] | Colour] | None,
    only: Choice | None = None,
    colours: bool = False,
) -> Naming:
    """The labels of the set, as the user names and chooses them.

    Args:
        found: the set.
        structures: values, which may be those of several, or with `colours` one colour, by name; None: what the set declares.
        only: the structures to take, in this order; None or empty: all.
        colours: whether `structures` are colours.

    Raises:
        DataError: nothing is declared of label maps, or a chosen structure does not exist.
    """
    values, by_colour, unions = dict(found.values), dict(found.colours), found.unions
    labels = found.labels or tuple(dict.fromkeys(name for name in (*values.values(), *by_colour.values()) if name))
    if structures is not None:
        given = options_of(structures, colours)
        by_colour = {(0, 0, 0): "", **by_colour, **given.colours} if colours else by_colour
        values = values if colours else {0: "", **values, **given.values}
        own = tuple(structures) if colours else tuple(dict.fromkeys(given.values.values()))
        labels = labels if set(own) <= set(labels) else own
        unions = {} if colours else parted(structures)[1]
    names = Naming(tuple(name for name in labels if not is_background(name)), values, by_colour, unions)
    return chosen(names, only) if only else names


def told_unknown(found: Mapping[str, Mapping[str, int]]) -> str | None:
    """What values or colours occur that nobody named, in how many images; None where there are none.

    Args:
        found: pixels by value or colour, by case.
    """
    pixels: Counter[str] = Counter()
    images: Counter[str] = Counter()
    for counts in found.values():
        pixels.update(counts)
        images.update(counts.keys())
    if not pixels:
        return None
    rare = sum(number <= FEW_CASES for number in images.values())
    common = "; ".join(f"{name} ({number} pixels in {images[name]} images)" for name, number in pixels.most_common(SHOWN))
    more = f"; and {len(pixels) - SHOWN} more" if len(pixels) > SHOWN else ""
    seldom = f", {rare} of them in at most {FEW_CASES} images" if 0 < rare < len(pixels) else ""
    return f"{len(pixels)} values or colours occur that nobody named{seldom}: {common}{more}"


def declaration(names: Naming, overlap: Overlap, found: Sequence[int], sizes: Mapping[str, int]) -> dict[str, object]:
    """The labels of `dataset.json`: a value for each, or, of regions, the values that contain each and the order in which masks are painted.

    Args:
        names: of the labels, and what they make up.
        overlap: how they were painted.
        found: values of all label maps.
        sizes: pixels of each structure over all images: large regions are painted first.
    """
    labels = names.labels
    value_of = {name: value for value, name in enumerate(labels, start=1)}
    if names.unions:
        members = {name: tuple(value_of[label] for label in made_of) for name, made_of in names.structures().items()}
    elif overlap == "regions":
        members = region_values(labels, found)
    else:
        return {"labels": {"background": 0} | value_of}
    ordered = sorted((name for name in members if members[name]), key=lambda name: -sizes.get(name, 0))
    return {
        "labels": {"background": 0} | {name: list(members[name]) for name in ordered},
        "regions_class_order": list(range(1, len(ordered) + 1)),
    }


def declaration_of(dataset: Dataset) -> dict[str, object]:
    """The same of a data set, whose label maps are written with its internal values."""
    single = not dataset.regions
    labels: dict[str, object] = {"background": 0}
    labels |= {one.name: one.values[0] if single else list(one.values) for one in dataset.targets}
    content: dict[str, object] = {"labels": labels}
    if dataset.regions:
        content["regions_class_order"] = [one.output_value for one in dataset.targets]
    if dataset.ignore_value is not None:
        content["ignore"] = dataset.ignore_value
    unions = {one.name: [t.name for t in dataset.targets if set(t.values) <= set(one.values)] for one in dataset.derived}
    return content | ({"derived": unions} if unions else {})
