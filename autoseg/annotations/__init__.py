"""The formats in which programs for drawing labels hand them over, one module each; `FORMATS` lists them by the name that `--from` takes."""

from autoseg.annotations import (
    binary_per_class,
    camvid,
    cityscapes,
    coco,
    colour_masks,
    cvat,
    datumaro,
    labelme,
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
MODULES = (coco, cvat, datumaro, voc, camvid, cityscapes, openimages, labelme, yolo_seg, binary_per_class, colour_masks)
FORMATS: dict[str, Format] = {module.FORMAT.name: module.FORMAT for module in MODULES}

__all__ = [
    "DEFAULTS",
    "FORMATS",
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
