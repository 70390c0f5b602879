"""Labels on another grid than their image, labels that claim another place, and orientations that are mixed."""

from __future__ import annotations

from collections import Counter

from autoseg.processing.cases import differently_placed, grid_faults
from autoseg.records import CheckFinding
from autoseg.stages.check.facts import SetLook, counted, finding


def grids(the_set: SetLook) -> list[CheckFinding]:
    """Sizes and spacings of label and image that differ: errors, one for each case."""
    found = []
    for look, label in the_set.labelled():
        image = look.image
        if image is None:
            continue
        geometry = image.geometry.with_spacing(None) if image.spacing_from_table else image.geometry
        faults = grid_faults(look.case.id, "label", label.shape, label.geometry, "image", image.shape, geometry)
        found += [finding("grid", "error", fault.message, [fault.case]) for fault in faults]
    return found


def places(the_set: SetLook) -> list[CheckFinding]:
    """Labels whose origin or direction differs from the image's; their arrays are taken to correspond."""
    cases = [
        look.case.id
        for look, label in the_set.labelled()
        if look.image is not None and look.image.shape == label.shape and differently_placed(look.image.geometry, label.geometry)
    ]
    if not cases:
        return []
    told = f"label and image differ in origin or direction in {counted(len(cases), 'case')}; their arrays are taken to correspond: do they?"
    return [finding("place", "note" if len(cases) > len(the_set.looks) / 2 else "warning", told, cases)]


def orientations(the_set: SetLook) -> list[CheckFinding]:
    """Volumes that are stored in several orientations; preparation turns them all one way."""
    kinds = Counter(look.image.orientation for look in the_set.looks if look.image is not None and look.image.orientation)
    if len(kinds) < 2:
        return []
    usual, _ = kinds.most_common(1)[0]
    cases = [look.case.id for look in the_set.looks if look.image is not None and look.image.orientation not in (None, usual)]
    told = ", ".join(f"{kind} in {counted(number, 'case')}" for kind, number in kinds.most_common())
    return [
        finding("orientation", "note", f"orientations are mixed: {told}; they are turned one way when cases are prepared", cases)
    ]
