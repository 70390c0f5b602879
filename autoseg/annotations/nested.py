"""Structures that share values of a label map, such as a whole tumour (1, 2, 4), its core (1, 4), and what enhances in it (4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Unions = Mapping[str, tuple[str, ...]]  # structures that are made of several labels, or share one with others: their labels


def parted(structures: Mapping[str, Sequence[int]]) -> tuple[dict[int, str], Unions]:
    """Labels that share nothing, and the structures that are made of them.

    A label stands for the values of which all belong to the same structures. Where no structures share a value, each is its own label and
    there is no union.

    Args:
        structures: values by name.

    Returns:
        The label by value, and the labels of each structure that has more than one of its own or shares it.
    """
    owners: dict[int, tuple[str, ...]] = {}
    for name, values in structures.items():
        for value in dict.fromkeys(values):
            owners[value] = (*owners.get(value, ()), name)
    label_of = {owner: owner[0] if len(owner) == 1 else f"{' and '.join(owner)} (shared)" for owner in owners.values()}
    parts = {name: tuple(label for owner, label in label_of.items() if name in owner) for name in structures}
    return {value: label_of[owner] for value, owner in owners.items()}, {
        name: labels for name, labels in parts.items() if labels != (name,)
    }
