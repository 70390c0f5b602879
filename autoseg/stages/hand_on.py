"""Predicted masks -> the formats in which people correct them: colours, COCO, CVAT, or a data set of their own."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from autoseg.annotations import coco, cvat
from autoseg.annotations.base import Colour, LabelledImage
from autoseg.errors import DataError, Fault
from autoseg.inference.overlay import PALETTE
from autoseg.layouts.base import listed
from autoseg.layouts.written_tables import PIXEL_SIZES, save_pixel_sizes
from autoseg.records import PredictedCase, Predictions, Structure, write_text
from autoseg.volume.copying import copy_image
from autoseg.volume.files import is_dicom, is_volume, read, read_header, split_suffix, write_labels
from autoseg.volume.geometry import Geometry
from autoseg.volume.volume import Volume

MaskFormat = Literal["colours", "coco", "cvat", "labels"]
MASK_FORMATS: tuple[MaskFormat, ...] = get_args(MaskFormat)
OF_PICTURES = ("colours", "coco", "cvat")
CLASSES, LISTS = "SegmentationClass", "ImageSets/Segmentation"
log = logging.getLogger(__name__)

HEADER = "# label:color_rgb:parts:actions"


def hand_on(
    predictions: Predictions, masks: Path, out: Path, to: MaskFormat, on_done: Callable[[int], None] | None = None
) -> list[Path]:
    """Write the masks of a prediction in another format; each holds the very pixels of the masks.

    `colours` is CVAT's and PASCAL VOC's `SegmentationClass` with `labelmap.txt`; `coco` and `cvat` are one file of run lengths; `labels` is a
    data set that `plan` reads, images included. A region holds what was painted as it, and as regions that lie wholly in it; in `colours`,
    which cannot show that, the former alone.

    Args:
        predictions: of the masks.
        masks: their folder.
        out: where to.
        to: the format.
        on_done: called with the number of masks done so far.

    Returns:
        The files that whoever goes on has to know.

    Raises:
        DataError: there is no mask, one was changed in size or values, or masks of volumes are to become pictures.
    """
    done = [case for case in predictions.cases if case.status == "done" and case.mask is not None]
    if not done:
        raise DataError(f"{masks} holds no mask that was predicted")
    if to in OF_PICTURES and (volumes := [case for case in done if is_volume(masks / str(case.mask))]):
        raise DataError(
            f"{volumes[0].id} is a volume, which {to} cannot hold; its mask is a label map that 3D programs open as it is (--to labels)"
        )
    values = {target.name: target.output_value for target in predictions.targets}
    painted = painted_as(predictions.targets)
    if to == "labels":
        files = _data_set(done, masks, values, out, on_done)
        _declare(predictions, painted, out / "dataset.json")
        return files
    images = _labelled(done, masks, values, picture_names(done), on_done)
    if to == "coco":
        coco.write(out / "annotations" / "instances_default.json", images, painted)
        return [out / "annotations" / "instances_default.json"]
    if to == "cvat":
        cvat.write(out / "annotations.xml", images, painted)
        return [out / "annotations.xml"]
    if wider := [name for name, several in painted.items() if len(several) > 1]:
        log.warning("colours show %s without what lies in it; --to cvat, coco or labels keeps the whole of it", listed(wider))
    return _colours(images, values, out)


def painted_as(targets: Sequence[Structure]) -> dict[str, tuple[int, ...]]:
    """The values of a predicted mask that belong to each structure: its own, and those of regions that lie wholly in it."""
    return {
        one.name: (one.output_value, *(other.output_value for other in targets if set(other.values) < set(one.values)))
        for one in targets
    }


def colours_of(names: Mapping[str, int]) -> dict[str, Colour]:
    """A colour for each structure: the palette of the overlays, and evenly spread ones where it ends."""
    spread = [(int(53 * n) % 256, int(131 * n + 64) % 256, int(197 * n + 128) % 256) for n in range(1, len(names) + 1)]
    return {name: PALETTE[place] if place < len(PALETTE) else spread[place] for place, name in enumerate(names)}


def picture_names(cases: Sequence[PredictedCase]) -> list[str]:
    """What each case's picture is called in `colours`, `coco` and `cvat`: its file's name; where several have one, the case's id with the suffix.

    In `colours` masks are called after the name without its suffix, so names that differ in the suffix alone count as one; as do names that
    differ in upper and lower case, which some systems take for one file.

    Raises:
        DataError: the ids are no names either that tell the pictures apart.
    """
    names = [Path(case.images[0]).name if case.images else str(case.mask) for case in cases]
    seen = Counter(_stem(name) for name in names)
    found = [
        name if seen[_stem(name)] == 1 else f"{case.id}{split_suffix(name)[1]}" for name, case in zip(names, cases, strict=True)
    ]
    again = Counter(map(_stem, found))
    if faults := [
        Fault(case.id, f"would be called {name} as another case is; rename its image, and predict it again")
        for name, case in zip(found, cases, strict=True)
        if again[_stem(name)] > 1
    ]:
        raise DataError(faults)
    if renamed := [name for name, before in zip(found, names, strict=True) if name != before]:
        log.warning(
            "%d images share their names with others, and are called after their cases: %s", len(renamed), listed(renamed)
        )
    return found


def _stem(name: str) -> str:
    return split_suffix(name)[0].casefold()


def _labelled(
    cases: list[PredictedCase], masks: Path, values: Mapping[str, int], names: list[str], on_done: Callable[[int], None] | None
) -> Iterator[LabelledImage]:
    for number, (case, name) in enumerate(zip(cases, names, strict=True), start=1):
        yield LabelledImage(name, _mask_of(case, masks, values).array[0])
        if on_done:
            on_done(number)


def _mask_of(case: PredictedCase, masks: Path, values: Mapping[str, int]) -> Volume:
    """A case's mask, which has to be as it was predicted.

    Raises:
        DataError: it holds other values, or is of another size than its image, where that is still there.
    """
    mask = read(masks / str(case.mask))
    if strange := set(np.unique(mask.array).tolist()) - {0, *values.values()}:
        raise DataError([Fault(case.id, f"its mask holds {min(strange):g}, which the model does not paint; predict it again")])
    image = Path(case.images[0]) if case.images else None
    if image is not None and image.is_file() and (shape := read_header(image).shape) != mask.array.shape[1:]:
        found, wanted = ("x".join(map(str, reversed(one))) for one in (mask.array.shape[1:], shape))
        raise DataError([Fault(case.id, f"its mask has {found} pixels, and its image {wanted}; predict it again")])
    return mask


def _colours(images: Iterator[LabelledImage], values: Mapping[str, int], out: Path) -> list[Path]:
    from PIL import Image

    from autoseg.inference.overlay import save_picture

    colours = colours_of(values)
    table = np.zeros((max(values.values()) + 1, 3), np.uint8)
    for name, value in values.items():
        table[value] = colours[name]
    stems = []
    for image in images:
        stem = split_suffix(image.name)[0]
        stems.append(stem)
        save_picture(out / CLASSES / f"{stem}.png", Image.fromarray(table[image.labels]))
    write_text(out / LISTS / "default.txt", "\n".join(stems) + "\n")
    lines = [f"{name}:{','.join(map(str, colour))}::" for name, colour in {"background": (0, 0, 0), **colours}.items()]
    write_text(out / "labelmap.txt", "\n".join([HEADER, *lines]) + "\n")
    return [out / CLASSES, out / "labelmap.txt"]


def _data_set(
    cases: list[PredictedCase],
    masks: Path,
    values: Mapping[str, int],
    out: Path,
    on_done: Callable[[int], None] | None,
) -> list[Path]:
    """Images and label maps in the layout `folders`, and their pixel sizes."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    for number, case in enumerate(cases, start=1):
        files = [Path(image) for image in case.images]
        if missing := [file for file in files if not file.exists() and not is_dicom(file)]:  # FOLDER/series@N is no file
            raise DataError([Fault(case.id, f"its image {missing[0]} is not there any more; restore it")])
        volume = _mask_of(case, masks, values)
        suffix = split_suffix(str(case.mask))[1]
        write_labels(out / "labels" / f"{case.id}{suffix}", volume.array[0], volume.geometry or Geometry.plain(2, None))
        for channel, file in enumerate(files):
            copy_image(file, out / "images" / f"{case.id}{f'_{channel:04d}' if len(files) > 1 else ''}")
        if on_done:
            on_done(number)
    if headers := [image for case in cases for image in case.images if is_dicom(Path(image))]:
        log.warning(
            "%d images are DICOM and were copied as they are, with all that their headers say of the patient", len(headers)
        )
    spacings = {case.id: case.spacing_mm for case in cases if case.spacing_mm is not None and len(case.spacing_mm) == 2}
    if spacings:
        save_pixel_sizes(out / PIXEL_SIZES, [case.id for case in cases], spacings)
    return [out / "dataset.json"]


def _declare(predictions: Predictions, painted: Mapping[str, Sequence[int]], file: Path) -> None:
    """What the labels mean: regions where some lie in others, and structures that are made of several."""
    targets = predictions.targets
    regions = any(len(several) > 1 for several in painted.values())
    labels = {"background": 0} | {name: list(several) if regions else several[0] for name, several in painted.items()}
    content: dict[str, object] = {"labels": labels}
    if regions:
        content["regions_class_order"] = [target.output_value for target in targets]
    unions = {one.name: [part.name for part in targets if set(part.values) <= set(one.values)] for one in predictions.derived}
    write_text(file, json.dumps(content | ({"derived": unions} if unions else {}), indent=1) + "\n")
