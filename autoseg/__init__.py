"""From a folder of images to masks and scores.

The public functions are `check`, `plan`, `train`, `status`, `select`, `predict`, `measure`, `evaluate`, `compare`, `doctor`, `benchmark`,
`export_model`, `import_model`, `export_masks`, `hand_on_masks`, `import_dataset` and `fetch`, the same as the verbs of the command line;
`Predictor` segments arrays with a model that is loaded once. They are loaded on first use, so that `import autoseg` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autoseg.pipeline import (
        benchmark,
        check,
        compare,
        doctor,
        evaluate,
        export_masks,
        export_model,
        fetch,
        hand_on_masks,
        import_dataset,
        import_model,
        measure,
        plan,
        predict,
        select,
        train,
    )
    from autoseg.pipeline.predictor import Prediction, Predictor
    from autoseg.pipeline.status import status

__all__ = [
    "Prediction",
    "Predictor",
    "__version__",
    "benchmark",
    "check",
    "compare",
    "doctor",
    "evaluate",
    "export_masks",
    "export_model",
    "fetch",
    "hand_on_masks",
    "import_dataset",
    "import_model",
    "measure",
    "plan",
    "predict",
    "select",
    "status",
    "train",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name in ("Prediction", "Predictor"):
        return getattr(import_module("autoseg.pipeline.predictor"), name)
    if name in __all__:
        return getattr(import_module("autoseg.pipeline"), name)
    raise AttributeError(f"module 'autoseg' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
