"""What labels hold: values and colours that nothing declares, and masks stored in a way that changes or hides their values."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from autoseg.records import CheckFinding, ColourEncoding, ValueEncoding
from autoseg.stages.check.facts import SetLook, counted, finding, foreground_values, on_disk, two_codings
from autoseg.stages.check.label_look import LabelLook
from autoseg.stages.check.look import FEW_VALUES, CaseLook

MOST_NAMED = 8  # values in one sentence


def storage(the_set: SetLook) -> list[CheckFinding]:
    """JPEG, numbers that are not whole, borders that were smoothed, pictures in place of masks: these cannot be learned from."""
    labels = the_set.labelled()
    found = []
    for look, label in labels:
        name = look.case.id
        if label.lossy:
            told = "the label is a JPEG, which changes label values; save it from its source as PNG"
            found.append(finding("JPEG labels", "error", told, [name]))
        elif label.broken:
            example = next((key for key in label.counts if not key.lstrip("-").isdecimal()), "")
            told = f"numbers that are not whole in {counted(label.broken, 'pixel')} of the label, such as {example}; save the labels as integers"
            found.append(finding("not whole numbers", "error", told, [name]))
        elif label.soft:
            told = (
                f"{counted(label.soft, 'pixel')} along the borders with other values than the structures' own ({label.distinct} values in all): "
                "the mask was smoothed, resized or compressed; make it again from its source without interpolation"
            )
            found.append(finding("soft borders", "error", told, [name]))
        elif label.picture:
            found.append(_exchanged(look, label))
    return found


def _exchanged(look: CaseLook, label: LabelLook) -> CheckFinding:
    values = f"the label has {label.distinct} different values"
    if look.image is not None and look.image.distinct < FEW_VALUES:
        told = f"{values}, its image {look.image.distinct}: image and label are exchanged; put them where they belong"
    else:
        told = f"{values}: it is a picture, not a mask; put the mask in its place"
    return finding("exchanged files", "error", told, [look.case.id])


def undeclared(the_set: SetLook) -> list[CheckFinding]:
    """Values and colours that nothing declares; those that occur in the same cases are told together."""
    if not the_set.dataset.targets or not the_set.declared:
        return []
    strays: dict[str, Counter[str]] = defaultdict(Counter)
    declared: dict[str, None] = {}
    single = _single_value(the_set)
    scaled = []
    for look, label in the_set.labelled():
        if is_unreadable_mask(label):
            continue
        known = on_disk(the_set.dataset, look)
        declared.update(dict.fromkeys(known))
        here = {key: pixels for key, pixels in label.counts.items() if key not in known}
        if set(here) == {"255"} and single is not None and set(label.counts) <= {"0", "255"}:
            scaled.append(look.case.id)
            continue
        for key, pixels in here.items():
            strays[key][look.case.id] = pixels
    found = []
    if scaled:
        told = f"the labels hold 0 and 255, where 0 and {single} are declared; save them with {single}, or declare 255"
        found.append(finding("0 and 255", "error", told, scaled, fixable=True))
    for cases, keys in _by_cases(strays).items():
        told = f"{_named(keys, strays)}; declared: {'; '.join(list(declared)[:MOST_NAMED])}; correct the masks, or declare it"
        found.append(finding("undeclared values", "error", told, cases))
    return found


def is_unreadable_mask(label: LabelLook) -> bool:
    """Whether another finding tells why its values are not what they should be."""
    return bool(label.lossy or label.broken or label.soft or label.picture)


def _single_value(the_set: SetLook) -> int | None:
    """The value of the only structure of a set in values; None where there are several, or colours, or it is 255."""
    encodings = the_set.dataset.encodings.values()
    values = {value for one in encodings if isinstance(one, ValueEncoding) for value, internal in one.values.items() if internal}
    only_values = all(isinstance(one, ValueEncoding) for one in encodings)
    return next(iter(values)) if only_values and len(values) == 1 and values != {255} else None


def _by_cases(strays: Mapping[str, Counter[str]]) -> dict[tuple[str, ...], list[str]]:
    groups: dict[tuple[str, ...], list[str]] = {}
    for key, cases in strays.items():
        groups.setdefault(tuple(cases), []).append(key)
    return groups


def _named(keys: Sequence[str], strays: Mapping[str, Counter[str]]) -> str:
    kind = "colour" if "," in keys[0] else "value"
    each = [f"{key} ({counted(sum(strays[key].values()), 'pixel')})" for key in keys[:MOST_NAMED]]
    more = f" and {len(keys) - MOST_NAMED} more" if len(keys) > MOST_NAMED else ""
    where = f"in {counted(len(strays[keys[0]]), 'image')} only"
    several = len(keys) > 1
    return f"the label {kind}{'s' if several else ''} {', '.join(each)}{more}, {where}, {'are' if several else 'is'} not declared"


def habits(the_set: SetLook) -> list[CheckFinding]:
    """How masks are stored, where that works and may still surprise: floats, palettes, 0 and 255, colours where values are declared."""
    labels = [(look, label) for look, label in the_set.labelled() if not is_unreadable_mask(label)]
    found = []
    if floats := [look.case.id for look, label in labels if label.dtype.startswith("float")]:
        told = f"{counted(len(floats), 'label')} of {len(labels)} with whole numbers stored as floats; read as they are meant"
        found.append(finding("float labels", "note", told, floats, fixable=True))
    if palettes := [look.case.id for look, label in labels if label.palette]:
        in_colours = any(isinstance(one, ColourEncoding) for one in the_set.dataset.encodings.values())
        how = "their colours" if in_colours else "the numbers of the colours, not the colours,"
        told = f"{counted(len(palettes), 'label')} of {len(labels)} stored as palette pictures; {how} are taken as labels"
        found.append(finding("palette", "note", told, palettes, fixable=True))
    whites = [look.case.id for look, label in labels if foreground_values(label) == {255}]
    if whites and not the_set.declared and not two_codings(the_set.looks):
        told = f"{counted(len(whites), 'label')} of {len(labels)} with 0 and 255; 255 is taken as the structure, and masks will hold it"
        found.append(finding("0 and 255", "note", told, whites, fixable=True))
    return found
