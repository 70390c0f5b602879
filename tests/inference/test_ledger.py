"""The record of an output folder: when it is written, and what it takes for finished."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from autoseg.engines.weights import file_sha256
from autoseg.errors import RecordError
from autoseg.inference.inputs import PredictionInput, image_names
from autoseg.inference.ledger import Ledger
from autoseg.records import PREDICTIONS_FILE, Extra, PredictedCase, Predictions, Structure

HEADER = Predictions(
    run="r",
    configuration="2d",
    folds=("0",),
    device="cpu",
    targets=(Structure(name="Head", values=(1,), output_value=1),),
    derived=(),
    regions=False,
    cases=(),
)


@pytest.fixture
def item(tmp_path: Path) -> PredictionInput:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").touch()
    return PredictionInput.of("a", [tmp_path / "in" / "a.png"])


def done(item: PredictionInput, spacing: tuple[float, ...] | None = None) -> PredictedCase:
    return PredictedCase(id=item.id, images=image_names(item), status="done", mask=item.mask, spacing_mm=spacing)


def names(out: Path) -> list[str]:
    return [case.id for case in Predictions.load(out / PREDICTIONS_FILE).cases]


def test_the_record_is_there_from_the_beginning_and_saved_now_and_then(tmp_path: Path, item: PredictionInput) -> None:
    out = tmp_path / "out"
    ledger = Ledger.open(out, HEADER, [item], overwrite=False)
    assert names(out) == []
    ledger.add(done(item))
    assert names(out) == []  # saved a moment ago
    ledger.save()
    assert names(out) == ["a"]


def test_what_counts_as_finished(tmp_path: Path, item: PredictionInput) -> None:
    out = tmp_path / "out"
    ledger = Ledger.open(out, HEADER, [item], overwrite=False)
    ledger.add(done(item, (0.1, 0.1)).model_copy(update={"probabilities": "a.npz"}))

    def finished(spacing: tuple[float, ...] | None = None, *save: Extra) -> bool:
        return ledger.finished(item, spacing, save) is not None

    assert not finished()  # no mask
    (out / "a.png").touch()
    assert finished() and finished((0.1, 0.1))
    assert not finished((0.2, 0.2)) and not finished(None, "overlay") and not finished(None, "probabilities")
    (out / "a.npz").touch()
    assert finished(None, "probabilities") and not finished(None, "probabilities", "uncertainty")
    os.utime(out / "a.png", (1, 1))  # older than its image
    assert not finished()


def test_cases_of_earlier_sittings_stay_unless_overwritten(tmp_path: Path, item: PredictionInput) -> None:
    out = tmp_path / "out"
    first = Ledger.open(out, HEADER, [item], overwrite=False)
    first.add(done(item))
    first.add(PredictedCase(id="b", images=("b.png",), status="failed", error="damaged"))
    first.save()
    assert [case.id for case in Ledger.open(out, HEADER, [], overwrite=False).predictions().cases] == ["a"]
    assert Ledger.open(out, HEADER, [], overwrite=True).predictions().cases == ()


def test_a_damaged_record_is_not_replaced_unasked(tmp_path: Path, item: PredictionInput) -> None:
    (tmp_path / PREDICTIONS_FILE).write_text("{")
    with pytest.raises(RecordError, match="not a valid Predictions record"):
        Ledger.open(tmp_path, HEADER, [item], overwrite=False)
    Ledger.open(tmp_path, HEADER, [item], overwrite=True)
    assert names(tmp_path) == []


def test_a_case_that_fails_now_loses_the_mask_of_its_earlier_success(tmp_path: Path, item: PredictionInput) -> None:
    out = tmp_path / "out"
    ledger = Ledger.open(out, HEADER, [item], overwrite=False)
    (out / item.mask).touch()
    ledger.add(done(item))
    ledger.add(PredictedCase(id=item.id, images=image_names(item), status="failed", error="damaged"))
    assert not (out / item.mask).exists()


def test_another_way_of_applying_the_model_begins_anew(tmp_path: Path, item: PredictionInput) -> None:
    out = tmp_path / "out"
    ledger = Ledger.open(out, HEADER, [item], overwrite=False)
    (out / item.mask).touch()
    ledger.add(done(item))
    ledger.save()
    again = Ledger.open(out, HEADER.model_copy(update={"run": "moved"}), [item], overwrite=False)
    assert again.finished(item, None) is not None
    changed = Ledger.open(out, HEADER.model_copy(update={"inference": "unmirrored"}), [item], overwrite=False)
    assert changed.finished(item, None) is None


def test_a_mask_that_was_changed_since_is_put_aside_and_made_anew(tmp_path: Path, item: PredictionInput) -> None:
    out = tmp_path / "out"
    ledger = Ledger.open(out, HEADER, [item], overwrite=False)
    (out / item.mask).write_bytes(b"mask")
    ledger.add(done(item).model_copy(update={"mask_sha256": file_sha256(out / item.mask)}))
    assert ledger.finished(item, None) is not None
    (out / item.mask).write_bytes(b"corrected by hand")
    assert ledger.finished(item, None) is None
    assert not (out / item.mask).exists()
    assert (out / "changed" / item.mask).read_bytes() == b"corrected by hand"


def test_the_table_tells_every_files_fate(tmp_path: Path, item: PredictionInput) -> None:
    out = tmp_path / "out"
    ledger = Ledger.open(out, HEADER, [item], overwrite=False)
    ledger.add(done(item).model_copy(update={"seconds": 1.5, "warnings": ("far", "odd")}))
    ledger.add(PredictedCase(id="b", images=("b.png",), status="failed", error="damaged"))
    ledger.save()
    with (out / "predictions.csv").open(newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert rows["a"]["status"] == "done" and rows["a"]["seconds"] == "1.5" and rows["a"]["warnings"] == "far; odd"
    assert rows["b"] == {"id": "b", "status": "failed", "error": "damaged"} | dict.fromkeys(
        ("mask", "review", "engine", "seconds", "network_seconds", "review_reasons", "warnings"), ""
    )


def test_nothing_that_was_made_for_another_mask_lies_beside_a_new_one(tmp_path: Path, item: PredictionInput) -> None:
    out = tmp_path / "out"

    def companions() -> list[str]:
        return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.suffix in (".npz", ".png"))

    def first() -> Ledger:
        (out / "overlays").mkdir(parents=True, exist_ok=True)
        for name in ("a.png", "a.npz", "overlays/a.png"):
            (out / name).touch()
        ledger = Ledger.open(out, HEADER, [item], overwrite=True)
        ledger.add(done(item).model_copy(update={"probabilities": "a.npz", "overlay": "overlays/a.png"}))
        for name in ("a.npz", "overlays/a.png"):
            (out / name).touch()
        ledger.save()
        return ledger

    first().add(done(item).model_copy(update={"overlay": "overlays/a.png"}))
    assert companions() == ["a.png", "overlays/a.png"]
    first()
    Ledger.open(out, HEADER.model_copy(update={"inference": "otherwise"}), [item], overwrite=False)
    assert companions() == ["a.png"]
    first()
    Ledger.open(out, HEADER, [item], overwrite=True)
    assert companions() == ["a.png"]
    (out / PREDICTIONS_FILE).write_text("damaged")
    Ledger.open(out, HEADER, [item], overwrite=True)


def test_what_is_told_of_a_kept_case_names_its_rules(tmp_path: Path, item: PredictionInput) -> None:
    """So that an interrupted judging goes on, and cases that are not asked for now are judged, too."""
    out = tmp_path / "out"
    ledger = Ledger.open(out, HEADER, [item], overwrite=False)
    for name in ("a", "b"):
        ledger.add(done(item).model_copy(update={"id": name}))
    ledger.save()
    again = Ledger.open(out, HEADER.model_copy(update={"trust": "new"}), [item], overwrite=False)
    assert [case.judged_by for case in again.kept()] == ["", ""]
    second = next(case for case in again.kept() if case.id == "b")
    again.judge(second.model_copy(update={"judged_by": "new", "review": True}))
    again.save()
    kept = Ledger.open(out, HEADER.model_copy(update={"trust": "new"}), [item], overwrite=False).kept()
    assert {case.id: (case.judged_by, case.review) for case in kept} == {"a": ("", None), "b": ("new", True)}
