"""The structures that a user takes of a set, under names of his own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from autoseg.annotations.colours import BACKGROUND
from autoseg.annotations.decoding import Naming
from autoseg.annotations.nested import parted
from autoseg.errors import DataError
from autoseg.stages.importing.matching import Source

Choice = Mapping[str, tuple[str, ...]]  # by the name that is wished: names in the set, which become one


def choice_of(only: Sequence[str] | Mapping[str, str | Sequence[str]]) -> Choice:
    """What is wished, in its order; names alone keep themselves."""
    if isinstance(only, Mapping):
        return {new: (old,) if isinstance(old, str) else tuple(old) for new, old in only.items()}
    return {name: (name,) for name in only}


def chosen(names: Naming, only: Choice) -> Naming:
    """The labels that make up the chosen structures; what means another one is background.

    Raises:
        DataError: one does not exist, or is to become two.
    """
    there = names.structures()
    olds = [old for several in only.values() for old in several]
    if unknown := [old for old in olds if old not in there]:
        raise DataError(f"there is no label {unknown[0]!r}; there are {', '.join(there) or 'none that are named'}")
    if twice := [old for old, number in Counter(olds).items() if number > 1]:
        raise DataError(f"--only takes {twice[0]!r} for two structures; name it once")
    new_of = {old: new for new, several in only.items() for old in several}
    made_of = {new: {label for old in several for label in there[old]} for new, several in only.items()}
    valued = {new: [value for value, label in names.values.items() if label in made_of[new]] for new in only}
    values, unions = parted({new: several for new, several in valued.items() if several})  # fewer share fewer values
    return Naming(
        labels=tuple(dict.fromkeys([*(new for new in only if new not in unions), *values.values()])),
        values={value: values.get(value, BACKGROUND) for value in names.values},
        colours={colour: new_of.get(label, BACKGROUND) for colour, label in names.colours.items()},
        unions=unions,
    )


def renamed(sources: Iterable[Source], only: Choice) -> list[Source]:
    """The sources with the shapes of what was chosen, under their new names."""
    new_of = {old: new for new, several in only.items() for old in several}
    result = []
    for source in sources:
        shapes = tuple(replace(one, label=new_of[one.label]) for one in source.image.annotations if one.label in new_of)
        result.append(replace(source, image=replace(source.image, annotations=shapes)))
    return result
