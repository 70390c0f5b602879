"""A whole check from Python: folders, folds, real data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import autoseg
from autoseg.errors import DataError, RunFolderError
from autoseg.phantom import write_fetal_head, write_volumes
from autoseg.progress import SilentProgress
from autoseg.records import CheckReport, Fold, Splits
from autoseg.stages.split import read_splits


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fetal_head(tmp_path_factory.mktemp("phantom") / "heads", subjects=6)


def kinds(report: CheckReport, *severities: str) -> set[str]:
    return {one.kind for one in report.findings if not severities or one.severity in severities}


def test_phantoms_have_neither_errors_nor_warnings_but_for_their_small_number(heads: Path, tmp_path: Path) -> None:
    report = autoseg.check(heads, workers=0).report
    assert report.errors == 0 and kinds(report, "warning") <= {"rare structure"}
    volumes = autoseg.check(write_volumes(tmp_path / "volumes", cases=8), workers=0).report
    assert volumes.errors == 0 and kinds(volumes, "warning") == set()


def test_a_report_is_written_with_a_page(heads: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(heads, tmp_path / "copy")
    one, other = sorted((copy / "images").iterdir())[:2]
    first = sorted((copy / "labels").iterdir())[0]
    Image.fromarray(np.zeros_like(np.array(Image.open(first)))).save(first)
    outcome = autoseg.check(copy, out=tmp_path / "out", workers=0)
    assert CheckReport.load(tmp_path / "out" / "check.json") == outcome.report
    (empty,) = [found for found in outcome.report.findings if found.kind == "empty label"]
    assert empty.cases == (first.stem,) and (tmp_path / "out" / empty.pictures[first.stem]).is_file()
    assert "empty label" in (tmp_path / "out" / "index.html").read_text()
    assert one.exists() and other.exists()


def test_leaks_of_given_folds(heads: Path, tmp_path: Path) -> None:
    cases = sorted(path.stem for path in (heads / "images").iterdir())
    frames = [name for name in cases if name.startswith(cases[0].split("_")[0])]
    assert len(frames) > 1
    rest = tuple(name for name in cases if name not in frames)
    leaking = Splits(rule="", seed=None, folds=(Fold(train=(frames[0], *rest), validation=tuple(frames[1:])),))
    leaking.save(tmp_path / "splits.json")
    report = autoseg.check(heads, splits=tmp_path / "splits.json", workers=0).report
    (leak,) = [found for found in report.findings if found.kind == "leak"]
    assert leak.severity == "error" and set(leak.cases) == set(frames)
    nnunet = [{"train": list(rest), "val": frames}]
    (tmp_path / "splits_final.json").write_text(json.dumps(nnunet))
    assert "leak" not in kinds(autoseg.check(heads, splits=tmp_path / "splits_final.json", workers=0).report)


def test_folds_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "splits.json"
    for content in ("[", "[]", '[{"train": ["a"]}]', '[{"train": ["a"], "val": [1]}]'):
        path.write_text(content)
        with pytest.raises(DataError):
            read_splits(path)
    path.write_text('[{"train": ["a"], "val": ["b"]}]')
    assert read_splits(path).folds == (Fold(train=("a",), validation=("b",)),)


def test_places_that_cannot_take_a_copy(heads: Path, tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="not empty"):
        autoseg.check(heads, fix=heads / "images")
    with pytest.raises(RunFolderError, match="in the data set itself"):
        autoseg.check(heads, fix=heads / "copy")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="is a file"):
        autoseg.check(heads, out=tmp_path / "file")
    with pytest.raises(RunFolderError, match="cannot be made"):
        autoseg.check(heads, fix=tmp_path / "file" / "copy")
    with pytest.raises(RunFolderError, match="lies in the repaired copy"):
        autoseg.check(heads, fix=tmp_path / "copy", out=tmp_path / "copy" / "page")
    with pytest.raises(DataError, match="does not exist"):
        autoseg.check(tmp_path / "nowhere")


class Interrupter(SilentProgress):
    """Ctrl-C at the first step of a stage."""

    def __init__(self, stage: str) -> None:
        self.wanted, self.here = stage, ""

    def stage(self, name: str, total: int | None = None) -> None:
        self.here = name

    def advance(self, done: int, text: str = "") -> None:
        if self.here == self.wanted:
            raise KeyboardInterrupt


@pytest.mark.parametrize("stage", ["drawing", "writing the repaired copy"])
def test_nothing_is_left_of_an_interrupted_check(heads: Path, tmp_path: Path, stage: str) -> None:
    """But the page, once it is whole; and what somebody else has in its folder stays."""
    source = shutil.copytree(heads, tmp_path / "set")
    first = sorted((source / "labels").iterdir())[0]
    Image.fromarray(np.zeros_like(np.array(Image.open(first)))).save(first)  # there is something to draw
    (tmp_path / "mine" / "pictures").mkdir(parents=True)
    (tmp_path / "mine" / "pictures" / "holiday.png").touch()
    for page in (tmp_path / "new" / "page", tmp_path / "mine"):
        with pytest.raises(KeyboardInterrupt):
            autoseg.check(source, out=page, fix=tmp_path / "copy", workers=0, progress=Interrupter(stage))
        assert (page / "index.html").is_file() == (stage != "drawing")
    assert (tmp_path / "new").exists() == (stage != "drawing") and (tmp_path / "mine" / "pictures" / "holiday.png").exists()
    assert not list(tmp_path.rglob(".*")) and not (tmp_path / "copy").exists()


def test_hc18(shared_data: Path, tmp_path: Path) -> None:
    """Outlines are known to the layout; a copy of an image under another subject's name is told, and so is the copy's own repair."""
    source = shared_data / "HC18" / "training_set"
    if not source.is_dir():
        pytest.skip("HC18 is not at hand")
    names = ("002_HC", "006_HC", "010_HC", "010_2HC", "016_HC", "788_HC", "788_2HC")
    folder = tmp_path / "HC18" / "training_set"
    folder.mkdir(parents=True)
    for name in names:
        for file in (f"{name}.png", f"{name}_Annotation.png"):
            shutil.copyfile(source / file, folder / file)
    table = (shared_data / "HC18" / "training_set_pixel_size_and_HC.csv").read_text().splitlines()
    rows = [table[0], *(row for row in table if row.split(".")[0] in names)]
    (tmp_path / "HC18" / "training_set_pixel_size_and_HC.csv").write_text("\n".join(rows) + "\n")
    report = autoseg.check(tmp_path / "HC18", workers=0).report
    assert kinds(report, "error", "warning") == set()
    (near,) = [found for found in report.findings if found.kind == "near duplicate"]
    assert set(near.cases) == {"788_HC", "788_2HC"}
    shutil.copyfile(folder / "002_HC.png", folder / "016_HC.png")
    outcome = autoseg.check(tmp_path / "HC18", fix=tmp_path / "copy", workers=0)
    (twice,) = [found for found in outcome.report.findings if found.kind == "exact duplicate"]
    assert twice.severity == "warning" and twice.cases == ("002_HC", "016_HC")
    assert outcome.repairs is not None and all("filled to the centre" in case.changes[0] for case in outcome.repairs.cases)
    again = autoseg.check(tmp_path / "copy", workers=0).report
    assert kinds(again, "error", "warning") == {"exact duplicate"} and again.subjects == 5


def test_a_label_without_an_image_is_told_in_the_copy(heads: Path, tmp_path: Path) -> None:
    """Where all images have labels it is a file that nobody uses, a warning; where one lacks its label, both are errors and left out."""
    source = shutil.copytree(heads, tmp_path / "set")
    first, second = sorted((source / "images").iterdir())[:2]
    first.unlink()
    (label,) = (source / "labels").glob(f"{first.stem}.*")
    outcome = autoseg.check(source, fix=tmp_path / "copy", workers=0)
    assert outcome.report.errors == 0 and "unused files" in kinds(outcome.report, "warning") and outcome.repairs is not None
    assert outcome.repairs.unused == (f"labels/{label.name}",) and outcome.repairs.left_out == ()
    next((source / "labels").glob(f"{second.stem}.*")).unlink()
    outcome = autoseg.check(source, fix=tmp_path / "other", workers=0)
    assert kinds(outcome.report, "error") == {"pairing"} and "unused files" not in kinds(outcome.report)
    assert outcome.repairs is not None and {one.id for one in outcome.repairs.left_out} == {first.stem, second.stem}


def test_empty_labels_are_no_set(heads: Path, tmp_path: Path) -> None:
    source = shutil.copytree(heads, tmp_path / "set")
    for file in (source / "labels").iterdir():
        Image.fromarray(np.zeros_like(np.array(Image.open(file)))).save(file)
    (absent,) = [one for one in autoseg.check(source, workers=0).report.findings if one.kind == "absent structure"]
    assert absent.severity == "error" and "no label has any structure" in absent.told
    (source / "dataset.json").unlink()
    outcome = autoseg.check(source, fix=tmp_path / "copy", workers=0)
    assert "are these the right files?" in outcome.report.findings[0].told and "nothing to copy" in str(outcome.no_copy)


def test_findings_are_told_where_nothing_can_be_copied(tmp_path: Path) -> None:
    """All masks are JPEG: their classes cannot be told, and what is wrong with them is."""
    for name in "abc":
        for folder, suffix in (("images", "png"), ("labels", "jpg")):
            (tmp_path / "set" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50)).astype(np.uint8)).save(
                tmp_path / "set" / folder / f"{name}.{suffix}"
            )
    outcome = autoseg.check(tmp_path / "set", fix=tmp_path / "copy", workers=0)
    assert "JPEG labels" in kinds(outcome.report, "error") and outcome.repairs is None and outcome.no_copy
    assert not (tmp_path / "copy").exists()
