"""The formats in which programs for drawing labels hand them over, one module each; `FORMATS` lists them by the name that `--from` takes."""

from autoseg.annotations import bids, coco, cvat, mist_csv, monai_datalist
from autoseg.annotations.base import (
    AnnotatedImage,
    Annotation,
    AnnotationSet,
    Bitmap,
    Format,
    LabelledImage,
    MaskFile,
    Polygon,
)

FORMATS: dict[str, Format] = {module.FORMAT.name: module.FORMAT for module in (coco, cvat, bids, monai_datalist, mist_csv)}

__all__ = ["FORMATS", "AnnotatedImage", "Annotation", "AnnotationSet", "Bitmap", "Format", "LabelledImage", "MaskFile", "Polygon"]
