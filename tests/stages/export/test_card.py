"""The model card: facts of a real run, and what is said where hardly anything is known."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from autoseg import pipeline
from autoseg.phantom import write_fetal_head
from autoseg.records import FULL, Scores
from autoseg.records.card import ModelCard
from autoseg.run_folder import RunFolder
from autoseg.stages.export.card import missing_folds
from autoseg.stages.export.card_text import card_text
from tests.stages.export.runs import picture_run

TINY = (
    "training.steps_per_epoch=2",
    "training.validation_steps=1",
    "training.patch_size=64,64",
    "network.features=8,16",
    "network.strides=[[1,1],[2,2]]",
    "network.kernel_sizes=[[3,3],[3,3]]",
    "network.encoder_blocks=1,1",
    "network.decoder_convs=1",
    "inference.mirror_axes=[]",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of three folds, with validation scores."""
    place = tmp_path_factory.mktemp("heads")
    data = write_fetal_head(place / "data", subjects=9)
    told = json.loads((data / "dataset.json").read_text()) if (data / "dataset.json").is_file() else {}
    told |= {"licence": "CC BY 4.0", "description": f"as in {data.resolve()}/notes.txt"}
    (data / "dataset.json").write_text(json.dumps(told))
    pipeline.plan(data, place / "run", epochs=1, folds=3, hold_out=0.2, overrides=TINY)
    for fold in ("0", "2"):
        pipeline.train(place / "run", fold=fold, workers=0)
    return place / "run"


def card_in(path: Path) -> tuple[ModelCard, str]:
    with zipfile.ZipFile(path) as opened:
        return ModelCard.model_validate_json(opened.read("card.json")), opened.read("MODEL_CARD.md").decode()


def test_facts_are_those_of_the_run(trained: Path, tmp_path: Path) -> None:
    card, text = card_in(pipeline.export_model(trained, tmp_path / "model.zip"))
    folder = RunFolder(trained)
    dataset, measured = folder.dataset(), folder.fingerprint().cases
    assert (card.cases, card.subjects, card.held_out) == (
        len(measured),
        len({case.subject for case in dataset.cases}),
        len(folder.splits().held_out),
    )
    assert card.subjects is not None and card.cases is not None and card.subjects < card.cases
    assert card.spacing_mm is not None and card.shape is not None
    assert card.spacing_mm.smallest[0] == min(case.spacing_mm[0] for case in measured if case.spacing_mm)
    assert card.shape.largest[1] == max(case.shape[1] for case in measured)
    assert card.source == {"licence": "CC BY 4.0"}, "a description that names a path is left out"
    assert (card.folds, missing_folds(card), card.validated) == (("0", "2"), ("1",), ("0", "2"))
    present = {one.name: one.present for one in card.structures}
    assert present["CSP"] == sum(case.structures["CSP"].pixels > 0 for case in measured)
    for words in (
        "CC BY 4.0",
        "Folds that are missing: 1 of 3",
        "not a medical device",
        f"{card.cases} with labels, {card.subjects} subjects",
    ):
        assert words in text


def test_figures_are_of_all_validated_cases(trained: Path, tmp_path: Path) -> None:
    card, text = card_in(pipeline.export_model(trained, tmp_path / "model.zip"))
    folder = RunFolder(trained)
    cases = [case for fold in card.folds for case in Scores.load(folder.fold_scores("2d", fold)).cases]
    by_name = {one.structure: one for one in card.validation}
    brain = [case.structures["Brain"].dice for case in cases if case.structures["Brain"].present]
    assert by_name["Brain"].cases == len(cases)
    assert by_name["Brain"].dice == pytest.approx(sum(dice or 0 for dice in brain) / len(brain))
    assert f"| Brain | {len(cases)} |" in text
    one, _ = card_in(pipeline.export_model(trained, tmp_path / "one.zip", folds=["2"]))
    assert one.validation[0].cases == len(Scores.load(folder.fold_scores("2d", "2")).cases)


def test_scores_of_other_weights_do_not_count(trained: Path, tmp_path: Path) -> None:
    folder = RunFolder(trained)
    predictions = folder.validation("2d", "0") / "predictions.json"
    before = predictions.read_text()
    predictions.write_text(before.replace(folder.model().configurations[0].folds[0].sha256, "0" * 64))
    try:
        card, text = card_in(pipeline.export_model(trained, tmp_path / "model.zip"))
    finally:
        predictions.write_text(before)
    assert card.validated == ("2",)
    assert "No score is known of: 0." in text


def test_no_case_of_a_real_run_is_named(trained: Path, tmp_path: Path) -> None:
    folder = RunFolder(trained)
    names = {name for case in folder.dataset().cases for name in (case.id, case.subject)}
    with zipfile.ZipFile(pipeline.export_model(trained, tmp_path / "model.zip")) as opened:
        text = "".join(opened.read(name).decode(errors="ignore") for name in opened.namelist())
    assert names and not [name for name in names if name in text]
    assert str(trained.parent) not in text
    assert len(folder.plan().configurations["2d"].decisions) == text.count('"alternative"') - len(folder.plan().decisions)


def test_what_is_not_known_is_said(tmp_path: Path) -> None:
    _, text = card_in(pipeline.export_model(picture_run(tmp_path / "run"), tmp_path / "model.zip"))
    for words in (
        "Cases: not known",
        "Licence of the data: not stated",
        "None: no fold of this model has scores here",
        "| head | 255 | not known |",
    ):
        assert words in text


def test_a_network_of_all_cases_lacks_no_fold(tmp_path: Path) -> None:
    card, text = card_in(pipeline.export_model(picture_run(tmp_path / "run", folds=(FULL,)), tmp_path / "model.zip"))
    assert missing_folds(card.model_copy(update={"folds_planned": 5})) == ()
    assert "one trained on all cases" in text


def test_a_card_is_a_page(tmp_path: Path) -> None:
    card, _ = card_in(pipeline.export_model(picture_run(tmp_path / "run"), tmp_path / "model.zip"))
    text = card_text(card, "Like this.", {"More": ["- one", "- two"]})
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["## How to use it", "## Data", "## Structures", "## Validation", "## Intended use and limits", "## More"]
    assert text.endswith("- two\n")
