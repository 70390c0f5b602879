"""Small data sets whose labels have known faults, with what a network would have said of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from autoseg.inference.export import save_probabilities
from autoseg.records import Case, Dataset, PredictedCase, Predictions, Structure, ValueEncoding

SHAPE = (48, 64)
TARGETS = (Structure(name="A", values=(1,), output_value=10), Structure(name="B", values=(2,), output_value=20))
FAULTY = ("shifted", "exchanged", "cut", "empty")


def truth(number: int) -> np.ndarray:
    """Two boxes beside each other, elsewhere in each case."""
    labels = np.zeros(SHAPE, np.uint8)
    top, left = 6 + number % 5, 8 + number % 7
    labels[top : top + 24, left : left + 18], labels[top : top + 24, left + 18 : left + 40] = 1, 2
    return labels


def with_fault(labels: np.ndarray, fault: str) -> np.ndarray:
    changed = labels.copy()
    if fault == "shifted":
        return np.roll(labels, (4, -3), (0, 1))
    if fault == "exchanged":
        return np.array([0, 2, 1], np.uint8)[labels]
    if fault == "empty":
        changed[labels == 1] = 0
        return changed
    columns = np.flatnonzero((labels == 2).any(axis=0))
    changed[:, columns[-8:]] = 0
    return changed


def write_set(root: Path, sound: int = 16) -> tuple[Dataset, Predictions, Path]:
    """Cases `case_NN`, and one named for each fault; the network is right but for part of the uppermost row, in two folds."""
    cases, predicted = [], []
    random = np.random.default_rng(0)
    out = root / "selection"
    for number, name in enumerate([f"case_{index:02d}" for index in range(sound)] + list(FAULTY)):
        right = truth(number)
        label = with_fault(right, name) if name in FAULTY else right
        seen = right.copy()
        seen[np.flatnonzero(right.any(axis=1))[0], : 8 + number % 7 + int(random.integers(2, 30))] = 0
        for folder, array in (("images", 60 * right + 20), ("labels", label)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(root / folder / f"{name}.png")
        cases.append(
            Case(id=name, subject=name, images=(f"images/{name}.png",), label=f"labels/{name}.png", spacing_mm=(0.5, 0.5))
        )
        predicted.append(write_prediction(out, name, seen, fold=number % 2))
    dataset = Dataset(
        name="boxes", layout="folders", root=str(root), rank=2, channels=("US",), targets=TARGETS,
        encodings={"default": ValueEncoding(values={0: 0, 1: 1, 2: 2})}, cases=tuple(cases),
    )  # fmt: skip
    predictions = Predictions(
        run=str(root), configuration="2d", folds=("0", "1"), device="cpu", targets=TARGETS, derived=(), regions=False,
        cases=tuple(predicted),
    )  # fmt: skip
    return dataset, predictions, out


def write_prediction(out: Path, name: str, seen: np.ndarray, fold: int) -> PredictedCase:
    place = out / f"fold_{fold}"
    place.mkdir(parents=True, exist_ok=True)
    Image.fromarray(10 * seen).save(place / f"{name}.png")
    probabilities = np.stack([np.where(seen == value, 0.96, 0.02) for value in range(3)]).astype(np.float16)
    save_probabilities(place / f"{name}.npz", probabilities)
    files = {"mask": f"fold_{fold}/{name}.png", "probabilities": f"fold_{fold}/{name}.npz"}
    return PredictedCase(id=name, images=(f"{name}.png",), status="done", spacing_mm=(0.5, 0.5), **files)  # type: ignore[arg-type]
