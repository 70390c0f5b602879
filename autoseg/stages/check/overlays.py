"""Text burned into pictures: one note for the set, since a network may read it."""

from __future__ import annotations

from autoseg.processing.burned_in import recurring
from autoseg.records import CheckFinding
from autoseg.stages.check.facts import SetLook, counted, finding

LEAST_LABELLED = 0.1  # of a rectangle, to say that text lies over a structure


def text(the_set: SetLook) -> list[CheckFinding]:
    """Rows of letters: in how many pictures, whether they lie over labelled structures, and whether they stay where they are."""
    looked = [(look.case.id, look.image) for look in the_set.looks if look.image is not None]
    again = recurring([[one.box for one in image.text if one.faint] for _, image in looked])
    seen = {
        case: [one for one in image.text if not one.faint or one.box in faint]
        for (case, image), faint in zip(looked, again, strict=True)
    }
    with_text = {case: text for case, text in seen.items() if text}
    if not with_text:
        return []
    boxes = {case: max(text, key=lambda one: (one.labelled, _area(one.box))).box for case, text in with_text.items()}
    over = [case for case, text in with_text.items() if max(one.labelled for one in text) >= LEAST_LABELLED]
    places = len({one.box for text in with_text.values() for one in text})
    case = (over or list(with_text))[0]
    told = f"text or marks seem to be burned into {counted(len(with_text), 'picture')} of {len(looked)}, at {counted(places, 'place')}"
    told += f"; in {counted(len(over), 'picture')} over a labelled structure" if over else ", over no labelled structure"
    top, left, bottom, right = boxes[case]
    told += f"; for instance {case}, rows {top} to {bottom}, columns {left} to {right}"
    told += ". A network may read it: blank it, or look whether it tells the answer"
    return [finding("burned-in text", "note", told, [*over, *(name for name in with_text if name not in over)], boxes=boxes)]


def _area(box: tuple[int, int, int, int]) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])
