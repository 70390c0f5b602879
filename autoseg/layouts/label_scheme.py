"""From a declaration of labels (`dataset.json`) to internal values 1..K, structures and the encoding of the files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from autoseg.errors import DataError, Fault
from autoseg.records import ColourEncoding, LabelEncoding, Structure, ValueEncoding

BACKGROUND_NAME = "background"
IGNORE_NAME = "ignore"


@dataclass(frozen=True)
class LabelScheme:
    """What labels mean: see `records.Dataset` for the fields."""

    targets: tuple[Structure, ...]
    encoding: LabelEncoding
    regions: bool = False
    ignore_value: int | None = None
    notes: tuple[str, ...] = field(default=())


def declared_labels(
    labels: object,
    *,
    regions_class_order: object = None,
    ignore: int | None = None,
    lists_are_regions: bool = True,
    where: str = "dataset.json",
) -> LabelScheme:
    """The scheme of `{"background": 0, "a": 1, "b": [1, 2], "ignore": 3}` (or the older `{"0": "background", "1": "a"}`).

    Without lists the structures are exclusive and a predicted mask holds the declared value (a structure's first one where
    it has several). With regions the internal values are the sorted set of all basic values, and a mask holds the entry of
    `regions_class_order`; later regions are painted over earlier ones, as in nnU-Net.

    Args:
        labels: the declaration.
        regions_class_order: the value painted for each region, in the order of declaration.
        ignore: value of pixels that are not annotated, where not declared as a label named "ignore".
        lists_are_regions: any list makes regions (nnU-Net); otherwise only lists that overlap do, and lists apart from
            each other are merged into one label each.
        where: the file's name for errors.

    Raises:
        DataError: the declaration is not of this form (all faults at once).
    """
    values, faults = _value_lists(labels, where)
    if ignore is None and (ignored := values.get(IGNORE_NAME)):
        ignore = ignored[0]
    apart = {IGNORE_NAME, BACKGROUND_NAME}
    names = [name for name, several in values.items() if name.casefold() not in apart and set(several) - {0}]
    basic = [value for name in names for value in dict.fromkeys(values[name]) if value != 0]
    overlap = len(set(basic)) < len(basic)
    regions = overlap or (lists_are_regions and any(len(values[name]) > 1 for name in names))
    if not names:
        faults.append(Fault(where, "labels declare no structure besides the background; name at least one"))
    if ignore is not None and ignore in {0, *basic}:
        faults.append(Fault(where, f"the ignore value {ignore} is also the value of a structure or of the background"))
    order = _paint_values(regions_class_order, names, where, faults) if regions else []
    if faults:
        raise DataError(faults)
    if regions:
        internal = {value: index for index, value in enumerate(sorted(set(basic)), start=1)}
        inside = {name: [internal[value] for value in values[name] if value] for name in names}
        targets = [_structure(name, inside[name], paint) for name, paint in zip(names, order, strict=True)]
    else:
        ordered = sorted(names, key=lambda name: min(v for v in values[name] if v))
        internal = {value: index for index, name in enumerate(ordered, start=1) for value in values[name] if value}
        targets = [_structure(name, [index], next(v for v in values[name] if v)) for index, name in enumerate(ordered, start=1)]
    ignore_value = max(internal.values()) + 1 if ignore is not None else None
    on_disk = {0: 0, **internal, **({ignore: ignore_value} if ignore is not None and ignore_value is not None else {})}
    return LabelScheme(tuple(targets), ValueEncoding(values=on_disk), regions, ignore_value, mapping_notes(on_disk))


def mapping_notes(on_disk: Mapping[int, int]) -> tuple[str, ...]:
    """A sentence that tells how values on disk are mapped; none where they are 0..K already."""
    changed = {value: internal for value, internal in on_disk.items() if value != internal}
    if not changed:
        return ()
    return ("label values on disk are mapped: " + ", ".join(f"{value} -> {internal}" for value, internal in on_disk.items()),)


def colour_scheme(
    colours: Mapping[str, str],
    *,
    output_values: Mapping[str, int] | None = None,
    ignore: str | None = None,
    where: str = "dataset.json",
) -> LabelScheme:
    """The scheme of masks stored as colours: `{"name": "r,g,b"}` in the order of the internal values.

    Black is background unless a structure claims it. A predicted mask holds `output_values`, else 1..K.

    Raises:
        DataError: an unreadable colour, or one colour for two structures.
    """
    names = [name for name in colours if name.casefold() != BACKGROUND_NAME]
    background = next((colours[name] for name in colours if name.casefold() == BACKGROUND_NAME), "0,0,0")
    faults: list[Fault] = []
    encoded = {parse_colour(background, where, faults): 0}
    wanted = [(name, colours[name], index) for index, name in enumerate(names, start=1)]
    ignore_value = len(names) + 1 if ignore is not None else None
    if ignore is not None and ignore_value is not None:
        wanted.append((IGNORE_NAME, ignore, ignore_value))
    for name, colour, value in wanted:
        key = parse_colour(colour, where, faults)
        if encoded.get(key, value) != value and key:
            faults.append(Fault(where, f"the colour {key} of {name} is declared twice; every structure needs its own"))
        encoded[key] = value
    if not names:
        faults.append(Fault(where, "colours declare no structure besides the background; name at least one"))
    if faults:
        raise DataError(faults)
    output = output_values or {}
    targets = tuple(_structure(name, [index], output.get(name, index)) for index, name in enumerate(names, start=1))
    return LabelScheme(targets, ColourEncoding(colours=encoded), ignore_value=ignore_value)


def parse_colour(colour: object, where: str, faults: list[Fault]) -> str:
    """A colour as "r,g,b" from "r,g,b", "#rrggbb" or [r, g, b]; "" and a fault where it is none of these."""
    numbers: list[int] = []
    if isinstance(colour, str) and re.fullmatch(r"#[0-9a-fA-F]{6}", colour.strip()):
        numbers = list(bytes.fromhex(colour.strip()[1:]))
    elif isinstance(colour, str) and re.fullmatch(r"\s*\d+\s*,\s*\d+\s*,\s*\d+\s*", colour):
        numbers = [int(part) for part in colour.split(",")]
    elif isinstance(colour, Sequence) and all(isinstance(part, int) for part in colour):
        numbers = [int(part) for part in colour]
    if len(numbers) != 3 or any(not 0 <= number <= 255 for number in numbers):
        faults.append(Fault(where, f'expected a colour such as "255,0,0", found {colour!r}'))
        return ""
    return ",".join(map(str, numbers))


def derived_structures(declared: object, targets: Sequence[Structure], where: str = "dataset.json") -> tuple[Structure, ...]:
    """Unions `{"head": ["Brain", "CSP"]}` of targets.

    Raises:
        DataError: a name that is not a target, or is taken already.
    """
    by_name = {target.name: target for target in targets}
    if not isinstance(declared, dict):
        raise DataError([Fault(where, f'expected derived as {{"name": ["target", ...]}}, found {declared!r}')])
    faults: list[Fault] = []
    result: list[Structure] = []
    first_free = max(target.output_value for target in targets) + 1
    for index, (name, parts) in enumerate(declared.items()):
        unknown = [part for part in parts if part not in by_name] if isinstance(parts, list) else [parts]
        if unknown or name in by_name:
            problem = f"is made of {unknown}, which are not labels" if unknown else "has the name of a label"
            faults.append(Fault(where, f"derived structure {name} {problem}; labels: {', '.join(by_name)}"))
            continue
        values = sorted({value for part in parts for value in by_name[part].values})
        result.append(_structure(str(name), values, first_free + index))
    if faults:
        raise DataError(faults)
    return tuple(result)


def _structure(name: str, values: Sequence[int], output_value: int) -> Structure:
    return Structure(name=name, values=tuple(sorted(set(values))), output_value=output_value)


def _value_lists(labels: object, where: str) -> tuple[dict[str, list[int]], list[Fault]]:
    """`labels` as name -> values, from either direction of the declaration."""
    if not isinstance(labels, dict) or not labels:
        return {}, [Fault(where, f'expected labels such as {{"background": 0, "tumour": 1}}, found {labels!r}')]
    if all(str(key).isdigit() and isinstance(name, str) for key, name in labels.items()):
        labels = {name: int(key) for key, name in labels.items()}
    values: dict[str, list[int]] = {}
    faults: list[Fault] = []
    for name, declared in labels.items():
        several = declared if isinstance(declared, list) else [declared]
        if not several or any(isinstance(v, bool) or not isinstance(v, int) or v < 0 for v in several):
            faults.append(Fault(where, f"label {name}: expected a value of 0 or more or a list of them, found {declared!r}"))
            continue
        values[str(name)] = [int(value) for value in several]
    return values, faults


def _paint_values(order: object, names: Sequence[str], where: str, faults: list[Fault]) -> list[int]:
    if not isinstance(order, list) or len(order) != len(names) or not all(isinstance(v, int) and v > 0 for v in order):
        faults.append(
            Fault(
                where,
                f"labels are regions ({', '.join(names)}), so regions_class_order must list {len(names)} values, one per region "
                f"in this order, painted over each other; found {order!r}",
            )
        )
        return []
    return [int(value) for value in order]
