"""What may be compared, and what is said about it; the figures are tested where they are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from autoseg import pipeline
from autoseg.errors import DataError, PlanError, RunFolderError
from autoseg.metrics.scoring import summarise
from autoseg.records import CaseScores, Fold, PredictedCase, Predictions, Scores, Splits
from autoseg.run_folder import RunFolder
from tests.learning.cases import small_configuration, small_plan
from tests.metrics.test_comparison import case

NAMES = [f"case_{number}" for number in range(8)]
HALVES = (NAMES[:4], NAMES[4:])


def _scores(cases: Sequence[CaseScores], missing: Sequence[str] = (), tolerance_mm: float | None = 1.0) -> Scores:
    return Scores(
        labels="l",
        predictions="p",
        mean_dice=None,
        cases=tuple(cases),
        summary=summarise(cases, ["a", "b"]),
        missing=tuple(missing),
        tolerance_mm=tolerance_mm,
        size_unit="mm2",
    )


def _run(
    root: Path,
    shift: int,
    *,
    folds: Sequence[int] = (0, 1),
    validation: Sequence[Sequence[str]] = HALVES,
    held_out: Sequence[str] = (),
    failed: Sequence[str] = (),
    left_out: Sequence[str] = (),
    tolerance_mm: float | None = 1.0,
) -> Path:
    """A run whose masks are so many pixels beside; `left_out` of the training."""
    everything = [name for part in validation for name in part]
    splits = Splits(
        rule="by hand",
        seed=0,
        folds=tuple(
            Fold(train=tuple(name for name in everything if name not in (*part, *left_out)), validation=tuple(part))
            for part in validation
        ),
        held_out=tuple(held_out),
    )
    folder, configuration = RunFolder(root), small_configuration()
    folder.save(splits, small_plan(configuration))
    for fold in folds:
        cases = [case(name, shift) for name in validation[fold] if name not in failed]
        _scores(cases, failed, tolerance_mm).save(folder.fold_scores(configuration.name, str(fold)))
    return root


def _masks(root: Path, shifts: Mapping[str, int], *, missing: Sequence[str] = (), predicted: Sequence[str] | None = None) -> Path:
    """A folder that was scored; `predicted` are the cases that `predictions.json` knows, None leaves the file out."""
    _scores([case(name, shift) for name, shift in shifts.items()], missing).save(root / "scores.json")
    if predicted is not None:
        cases = tuple(
            PredictedCase(id=name, images=(f"{name}.png",), status="done" if name in shifts else "failed") for name in predicted
        )
        Predictions(
            run="r", configuration="2d", folds=("0",), device="cpu", targets=(), derived=(), regions=False, cases=cases
        ).save(root / "predictions.json")
    return root


def test_folds_of_two_runs_are_pooled(tmp_path: Path) -> None:
    found = pipeline.compare(_run(tmp_path / "a", 2), _run(tmp_path / "b", 1), figures=["dice"])
    (dice,) = found.figures
    assert (found.cases, found.subjects, dice.cases) == (8, 8, 8)
    assert dice.difference == pytest.approx(0.25) and dice.effect == 1.0
    assert found.notes == () and found.size_unit == "mm2" and found.tolerance_mm == 1.0
    name = small_configuration().name
    assert (found.a, found.b) == (f"{tmp_path / 'a'} ({name})", f"{tmp_path / 'b'} ({name})")


def test_the_usual_figures_are_compared_if_none_is_named(tmp_path: Path) -> None:
    found = pipeline.compare(_run(tmp_path / "a", 2), _run(tmp_path / "b", 1))
    assert [one.figure for one in found.figures] == ["dice", "surface_dice", "hd95_mm", "assd_mm", "absolute_relative_size_error"]


def test_folds_that_one_side_lacks_are_left_out_and_told(tmp_path: Path) -> None:
    found = pipeline.compare(_run(tmp_path / "a", 2, folds=(1,)), _run(tmp_path / "b", 1), figures=["dice"])
    assert found.cases == 4
    assert found.notes[0] == "compared on fold 1 of 2; only B has fold 0"
    assert "4 subjects are too few" in found.notes[1]
    with pytest.raises(DataError, match=r"no fold has scores in both: .* has fold 0, .* fold 1"):
        pipeline.compare(_run(tmp_path / "c", 2, folds=(0,)), _run(tmp_path / "d", 1, folds=(1,)))


def test_cases_that_failed_on_one_side_are_left_out_and_told(tmp_path: Path) -> None:
    found = pipeline.compare(_run(tmp_path / "a", 2), _run(tmp_path / "b", 1, failed=NAMES[:1]))
    assert found.cases == 7 and found.notes == ("left out, as they failed in B: case_0",)


def test_other_validation_cases_are_refused_and_named(tmp_path: Path) -> None:
    other = (NAMES[:3] + NAMES[4:5], NAMES[3:4] + NAMES[5:])
    with pytest.raises(DataError, match=r"validated in fold 0 differ: only A has case_3, only B has case_4; .*--splits"):
        pipeline.compare(_run(tmp_path / "a", 2), _run(tmp_path / "b", 1, validation=other))
    with pytest.raises(DataError, match=r"fold 1 differ: only A has case_4, case_5, case_6 and 1 more"):
        pipeline.compare(_run(tmp_path / "c", 2), _run(tmp_path / "d", 1, folds=(0,), validation=HALVES[:1]))


def test_other_held_out_cases_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="held out of every fold differ: only B has case_9"):
        pipeline.compare(_run(tmp_path / "a", 2), _run(tmp_path / "b", 1, held_out=["case_9"]))


def test_more_training_cases_on_one_side_are_told(tmp_path: Path) -> None:
    found = pipeline.compare(_run(tmp_path / "a", 2), _run(tmp_path / "b", 1, left_out=NAMES[:1]))
    assert found.notes == ("fold 1 was trained on 4 cases in A and on 3 in B",)


def test_scores_of_cases_that_are_not_the_folds_are_refused(tmp_path: Path) -> None:
    run = _run(tmp_path / "a", 2)
    other = RunFolder(_run(tmp_path / "b", 1, validation=HALVES[::-1]))
    RunFolder(run).save(other.splits())
    with pytest.raises(
        DataError, match=r"scores of case_0, case_1, case_2 and 1 more, which .*splits\.json does not give to fold 0"
    ):
        pipeline.compare(run, other.root)


def test_other_tolerances_and_older_scores(tmp_path: Path) -> None:
    usual, wide, old = (_run(tmp_path / str(mm), 1, tolerance_mm=mm) for mm in (1.0, 2.0, None))
    found = pipeline.compare(usual, wide)
    assert "surface_dice" not in {one.figure for one in found.figures} and found.tolerance_mm is None
    assert "the tolerances differ (1 mm, 2 mm), so surface_dice is left out" in found.notes[0]
    assert all("very same scores" in note for note in pipeline.compare(usual, wide, figures=["dice"]).notes)
    found = pipeline.compare(old, usual)
    assert [one.figure for one in found.figures] == ["dice", "hd95_mm", "assd_mm"]
    assert "older version" in found.notes[0] and "surface_dice, absolute_relative_size_error are left out" in found.notes[0]
    for pair in ((usual, wide), (usual, old)):
        with pytest.raises(DataError, match="surface_dice"):
            pipeline.compare(*pair, figures=["surface_dice"])


def test_configurations_are_chosen_for_both_or_for_each(tmp_path: Path) -> None:
    run = _run(tmp_path / "a", 2)
    folder, plan = RunFolder(run), RunFolder(run).plan()
    second = plan.configurations[plan.default].model_copy(update={"name": "second"})
    folder.save(plan.model_copy(update={"configurations": {**plan.configurations, "second": second}}))
    for fold, names in enumerate(HALVES):
        _scores([case(name, 1) for name in names]).save(folder.fold_scores("second", str(fold)))
    (dice,) = pipeline.compare(run, run, configurations=[plan.default, "second"], figures=["dice"]).figures
    assert dice.difference == pytest.approx(0.25)
    (dice,) = pipeline.compare(run, run, configurations=["second"], figures=["dice"]).figures
    assert (dice.mean_a, dice.difference) == (pytest.approx(0.75), 0.0)
    with pytest.raises(RunFolderError, match="no configuration third"):
        pipeline.compare(run, run, configurations=["third"])
    with pytest.raises(PlanError, match="3 times"):
        pipeline.compare(run, run, configurations=["a", "b", "c"])


def test_scored_folders(tmp_path: Path) -> None:
    a = _masks(tmp_path / "a", dict.fromkeys(NAMES, 2), predicted=NAMES)
    b = _masks(tmp_path / "b", dict.fromkeys(NAMES[1:], 1), missing=[NAMES[0], "never"], predicted=NAMES)
    found = pipeline.compare(a, b, figures=["dice"])
    assert found.cases == 7 and found.notes == ("left out, as they failed in B: case_0",)
    (dice,) = found.figures
    assert dice.difference == pytest.approx(0.25)


def test_folders_of_other_cases_are_refused(tmp_path: Path) -> None:
    a = _masks(tmp_path / "a", dict.fromkeys(NAMES[:5], 2), missing=NAMES[5:])
    b = _masks(tmp_path / "b", dict.fromkeys(NAMES[2:], 1), missing=NAMES[:2])
    words = r"cases predicted differ: only A has case_0, case_1, only B has case_5, case_6, case_7; predict the same images"
    with pytest.raises(DataError, match=words):
        pipeline.compare(a, b)


def test_a_run_is_not_compared_with_a_folder_and_nothing_is_neither(tmp_path: Path) -> None:
    run, masks = _run(tmp_path / "run", 1), _masks(tmp_path / "masks", dict.fromkeys(NAMES, 1))
    with pytest.raises(DataError, match=r"one is a run and one a folder of masks.*in its folder out_of_fold"):
        pipeline.compare(run, masks)
    with pytest.raises(RunFolderError, match=r"no run .*autoseg evaluate LABELS"):
        pipeline.compare(run, tmp_path)
    with pytest.raises(RunFolderError, match=r"no fold of .* has scores"):
        pipeline.compare(_run(tmp_path / "new", 1, folds=()), run)
    with pytest.raises(PlanError, match="no figure volume to compare; there are dice, iou"):
        pipeline.compare(run, run, figures=["volume"])


def test_the_very_same_scores_are_told(tmp_path: Path) -> None:
    same, other = _run(tmp_path / "a", 1), _run(tmp_path / "b", 2)
    assert any("the very same scores in every case" in note for note in pipeline.compare(same, same).notes)
    assert not any("very same" in note for note in pipeline.compare(same, other).notes)
