"""What the verbs print, read back as text from records with hand-made numbers."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console, RenderableType

from autoseg import cli_tables
from autoseg.pipeline import PlanOutcome
from autoseg.pipeline.fold import FoldOutcome
from autoseg.records import (
    Case,
    CaseFacts,
    Configuration,
    Dataset,
    Decision,
    Fingerprint,
    Fold,
    InferenceSpec,
    MachineProfile,
    NetworkSpec,
    Normalization,
    Plan,
    PredictedCase,
    Predictions,
    Preparation,
    Scores,
    Splits,
    Structure,
    StructureSize,
    Summary,
    TrainingSpec,
    ValueEncoding,
)
from autoseg.stages.plan.augmentation import augmentation_for

CSP = Structure(name="CSP [x]", values=(1,), output_value=1)  # square brackets must not be read as markup


def _text(parts: list[RenderableType]) -> str:
    console = Console(file=io.StringIO(), width=160)
    for part in parts:
        console.print(part, markup=False, highlight=False)
    return console.file.getvalue()  # type: ignore[attr-defined]


def _row(text: str, first: str) -> list[str]:
    """Cells of the first line that begins with a word, by the gaps of two blanks between them."""
    line = next(line for line in text.splitlines() if line.strip().startswith(first))
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def _summary(**changes: object) -> Summary:
    values: dict[str, object] = {
        "cases": 10,
        "present": 8,
        "missed": 1,
        "absent": 2,
        "false_alarms": 1,
        "false_alarm_rate": 0.5,
        "dice": 0.8765,
        "dice_interval": (0.8, 0.95),
        "dice_median": 0.9,
        "iou": 0.78,
        "accuracy": 0.99,
        "precision": 0.9,
        "recall": 0.85,
        "hd95_mm": 3.456,
        "assd_mm": 1.2,
        "surface_dice": 0.66,
        "absolute_relative_size_error": 0.045,
        "without_mm": 0,
        "circumference_mae_mm": None,
    }
    return Summary.model_validate(values | changes)


def _scores(**summary: Summary) -> Scores:
    return Scores(labels="l", predictions="p", mean_dice=0.8765, cases=(), summary=summary, tolerance_mm=2.0)


def test_what_is_always_there_has_no_columns_of_absence() -> None:
    text = _text(cli_tables.scores_report(_scores(CSP=_summary(absent=0, false_alarms=0, false_alarm_rate=None, present=10))))
    assert "absent" not in text and "alarms" not in text
    assert _row(text, "CSP")[:4] == ["CSP", "10", "1", "0.876 [0.800..0.950]"]


def test_scores_of_an_older_version_show_what_they_have() -> None:
    scores = _scores(CSP=_summary(surface_dice=None, absolute_relative_size_error=None)).model_copy(update={"tolerance_mm": None})
    text = _text(cli_tables.scores_report(scores))
    assert "surface" not in text and "error %" not in text and _row(text, "CSP")[-1] == "1.20"


def test_scores_table() -> None:
    text = _text(cli_tables.scores_report(_scores(CSP=_summary(), LV=_summary(dice=None, dice_interval=None, without_mm=3))))
    assert _row(text, "CSP") == [
        "CSP",
        "8",
        "1",
        "2",
        "1",
        "0.876 [0.800..0.950]",
        "0.780",
        "0.900",
        "0.850",
        "0.660",
        "3.46",
        "1.20",
        "4.5",
    ]
    assert "surface (2 mm)" in text and "error %" in text
    assert "accuracy" not in text, "it is near 1 whatever a small structure is like"
    assert _row(text, "LV")[5] == "-"
    assert "HC MAE" not in text, "a column without a figure is left out"
    assert "3 cases have no known spacing" in text
    assert "a missed structure counts" in text


def test_scores_table_of_heads_shows_the_circumference_and_what_is_missing() -> None:
    scores = _scores(head=_summary(circumference_mae_mm=2.0, missed=0)).model_copy(update={"missing": tuple("abcdefghijkl")})
    text = _text(cli_tables.scores_report(scores))
    assert "HC MAE mm" in text and _row(text, "head")[-1] == "2.00"
    assert "no prediction for 12 labelled cases: a, b, c, d, e, f, g, h, i, j and 2 more" in text
    assert "a missed structure counts" not in text


def test_train_table_and_the_mean_over_folds() -> None:
    def outcome(fold: str, dice: float | None) -> FoldOutcome:
        scores = None if dice is None else _scores(CSP=_summary(dice=dice)).model_copy(update={"mean_dice": dice})
        return FoldOutcome(fold=fold, configuration="2d", scores=scores, seconds=600.0, epochs=7, folder=Path("f"))

    text = _text(cli_tables.train_report([outcome("0", 0.8), outcome("1", 0.9), outcome("full", None)], Path("run")))
    assert _row(text, "0 ") == ["0", "0", "0.800", "0.800", "10 min", "7"]
    assert _row(text, "full") == ["full", "0", "-", "-", "10 min", "7"]
    assert "Mean Dice over 2 folds: 0.850 (lowest 0.800, highest 0.900)" in text
    assert "Next: autoseg predict run IMAGES OUT" in text


def test_predict_report_names_the_folds_and_at_most_twenty_failures() -> None:
    done = PredictedCase(id="a", images=("a.png",), status="done", mask="a.png", seconds=0.5)
    failed = [PredictedCase(id=f"f{i}", images=("f.png",), status="failed", error="not an image") for i in range(25)]
    predictions = Predictions(
        run="run",
        configuration="2d",
        folds=("0", "1"),
        device="cpu",
        targets=(),
        derived=(),
        regions=False,
        cases=(done, *failed),
    )
    text = _text(cli_tables.predict_report(predictions, Path("out")))
    assert "Model: 2d, the mean of folds 0, 1, on cpu" in text
    assert "1 done, 25 failed (0.5 s each)" in text
    assert text.count("failed: f") == 20
    assert "and 5 more; out/predictions.json names them" in text


def test_plan_report() -> None:
    text = _text(cli_tables.plan_report(_plan_outcome()) + cli_tables.next_after_plan(Path("run"), _plan_outcome().splits))
    assert _row(text, "cases") == ["cases", "3 of 2 subjects, 1 of them without label"]
    assert _row(text, "size") == ["size", "110 x 200, from 100..120 x 200..200 (y, x)"]
    assert _row(text, "spacing") == ["spacing", "0.5 x 0.5 mm; unknown for 1 cases"]
    assert _row(text, "folds") == ["folds", "by subject; training+validation cases: 1+1"]
    assert _row(text, "device") == ["device", "cpu, a laptop, 2 cores, 8.0 GiB, bfloat16"]
    assert _row(text, "CSP") == ["CSP [x]", "target", "1", "1", "25", "25", "25"]
    assert "note: labels 255 mean CSP" in text
    assert _row(text, "patch") == ["patch", "96x96", "fits [8 GB]"]
    assert "transpose" not in text, "there was nothing to decide"
    assert "2d: a fold trains for 4 epochs of 50 steps, made to fit 20 min with its validation" in text
    assert "Next: autoseg train run --fold 0" in text


def _plan_outcome() -> PlanOutcome:
    dataset = Dataset(
        name="heads",
        layout="folders",
        root="/data",
        rank=2,
        channels=("US",),
        targets=(CSP,),
        encodings={"default": ValueEncoding(values={255: 1})},
        cases=(
            Case(id="a", subject="1", images=("a.png",), label="a.png"),
            Case(id="b", subject="2", images=("b.png",), label="b.png"),
            Case(id="c", subject="2", images=("c.png",)),
        ),
        notes=("labels 255 mean CSP",),
    )
    facts = [
        CaseFacts(
            id=name,
            shape=(height, 200),
            spacing_mm=spacing,
            orientation=None,
            shape_after_crop=(height, 200),
            structures={CSP.name: StructureSize(pixels=pixels, size=25.0 if pixels else 0.0, thickness=5.0)},
            intensities=None,
            content_hash=name,
        )
        for name, height, spacing, pixels in (("a", 100, (0.5, 0.5), 100), ("b", 120, None, 0))
    ]
    configuration = Configuration(
        name="2d",
        preparation=Preparation(
            canonical_orientation=False,
            transpose=(0, 1),
            crop_to_nonzero=True,
            spacing_mm=None,
            normalization=(Normalization(scheme="zscore"),),
        ),
        network=NetworkSpec(
            rank=2,
            in_channels=1,
            out_channels=2,
            features=(8, 16),
            strides=((1, 1), (2, 2)),
            kernel_sizes=((3, 3), (3, 3)),
            encoder_blocks=(2,) * 2,
            decoder_convs=(2,) * 1,
        ),
        training=TrainingSpec(
            patch_size=(96, 96),
            batch_size=2,
            epochs=4,
            steps_per_epoch=50,
            validation_steps=2,
            time_budget_seconds=1200,
            batch_dice=False,
            mirror_axes=(0, 1),
        ),
        augmentation=augmentation_for("default", (8, 8)),
        inference=InferenceSpec(mirror_axes=(0, 1)),
        median_shape=(110, 200),
        decisions=(
            Decision(
                name="patch", choice="96x96", rule="r", reason="fits [8 GB]", numbers={"memory": 8}, alternative="more: --memory."
            ),
            Decision(name="transpose", choice="0, 1", rule="r", reason="as it is", numbers={}, alternative="none."),
        ),
    )
    return PlanOutcome(
        dataset=dataset,
        fingerprint=Fingerprint(cases=tuple(facts), intensities=(), median_relative_size_after_crop=1.0),
        splits=Splits(rule="by subject", seed=1, folds=(Fold(train=("a",), validation=("b",)),)),
        plan=Plan(
            preset="default",
            device="cpu",
            rank=2,
            channels=("US",),
            targets=(CSP,),
            derived=(),
            regions=False,
            ignore_value=None,
            dataset_digest="0",
            default="2d",
            configurations={"2d": configuration},
        ),
        machine=MachineProfile(device="cpu", name="a laptop", cores=2, memory_bytes=8 * 2**30, precision="bfloat16"),
    )
