"""From trained folds to how a model is applied: what is compared, what is written, and that `predict` follows it."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autoseg
from autoseg.errors import RunFolderError
from autoseg.inference.export import winners_from_mask
from autoseg.inference.postprocessing import postprocess
from autoseg.pipeline.recording import record_model
from autoseg.pipeline.trusting import learn_trust
from autoseg.records import (
    DicePredictor,
    MeasurementInterval,
    Measurements,
    Model,
    PostprocessingStep,
    Predictions,
    ReviewRule,
    Scores,
    Selection,
    SelectionReport,
)
from autoseg.run_folder import RunFolder
from tests.conftest import exit_code
from tests.pipeline.selectable import FOLDS, HELD_OUT, PER_FOLD, selectable_run
from tests.stages.predicting import pixels_of

ENGINE = "torch-float32"


@pytest.fixture(scope="module")
def selected(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SelectionReport, Scores]:
    run = selectable_run(tmp_path_factory.mktemp("selected"))
    report, scores = autoseg.select(run, engine=ENGINE, device="cpu", workers=0)
    return run, report, scores


def test_every_case_is_predicted_by_the_fold_that_had_not_seen_it(selected: tuple[Path, SelectionReport, Scores]) -> None:
    run, report, scores = selected
    folder = RunFolder.open(run)
    assert report.cases == len(scores.cases) == FOLDS * PER_FOLD and report.folds_planned == FOLDS
    for number, fold in enumerate(folder.splits().folds):
        predictions = Predictions.load(folder.selected("2d", "balanced") / f"fold_{number}" / "predictions.json")
        assert {case.id for case in predictions.cases} == set(fold.validation)
        assert predictions.weights == (folder.model().configurations[0].folds[number].sha256,)


def test_the_masks_are_those_of_predict_with_that_fold(selected: tuple[Path, SelectionReport, Scores], tmp_path: Path) -> None:
    run, _, _ = selected
    dataset = RunFolder.open(run).dataset()
    (case,) = [case for case in dataset.cases if case.id == "case05"]
    autoseg.predict(run, dataset.path(case.images[0]), tmp_path, folds=["1"], spacing=0.5, engine=ENGINE, device="cpu")
    assert np.array_equal(pixels_of(tmp_path / "case05.png"), pixels_of(run / "out_of_fold" / "case05.png"))


def test_profiles_and_steps_are_compared_and_costs_told(selected: tuple[Path, SelectionReport, Scores]) -> None:
    _, report, _ = selected
    asked = [judgement.question for judgement in report.judgements]
    assert asked.count("inference profile, with one fold") == 2
    assert {"2d, balanced", "2d, best", "2d, fast"} == set(report.seconds_per_case)
    candidates = [judgement.candidate for judgement in report.judgements if judgement.question == "postprocessing"]
    assert "Head: largest component only" in candidates and "Head: holes filled" in candidates
    adopted = [judgement for judgement in report.judgements if judgement.adopted]
    assert all(one.difference > 0 and one.interval is not None and one.interval[0] > 0 for one in adopted)
    assert {one.told for one in report.selection.postprocessing} == {
        one.candidate for one in adopted if one.question == "postprocessing"
    }


def test_an_ensemble_is_judged_on_held_out_subjects_alone(selected: tuple[Path, SelectionReport, Scores]) -> None:
    run, report, _ = selected
    (judgement,) = [one for one in report.judgements if "held-out" in one.question]
    assert judgement.cases == HELD_OUT and (judgement.baseline, judgement.candidate) == ("fold 0", "3 folds")
    for name in ("folds_0", "folds_0_1_2"):
        place = run / "selection" / "held_out" / "2d" / report.selection.profile / name
        assert len(Scores.load(place / "scores.json").cases) == HELD_OUT
    assert report.not_established == ()


def test_predict_follows_what_was_selected(selected: tuple[Path, SelectionReport, Scores], tmp_path: Path) -> None:
    """A step that certainly changes these masks is written into the record by hand."""
    run, _, _ = selected
    folder = RunFolder.open(run)
    before = folder.model()
    step = PostprocessingStep(kind="largest_component", structure="Head")
    assert before.selection is not None
    chosen = before.selection.model_copy(update={"postprocessing": (step,), "profile": "best"})
    folder.save(before.model_copy(update={"selection": chosen}))
    try:
        images = folder.dataset().path("case00.png")
        plain = autoseg.predict(run, images, tmp_path / "plain", postprocessing=False, spacing=0.5, engine=ENGINE, device="cpu")
        processed = autoseg.predict(run, images, tmp_path / "processed", spacing=0.5, engine=ENGINE, device="cpu")
        assert plain.profile == processed.profile == "best"
        assert processed.postprocessing == ("Head: largest component only",) and plain.postprocessing == ()
        targets = folder.plan().targets
        raw = winners_from_mask(pixels_of(tmp_path / "plain" / "case00.png"), targets, False)
        expected = 7 * postprocess(raw, [step], targets, regions=False, spacing_mm=None)
        assert np.array_equal(pixels_of(tmp_path / "processed" / "case00.png"), expected)
        assert (expected != 7 * raw).any(), "the step must matter here"
        assert processed.cases[0].pixels["Head"] == np.count_nonzero(expected)
        assert "learned for 2d, profile best and its postprocessing; of other ways nothing is known" in str(plain.not_judged)
        other = autoseg.predict(run, images, tmp_path / "fast", profile="fast", spacing=0.5, engine=ENGINE, device="cpu")
        assert other.profile == "fast" and other.postprocessing != ()
        with autoseg.Predictor.load(run, engine=ENGINE, device="cpu") as predictor:
            assert np.array_equal(predictor(pixels_of(images), spacing_mm=0.5).labels, expected)
    finally:
        folder.save(before)


def test_what_masks_are_worth_is_learned_and_told(selected: tuple[Path, SelectionReport, Scores], tmp_path: Path) -> None:
    """Twelve cases are too few for rules, and that is said; rules that are written into the record by hand are followed."""
    run, report, _ = selected
    trust = report.selection.trust
    assert trust is not None and trust.review is None and trust.review_off and trust.predicted_dice == {}
    assert trust.temperature != 1.0 and report.trust is not None
    assert report.trust.calibration_error is not None and report.trust.calibration_error_after is not None
    assert all("39 subjects" in str(one.reason) for one in report.trust.intervals)
    folder = RunFolder.open(run)
    before = folder.model()
    rules = trust.model_copy(
        update={
            "predicted_dice": {
                "Head": DicePredictor(
                    features=("soft_dice",), means=(0.0,), scales=(1.0,), weights=(1.0,), intercept=0.0, clip=1e-3, cases=50
                )
            },
            "review": ReviewRule(thresholds={"predicted Dice": 0.01}, rate=0.1, good_cases=50),
            "review_off": None,
            "intervals": {
                "Head": {"area": MeasurementInterval(level=0.95, low=-0.1, high=0.2, smoothing=None, cases=50, subjects=50)}
            },
        }
    )
    assert before.selection is not None
    folder.save(before.model_copy(update={"selection": before.selection.model_copy(update={"trust": rules})}))
    try:
        image = folder.dataset().path("case00.png")
        found = autoseg.predict(run, image, tmp_path / "out", spacing=0.5, engine=ENGINE, device="cpu", measure=True)
        (case,) = found.cases
        assert case.review is True and case.evidence is not None
        assert case.predicted_dice["Head"] == pytest.approx(case.evidence.structures["Head"].soft_dice, abs=1e-3)
        assert "is expected, below the threshold of 0.990" in case.review_reasons[0]
        table = (tmp_path / "out" / "predictions.csv").read_text().splitlines()
        assert "predicted_dice_Head" in table[0] and "is expected" in table[1]
        (measured,) = Measurements.load(tmp_path / "out" / "measurements.json").cases
        area = measured.structures["Head"].measures["area"]
        assert (area.low, area.high) == (pytest.approx(0.9 * area.value), pytest.approx(1.2 * area.value))
        assert measured.review is True and "to review: a Dice of" in measured.warnings[0]
        lenient = rules.model_copy(update={"review": ReviewRule(thresholds={"predicted Dice": 0.999}, rate=0.1, good_cases=50)})
        folder.save(before.model_copy(update={"selection": before.selection.model_copy(update={"trust": lenient})}))
        stamp = (tmp_path / "out" / "case00.png").stat().st_mtime_ns
        again = autoseg.predict(run, image, tmp_path / "out", spacing=0.5, engine=ENGINE, device="cpu")
        assert again.cases[0].review_reasons == ("the head is not an ellipse",), (
            "what is kept is judged by the rules that hold now"
        )
        assert (tmp_path / "out" / "case00.png").stat().st_mtime_ns == stamp
        folder.save(before.model_copy(update={"selection": before.selection.model_copy(update={"trust": rules})}))
        with autoseg.Predictor.load(run, engine=ENGINE, device="cpu") as predictor:
            told = predictor(pixels_of(image), spacing_mm=0.5)
        assert told.review is True and told.review_reasons == case.review_reasons
        assert told.predicted_dice["Head"] == pytest.approx(case.predicted_dice["Head"], abs=1e-4)
        other = autoseg.predict(run, image, tmp_path / "best", profile="best", spacing=0.5, engine=ENGINE, device="cpu")
        assert (other.cases[0].review is None) == (before.selection.profile != "best"), "what was learned with another profile"
    finally:
        folder.save(before)


def test_a_selection_goes_with_the_export(selected: tuple[Path, SelectionReport, Scores], tmp_path: Path) -> None:
    run, report, _ = selected
    file = autoseg.export_model(run, tmp_path / "model.zip")
    with zipfile.ZipFile(file) as opened:
        card = opened.read("MODEL_CARD.md").decode()
    worth = card.split("## What its masks are worth")[1].split("##")[0]
    assert f"on {report.cases} cases of {report.subjects} subjects out of fold (2d: folds 0, 1, 2): 2d, profile" in worth
    (vote,) = [one for one in report.judgements if one.question == report.ENSEMBLE]
    assert f"the mean Dice is {vote.candidate_dice:.3f} with 3 folds, {vote.baseline_dice:.3f} with fold 0" in worth
    received = autoseg.import_model(file, tmp_path / "received")
    assert RunFolder.open(received).model().selection == report.selection


def test_a_selection_holds_while_its_folds_are_there(selected: tuple[Path, SelectionReport, Scores]) -> None:
    run, report, _ = selected
    folder = RunFolder.open(run)
    before = folder.model()
    told: list[str] = []

    class Listener:
        def message(self, text: str) -> None:
            told.append(text)

    try:
        record_model(folder, folder.plan(), Listener())  # type: ignore[arg-type]  # no checkpoint is there: no fold is left
        assert folder.model().selection is None and "run `autoseg select" in told[-1]
    finally:
        folder.save(before)
    assert folder.model().selection == report.selection


def test_incomplete_cross_validation_is_used_and_said(tmp_path: Path) -> None:
    run = selectable_run(tmp_path, trained=1, held_out=0)
    report, scores = autoseg.select(run, profiles=(), engine=ENGINE, device="cpu", workers=0)
    assert len(scores.cases) == PER_FOLD and report.selection.judged == {"2d": ("0",)} and report.folds_planned == FOLDS
    assert any("one fold alone is trained" in sentence for sentence in report.not_established)


def test_without_held_out_subjects_an_ensemble_is_not_established(tmp_path: Path) -> None:
    run = selectable_run(tmp_path, trained=2, held_out=0)
    report, _ = autoseg.select(run, profiles=(), engine=ENGINE, device="cpu", workers=0)
    assert any("--hold-out" in sentence for sentence in report.not_established)


def test_two_configurations_and_the_two_together(tmp_path: Path) -> None:
    """All three ways are compared; with the pair written into the record, `predict` averages them."""
    run = selectable_run(tmp_path, configurations=("2d", "2d_other"), held_out=0)
    report, _ = autoseg.select(run, profiles=(), engine=ENGINE, device="cpu", workers=0)
    questions = [judgement.question for judgement in report.judgements]
    assert questions[:2] == ["configuration", "ensemble of configurations"]
    assert not list((run / "selection").rglob("*.npz")), "probabilities have served"
    folder = RunFolder.open(run)
    model = folder.model()
    assert model.selection is not None
    folder.save(_with(model, model.selection, ("2d", "2d_other")))
    image = folder.dataset().path("case00.png")
    options = {"spacing": 0.5, "engine": ENGINE, "device": "cpu", "postprocessing": False}
    both = autoseg.predict(run, image, tmp_path / "both", save=["probabilities", "overlay"], **options)  # type: ignore[arg-type]
    assert both.configuration == "2d+2d_other" and both.cases[0].status == "done"
    parts = []
    for name in ("2d", "2d_other"):
        autoseg.predict(run, image, tmp_path / name, configuration=name, save=["probabilities"], **options)  # type: ignore[arg-type]
        with np.load(tmp_path / name / "case00.npz") as content:
            parts.append(content["probabilities"].astype(np.float32))
    mean = (parts[0] + parts[1]) / 2
    assert np.array_equal(pixels_of(tmp_path / "both" / "case00.png"), 7 * mean.argmax(0))
    with np.load(tmp_path / "both" / "case00.npz") as content:
        np.testing.assert_allclose(content["probabilities"], mean, atol=1e-3)
    assert (tmp_path / "both" / "overlays" / "case00.png").is_file() and not (tmp_path / "both" / ".configurations").exists()
    stamp = (tmp_path / "both" / "case00.png").stat().st_mtime_ns
    again = autoseg.predict(run, image, tmp_path / "both", save=["probabilities", "overlay"], **options)  # type: ignore[arg-type]
    assert again.cases == both.cases and (tmp_path / "both" / "case00.png").stat().st_mtime_ns == stamp


def test_what_was_selected_may_change(tmp_path: Path) -> None:
    """Another configuration wins the next time; what lies there of the first is in nobody's way."""
    run = selectable_run(tmp_path, configurations=("2d", "2d_other"))
    folder = RunFolder.open(run)
    first = folder.model()
    folder.save(first.model_copy(update={"configurations": first.configurations[:1]}))
    assert autoseg.select(run, profiles=(), engine=ENGINE, device="cpu", workers=0)[0].selection.configurations == ("2d",)
    folder.save(first.model_copy(update={"configurations": first.configurations[1:]}))
    report, _ = autoseg.select(run, profiles=(), engine=ENGINE, device="cpu", workers=0)
    assert report.selection.configurations == ("2d_other",) == folder.model().selection.configurations  # type: ignore[union-attr]


