"""What the outputs of a trained nnU-Net model mean: channels and labels of its `dataset.json`, read as nnU-Net reads them.

`label_scheme` reads declarations of data sets, and is free where nnU-Net is not. A trained network's outputs have an order and values that
nothing but nnU-Net's own rules decide, so these stand here.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import NonNegativeInt

from autoseg.layouts.json_part import JsonObject, JsonPart, shown
from autoseg.layouts.label_scheme import mapping_notes
from autoseg.records import Structure, ValueEncoding

BACKGROUND, IGNORE = "background", "ignore"
LabelValues = NonNegativeInt | tuple[NonNegativeInt, ...]


@dataclass(frozen=True)
class ModelLabels:
    """Structures in the order of the network's outputs; see `records.Dataset` for the fields."""

    targets: tuple[Structure, ...]
    regions: bool
    ignore_value: int | None
    encoding: ValueEncoding
    notes: tuple[str, ...] = ()


def read_channels(dataset: JsonPart) -> tuple[str, ...]:
    """Names of the channels in their order; empty where there is a fault."""
    key = "modality" if "modality" in dataset.content else "channel_names"  # as nnU-Net counts a network's inputs
    names = dataset.take(key, dict[str, str], 'names by number, as in {"0": "CT"}')
    if names is None:
        return ()
    wanted = [str(index) for index in range(len(names))]
    if not names or set(names) != set(wanted):
        dataset.fault(key, f"expected channels counted from 0, found {shown(names)}")
        return ()
    return tuple(names[number] for number in wanted)


def read_labels(dataset: JsonPart) -> ModelLabels | None:
    """The structures; None where there are faults, which `dataset` then holds.

    Exclusive labels are outputs in the order of their values, and a mask holds that position (it is the value, where values are
    consecutive, as nnU-Net wants them). Regions, which any list of several values makes, are outputs in the order of declaration,
    and a mask holds the entries of `regions_class_order`.
    """
    declared = dataset.take("labels", JsonObject, "values by name")
    if declared is None:
        return None
    before = len(dataset.faults)
    labels = dataset.part("labels", "values by name")
    values = {name: labels.take(name, LabelValues, "a value of 0 or more, or a list of them") for name in declared}
    if declared.get(BACKGROUND) != 0:
        labels.fault(BACKGROUND, f"expected 0, found {shown(declared.get(BACKGROUND))}")
    ignore = values.pop(IGNORE, None)
    if ignore is not None and not isinstance(ignore, int):
        labels.fault(IGNORE, f"expected one value, found {shown(declared[IGNORE])}")
    several: dict[str, tuple[int, ...]] = {
        name: (found,) if isinstance(found, int) else found or () for name, found in values.items()
    }
    foreground: dict[str, tuple[int, ...]] = {
        name: tuple(sorted({*found} - {0})) for name, found in several.items() if set(found) - {0}
    }
    if not foreground:
        dataset.fault("labels", "name no structure beside the background")
    basic = sorted({value for found in foreground.values() for value in found})
    if isinstance(ignore, int) and ignore != max(basic, default=0) + 1:
        labels.fault(IGNORE, f"expected {max(basic, default=0) + 1}, the value behind the highest one, found {ignore}")
    regions = any(len(found) > 1 for found in several.values())
    if not regions and len(basic) < len(foreground):
        dataset.fault("labels", f"two labels have one value: {shown(declared)}")
    order = _painted(dataset, foreground) if regions else ()
    if len(dataset.faults) > before:
        return None
    internal = {value: index for index, value in enumerate(basic, start=1)}
    if regions:
        targets = [
            _structure(name, [internal[value] for value in foreground[name]], paint)
            for name, paint in zip(foreground, order, strict=True)
        ]
    else:
        names = sorted(foreground, key=lambda name: foreground[name])
        targets = [_structure(name, [index], index) for index, name in enumerate(names, start=1)]
    ignore_value = len(basic) + 1 if isinstance(ignore, int) else None
    on_disk = {0: 0, **internal, **({ignore: ignore_value} if isinstance(ignore, int) and ignore_value is not None else {})}
    encoding = ValueEncoding(values=on_disk)
    return ModelLabels(tuple(targets), regions, ignore_value, encoding, _notes(on_disk, regions))


def _painted(dataset: JsonPart, foreground: dict[str, tuple[int, ...]]) -> tuple[int, ...]:
    what = f"one value for each of the regions {', '.join(foreground)}"
    order = dataset.take("regions_class_order", tuple[NonNegativeInt, ...], what)
    if order is not None and len(order) != len(foreground):
        dataset.fault("regions_class_order", f"expected {what}, found {shown(order)}")
    return order or ()


def _notes(on_disk: dict[int, int], regions: bool) -> tuple[str, ...]:
    if regions:
        return ()
    positions = mapping_notes(on_disk)
    told = "masks hold the position of a label among the values, as nnU-Net writes them"
    return tuple(f"{note}; {told}" for note in positions)


def _structure(name: str, values: list[int], output_value: int) -> Structure:
    return Structure(name=name, values=tuple(values), output_value=output_value)
