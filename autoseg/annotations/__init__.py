"""The formats in which programs for drawing labels hand them over, one module each; `FORMATS` lists them by the name that `--from` takes."""

from autoseg.annotations import (
    bids,
    binary_per_class,
    camvid,
    cityscapes,
    coco,
    colour_masks,
    cvat,
    datumaro,
    labelme,
    mist_csv,
    monai_datalist,
    openimages,
    voc,
    yolo_seg,
)
from autoseg.annotations.base import (
    DEFAULTS,
    AnnotatedImage,
    Annotation,
    AnnotationSet,
    Bitmap,
    Format,
    LabelledImage,
    MaskFile,
    Polygon,
    ReadOptions,
)

# What is told apart by files of its own comes first; plain folders of pictures, which others hold too, come last.
MODULES = (
    coco,
    cvat,
    datumaro,
    bids,
    monai_datalist,
    mist_csv,
    voc,
    camvid,
    cityscapes,
    openimages,
    labelme,
    yolo_seg,
    binary_per_class,
    colour_masks,
)
FORMATS: dict[str, Format] = {module.FORMAT.name: module.FORMAT for module in MODULES}
PLAIN = frozenset({binary_per_class.FORMAT.name, colour_masks.FORMAT.name})  # folders of pictures, as others are, too

__all__ = [
    "DEFAULTS",
    "FORMATS",
    "PLAIN",
    "AnnotatedImage",
    "Annotation",
    "AnnotationSet",
    "Bitmap",
    "Format",
    "LabelledImage",
    "MaskFile",
    "Polygon",
    "ReadOptions",
]
