"""The verb `measure`, from words to tables on the terminal, on phantoms whose truth is known."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from autoseg.phantom import write_fetal_head
from autoseg.pipeline.measuring import MeasureOutcome
from autoseg.records import Agreement, Measurements, PredictedCase, Predictions, Structure

from .conftest import exit_code

NOTHING = MeasureOutcome(Measurements(masks="m", structures={}, dating="hadlock-1984", cases=()), None, Path("out"))


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fetal_head(tmp_path_factory.mktemp("phantom") / "heads", subjects=3)


@pytest.fixture
def predicted(heads: Path, tmp_path: Path) -> Path:
    """The labels as a prediction would have left them, with one that failed."""
    folder = tmp_path / "masks"
    folder.mkdir()
    sizes = {row["filename"]: float(row["pixel size(mm)"]) for row in csv.DictReader((heads / "pixel_size.csv").open(newline=""))}
    cases = []
    for file in sorted((heads / "labels").iterdir()):
        (folder / file.name).write_bytes(file.read_bytes())
        image = str(heads / "images" / file.name)
        spacing = (sizes[file.name],) * 2
        cases.append(PredictedCase(id=file.stem, images=(image,), status="done", mask=file.name, spacing_mm=spacing))
    cases.append(PredictedCase(id="bad", images=("bad.png",), status="failed", error="truncated"))
    targets = tuple(
        Structure(name=name, values=(value,), output_value=value) for value, name in enumerate(("Brain", "CSP", "LV"), 1)
    )
    head = Structure(name="head", values=(1, 2, 3), output_value=0)
    Predictions(
        run="r",
        configuration="2d",
        folds=("0",),
        device="cpu",
        targets=targets,
        derived=(head,),
        regions=False,
        cases=tuple(cases),
    ).save(folder / "predictions.json")
    return folder


def test_measure_passes_everything_on(replaced: Any) -> None:
    measure = replaced("measure", NOTHING)
    words = (
        "measure masks out --spacing 0.2 --structure head=1+2 --structure LV=2 --layout folders --subjects P\\d+ --truth t.csv "
        "--dating intergrowth-2016 --no-figures --workers 0"
    )
    assert exit_code(*words.split()) == 0
    arguments, options = measure.call_args
    options.pop("progress")
    assert arguments == (Path("masks"), Path("out"))
    assert options == {
        "structures": {"head": (1, 2), "LV": (2,)},
        "layout": "folders",
        "spacing": 0.2,
        "subjects": "P\\d+",
        "truth": Path("t.csv"),
        "dating": "intergrowth-2016",
        "figures": False,
        "workers": 0,
    }


@pytest.mark.parametrize("word", ["head", "head=", "=1", "head=x", "head=0", "head=1+", "head=-1"])
def test_structures_that_are_none_are_usage_errors(replaced: Any, word: str) -> None:
    measure = replaced("measure", NOTHING)
    assert exit_code("measure", "masks", "out", "--structure", word) == 2
    assert exit_code("measure", "masks", "out", "--structure", "a=1", "--structure", "a=2") == 2
    assert not measure.called


def test_a_prediction_needs_nothing_else(predicted: Path, heads: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        exit_code("measure", str(predicted), "--truth", str(heads / "truth.csv"), "--workers", "0") == 1
    )  # one prediction failed
    out = capsys.readouterr().out
    assert "failed: bad: there is no mask, as its prediction failed: truncated" in out
    assert "head HC mm" in out and "Agreement with the truth" in out
    record = Measurements.load(predicted / "measurements.json")
    assert record.structures == {"Brain": (1,), "CSP": (2,), "LV": (3,), "head": (1, 2, 3)}
    found = Agreement.load(predicted / "agreement.json")
    (hc,) = found.measures
    assert hc.compared == len(record.cases) - 1 and hc.mae is not None and hc.mae < 0.3
    for case in record.cases[:-1]:
        assert case.figure is not None and (predicted / case.figure).is_file()
    for name in ("measurements.csv", "hc18.csv", "agreement/bland_altman.png"):
        assert (predicted / name).is_file()
    rows = list(csv.DictReader((predicted / "hc18.csv").open(newline="")))
    assert {row["filename"] for row in rows} == {file.name for file in (heads / "labels").iterdir()}


def test_labels_of_a_data_set_agree_with_themselves(heads: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert exit_code("measure", str(heads), str(out), "--truth", str(heads), "--no-figures", "--workers", "0") == 0
    found = Agreement.load(out / "agreement.json")
    assert {one.mae for one in found.measures} == {0.0}
    assert [one.measure for one in found.measures[:3]] == ["HC", "BPD", "OFD"]
    record = Measurements.load(out / "measurements.json")
    assert {case.subject for case in record.cases} == {"Patient00001", "Patient00002", "Patient00003"}
    assert all(case.figure is None for case in record.cases) and not (out / "measurements").exists()
    assert "Bland and Altman" in capsys.readouterr().out


def test_a_folder_of_label_maps(heads: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masks, out = tmp_path / "plain", tmp_path / "out"
    masks.mkdir()
    for file in (heads / "labels").iterdir():
        (masks / file.name).write_bytes(file.read_bytes())
    assert exit_code("measure", str(masks)) == 2
    assert "give a folder OUT" in capsys.readouterr().err
    words = ("measure", str(masks), str(out), "--structure", "head=1+2+3", "--no-figures", "--workers", "0")
    assert exit_code(*words) == 0
    assert "without millimetres" in capsys.readouterr().out
    assert exit_code(*words, "--spacing", str(heads / "pixel_size.csv"), "--truth", str(heads / "truth.csv")) == 0
    (hc,) = Agreement.load(out / "agreement.json").measures
    assert hc.mae is not None and hc.mae < 0.3
    (masks / "broken.png").write_bytes(b"nothing")
    assert exit_code(*words, "--spacing", "0.5") == 1
    assert "failed: broken:" in capsys.readouterr().out
    assert len(Measurements.load(out / "measurements.json").cases) == len(list(masks.iterdir()))


def test_heads_that_are_none_have_no_row_for_the_challenge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masks, out = tmp_path / "masks", tmp_path / "out"
    masks.mkdir()
    square = np.zeros((80, 80), np.uint8)
    square[20:60, 20:60] = 1
    Image.fromarray(square).save(masks / "a.png")
    out.mkdir()
    (out / "hc18.csv").write_text("of an earlier call")
    assert exit_code("measure", str(masks), str(out), "--structure", "head=1", "--spacing", "1", "--no-figures") == 0
    assert not (out / "hc18.csv").exists()
    assert "not measured: a: head HC, BPD, OFD, cephalic_index: the outline is not elliptical" in capsys.readouterr().out


def test_spacing_that_contradicts_the_prediction(predicted: Path) -> None:
    assert exit_code("measure", str(predicted), "--spacing", "0.01", "--no-figures", "--workers", "0") == 1
    record = Measurements.load(predicted / "measurements.json")
    assert all(case.status == "failed" for case in record.cases)
    assert "--spacing says (0.01, 0.01) mm; predict it again" in str(record.cases[0].error)


@pytest.mark.parametrize(
    ("words", "said"),
    [(("gone", "out"), "gone does not exist"), (("heads", "out", "--truth", "nothing.csv"), "nothing.csv does not exist")],
)
def test_what_is_not_there(
    heads: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert exit_code("measure", str(heads) if words[0] == "heads" else words[0], *words[1:]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_structures_of_a_prediction_can_be_renamed(predicted: Path, tmp_path: Path) -> None:
    out = tmp_path / "elsewhere"
    assert exit_code("measure", str(predicted), str(out), "--structure", "skull=1+2+3", "--no-figures", "--workers", "0") == 1
    record = Measurements.load(out / "measurements.json")
    assert list(record.cases[0].structures) == ["skull"] and record.cases[0].spacing_mm is not None
    assert not (predicted / "measurements.json").exists()


def test_predict_measures_too(predicted: Path, replaced: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from autoseg import measure

    measure(predicted, figures=False, workers=0)
    predict = replaced("predict", Predictions.load(predicted / "predictions.json"))
    assert exit_code("predict", "run", "images", str(predicted), "--measure") == 1
    assert predict.call_args.kwargs["measure"] is True
    assert "head HC mm" in capsys.readouterr().out
    assert json.loads((predicted / "measurements.json").read_text())["dating"] == "hadlock-1984"