def test_configurations_without_a_common_fold_are_not_compared(tmp_path: Path) -> None:
    run = selectable_run(tmp_path, configurations=("2d", "2d_other"), held_out=0)
    folder = RunFolder.open(run)
    model = folder.model()
    one, other = model.configurations
    parts = (one.model_copy(update={"folds": one.folds[:1]}), other.model_copy(update={"folds": other.folds[1:2]}))
    folder.save(model.model_copy(update={"configurations": parts}))
    report, scores = autoseg.select(run, profiles=(), engine=ENGINE, device="cpu", workers=0)
    assert report.selection.configurations == ("2d",) and len(scores.cases) == PER_FOLD
    assert any("no case in common" in sentence for sentence in report.not_established)


def test_a_profile_of_one_fold_is_no_ensemble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = selectable_run(tmp_path)
    monkeypatch.setattr("autoseg.pipeline.judging.DEFAULT_PROFILE", "fast")
    report, _ = autoseg.select(run, profiles=(), engine=ENGINE, device="cpu", workers=0)
    assert any("the profile takes one fold" in sentence for sentence in report.not_established)
    assert not any("held-out" in judgement.question for judgement in report.judgements)


def test_a_case_that_fails_is_missing_from_the_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = selectable_run(tmp_path, held_out=0)
    (tmp_path / "data" / "case05.png").write_bytes(b"no picture")
    assert exit_code("select", str(run), "--profile", "balanced", "--engine", ENGINE, "--device", "cpu", "--workers", "0") == 1
    assert "no prediction for 1 labelled cases: case05" in " ".join(capsys.readouterr().out.split())
    assert Scores.load(run / "scores.json").missing == ("case05",)


