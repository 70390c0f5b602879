"""The formats in which programs for drawing labels hand them over, one module each; `FORMATS` lists them by the name that `--from` takes."""

from autoseg.annotations import coco, cvat
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

FORMATS: dict[str, Format] = {module.FORMAT.name: module.FORMAT for module in (coco, cvat)}

__all__ = ["FORMATS", "AnnotatedImage", "Annotation", "AnnotationSet", "Bitmap", "Format", "LabelledImage", "MaskFile", "Polygon"]
