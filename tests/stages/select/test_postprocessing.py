"""Which steps are adopted on masks with planted faults, and that noise is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from autoseg.records import Case, Dataset, PostprocessingStep, PredictedCase, Predictions, Structure, ValueEncoding
from autoseg.stages.select.postprocessing import Trial

TARGETS = (Structure(name="a", values=(1,), output_value=10), Structure(name="b", values=(2,), output_value=20))
N = 12


def written(folder: Path, masks: list[np.ndarray], labels: list[np.ndarray]) -> tuple[Dataset, Predictions]:
    cases, predicted = [], []
    for number, (mask, label) in enumerate(zip(masks, labels, strict=True)):
        name = f"{number}.png"
        for place, array in (("masks", 10 * mask), ("labels", label)):
            (folder / place).mkdir(exist_ok=True)
            Image.fromarray(array.astype(np.uint8)).save(folder / place / name)
        cases.append(
            Case(id=str(number), subject=str(number), images=(f"labels/{name}",), label=f"labels/{name}", spacing_mm=(0.5, 2.0))
        )
        predicted.append(PredictedCase(id=str(number), images=(), status="done", mask=f"masks/{name}"))
    common = {"targets": TARGETS, "derived": (), "regions": False}
    dataset = Dataset(
        name="d", root=str(folder), layout="folders", rank=2, channels=("x",), encodings={"default": ValueEncoding(values={0: 0, 1: 1, 2: 2})},
        cases=tuple(cases), **common,
    )  # fmt: skip
    return dataset, Predictions(run="r", configuration="2d", folds=("0",), device="cpu", cases=tuple(predicted), **common)


def drawn() -> np.ndarray:
    """A block of `a` of 100 pixels, and one of `b` of 36, apart."""
    label = np.zeros((40, 40), np.uint8)
    label[5:15, 5:15], label[25:31, 25:31] = 1, 2
    return label


def steps_of(folder: Path, masks: list[np.ndarray]) -> tuple[PostprocessingStep, ...]:
    trial = Trial(*written(folder, masks, [drawn() for _ in masks]), folder)
    return trial.steps()[0]


def test_islands_beside_a_structure_are_taken_away(tmp_path: Path) -> None:
    """An island of `a` in every mask: its largest component helps; that of the whole foreground would take `b` away, too."""
    masks = []
    for number in range(N):
        mask = drawn()
        mask[35, number : number + 3] = 1
        masks.append(mask)
    assert steps_of(tmp_path, masks) == (PostprocessingStep(kind="largest_component", structure="a"),)


def test_holes_are_filled(tmp_path: Path) -> None:
    masks = []
    for _ in range(N):
        mask = drawn()
        mask[27:29, 27:29] = 0
        masks.append(mask)
    assert steps_of(tmp_path, masks) == (PostprocessingStep(kind="fill_holes", structure="b"),)


def test_one_lucky_case_is_no_evidence(tmp_path: Path) -> None:
    masks = [drawn() for _ in range(N)]
    masks[0][35, 3:9] = 1
    assert steps_of(tmp_path, masks) == ()


def test_specks_go_where_there_are_two_true_parts(tmp_path: Path) -> None:
    """Each label has two parts of `a`, 100 and 50 pixels of 1 mm2; the largest component would lose one of them."""
    labels, masks = [], []
    for number in range(N):
        label = drawn()
        label[5:15, 30:35] = 1
        mask = label.copy()
        mask[38, number : number + 4] = 1
        labels.append(label)
        masks.append(mask)
    dataset, predictions = written(tmp_path, masks, labels)
    steps, judgements = Trial(dataset, predictions, tmp_path).steps()
    assert steps == (PostprocessingStep(kind="minimum_size", structure="a", least=25.0, unit="mm2"),)
    assert [one.adopted for one in judgements if one.candidate == "a: largest component only"] == [False]


def test_false_alarms_are_worth_taking_away(tmp_path: Path) -> None:
    """`b` is absent from every label but two; specks of it are false alarms, which count as 0."""
    masks, labels = [], []
    for number in range(N):
        label = drawn()
        if number > 1:
            label[label == 2] = 0
        mask = label.copy()
        mask[15, 15:18] = 2  # it hangs together with `a`, as part of the foreground
        masks.append(mask)
        labels.append(label)
    steps, _ = Trial(*written(tmp_path, masks, labels), tmp_path).steps()
    assert PostprocessingStep(kind="minimum_size", structure="b", least=18.0, unit="mm2") in steps


def test_heads_that_are_ellipses_become_ellipses(tmp_path: Path) -> None:
    """Labels of `a` are ellipses and the masks have bumps; `b` is a block, and no ellipse is tried on it."""
    y, x = np.mgrid[:60, :80]
    labels, masks = [], []
    for number in range(N):
        label = np.zeros((60, 80), np.uint8)
        label[((y - 28) / 16) ** 2 + ((x - 35) / (20 + number % 4)) ** 2 <= 1] = 1
        label[50:58, 60:70] = 2
        mask = label.copy()
        mask[8:14, 30 + number : 36 + number] = 1
        labels.append(label)
        masks.append(mask)
    steps, judgements = Trial(*written(tmp_path, masks, labels), tmp_path).steps()
    assert PostprocessingStep(kind="ellipse", structure="a") in steps
    assert [one.candidate for one in judgements if "ellipse" in one.candidate] == ["a: the ellipse that fits it"]