def test_folds_that_end_meanwhile_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = selectable_run(tmp_path, held_out=0)
    folder = RunFolder.open(run)
    model = folder.model()
    (trained,) = model.configurations
    folder.save(model.model_copy(update={"configurations": (trained.model_copy(update={"folds": trained.folds[:2]}),)}))

    def learned(*arguments: Any, **options: Any) -> Any:
        folder.save(model)  # the third fold has come to its end
        return learn_trust(*arguments, **options)

    monkeypatch.setattr("autoseg.pipeline.judging.learn_trust", learned)
    autoseg.select(run, profiles=(), engine=ENGINE, device="cpu", workers=0)
    now = folder.model()
    assert len(now.configurations[0].folds) == 3 and now.selection is not None and now.selection.judged == {"2d": ("0", "1")}


def test_corrected_masks_are_put_aside_when_the_steps_change(tmp_path: Path) -> None:
    run = selectable_run(tmp_path, held_out=0)
    folder = RunFolder.open(run)
    image = folder.dataset().path("case00.png")
    autoseg.predict(run, image, tmp_path / "out", spacing=0.5, engine=ENGINE, device="cpu")
    (tmp_path / "out" / "case00.png").write_bytes((tmp_path / "data" / "case00_label.png").read_bytes())
    step = PostprocessingStep(kind="largest_component", structure="Head")
    selection = Selection(configurations=("2d",), profile="balanced", postprocessing=(step,), judged={}, weights=())
    folder.save(folder.model().model_copy(update={"selection": selection}))
    autoseg.predict(run, image, tmp_path / "out", spacing=0.5, engine=ENGINE, device="cpu")
    assert (tmp_path / "out" / "changed" / "case00.png").read_bytes() == (tmp_path / "data" / "case00_label.png").read_bytes()


