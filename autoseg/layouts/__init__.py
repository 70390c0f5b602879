"""The ways a data set lies on disk, one module each; `LAYOUTS` lists them by the name that `--layout` takes."""

from autoseg.layouts import fetal_head, folders, hc18, msd, nnunet
from autoseg.layouts.base import Layout, LayoutResult, ReadOptions, Recognition

LAYOUTS: dict[str, Layout] = {module.LAYOUT.name: module.LAYOUT for module in (nnunet, msd, hc18, fetal_head, folders)}

__all__ = ["LAYOUTS", "Layout", "LayoutResult", "ReadOptions", "Recognition"]