def test_a_poison_file_stops_neither_the_pair_nor_the_others(tmp_path: Path) -> None:
    run = selectable_run(tmp_path, configurations=("2d", "2d_other"), held_out=0)
    folder = RunFolder.open(run)
    selection = Selection(configurations=("2d", "2d_other"), profile="fast", judged={}, weights=())
    folder.save(folder.model().model_copy(update={"selection": selection}))
    images = tmp_path / "images"
    images.mkdir()
    for name in ("case00.png", "case01.png"):
        (images / name).write_bytes(folder.dataset().path(name).read_bytes())
    (images / "bad.png").write_bytes(b"no picture")
    found = autoseg.predict(run, images, tmp_path / "out", spacing=0.5, engine=ENGINE, device="cpu")
    assert {case.id: case.status for case in found.cases} == {"bad": "failed", "case00": "done", "case01": "done"}


def test_a_run_without_a_validated_fold_is_told(tmp_path: Path) -> None:
    run = selectable_run(tmp_path)
    folder = RunFolder.open(run)
    folder.save(Model.of(folder.plan(), {"2d": ()}))
    with pytest.raises(RunFolderError, match="train one with"):
        autoseg.select(run, engine=ENGINE, device="cpu")


def _with(model: Model, selection: Selection, configurations: tuple[str, ...]) -> Model:
    return model.model_copy(update={"selection": selection.model_copy(update={"configurations": configurations})})
