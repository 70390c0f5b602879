"""What a repaired copy holds, and that the check then has nothing to mend."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autoseg.errors import DataError
from autoseg.records import CheckFinding, Dataset, RepairReport, Structure, ValueEncoding
from autoseg.stages.check import examine, look_at_cases, set_of
from autoseg.stages.check.facts import SetLook
from autoseg.stages.check.repair import meaning_of, reasons_to_leave_out, repair
from autoseg.stages.index import index_dataset
from tests.layouts.written import declare, picture
from tests.stages.check.sets import label_look, look, numbered, set_look

RANDOM = np.random.default_rng(0)
SIZE = (80, 100)
DISC = np.hypot(*np.meshgrid(np.arange(80) - 40, np.arange(100) - 50, indexing="ij")) <= 25


def image(folder: Path, name: str) -> None:
    picture(folder / "images" / f"{name}.png", RANDOM.integers(0, 256, SIZE))


def label(folder: Path, name: str, array: np.ndarray, *, mode: str | None = None) -> None:
    picture(folder / "labels" / f"{name}.png", array, mode=mode)


def checked(folder: Path) -> tuple[SetLook, tuple[CheckFinding, ...]]:
    dataset, faults = index_dataset(folder, checking=True)
    assert dataset is not None
    the_set = set_of(dataset, look_at_cases(dataset), folds=5)
    return the_set, examine(the_set, faults)


def fixable(findings: tuple[CheckFinding, ...]) -> list[str]:
    return [one.kind for one in findings if one.fixable]


def read(path: Path) -> np.ndarray:
    with Image.open(path) as picture_file:
        return np.array(picture_file)


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """Declared 0 and 1: sound labels, an outline, 0 and 255, floats, a palette, and one on another grid."""
    folder = tmp_path / "faulty"
    for place in range(6):
        image(folder, f"s{place}")
        label(folder, f"s{place}", np.roll(DISC, place, 1))
    for name in ("line", "white", "float", "palette", "grid"):
        image(folder, name)
    inner = np.hypot(*np.meshgrid(np.arange(80) - 40, np.arange(100) - 50, indexing="ij")) <= 22
    label(folder, "line", DISC & ~inner)
    label(folder, "white", DISC * 255)
    Image.fromarray(DISC.astype(np.float32)).save(folder / "labels" / "float.tif")
    palette = Image.fromarray(DISC.astype(np.uint8)).convert("P")
    palette.putpalette([0, 0, 0, 255, 0, 0] + [7] * 762)
    palette.save(folder / "labels" / "palette.png")
    label(folder, "grid", DISC[:, :-2])
    declare(folder, labels={"background": 0, "head": 1})
    (folder / "sizes.csv").write_text("name,mm\n" + "".join(f"{name.stem},0.2\n" for name in (folder / "images").iterdir()))
    return folder


def test_what_is_safe_is_mended_and_the_rest_is_left_out(faulty: Path, tmp_path: Path) -> None:
    the_set, findings = checked(faulty)
    assert set(fixable(findings)) == {"outline", "0 and 255", "float labels", "palette"}
    out = tmp_path / "copy"
    report = repair(the_set, findings, out)
    assert RepairReport.load(out / "repairs.json") == report
    changes = {case.id: case.changes for case in report.cases if case.changes}
    assert changes == {
        "line": ("1: the outline is an ellipse, filled to the centre of its line",),
        "white": ("values: 255 -> 1",),
        "float": ("float32 is stored as whole numbers",),
        "palette": ("the palette is taken away",),
    }
    assert [one.id for one in report.left_out] == ["grid"] and "label size (80, 98)" in report.left_out[0].reason
    for name in ("white", "float", "palette"):
        stored = read(out / "labels" / f"{name}.png")
        assert stored.dtype == np.uint8 and (stored == DISC).all()
    filled = read(out / "labels" / "line.png")
    assert set(np.unique(filled)) == {0, 1} and filled.sum() == pytest.approx(np.pi * 23.5**2, rel=0.03)
    assert (out / "labels" / "s1.png").read_bytes() == (faulty / "labels" / "s1.png").read_bytes()
    assert not (out / "images" / "grid.png").exists()
    _, again = checked(out)
    assert fixable(again) == [] and not [one for one in again if one.severity == "error"]
    dataset, faults = index_dataset(out)
    assert faults == [] and dataset is not None and {case.spacing_mm for case in dataset.cases} == {(0.2, 0.2)}


def test_two_codings_become_one(tmp_path: Path) -> None:
    folder = tmp_path / "faulty"
    for place in range(4):
        image(folder, f"s{place}")
        label(folder, f"s{place}", np.roll(DISC, place, 1) * (1 if place else 255))
    the_set, findings = checked(folder)
    assert "two codings" in fixable(findings)
    repair(the_set, findings, tmp_path / "copy")
    assert (read(tmp_path / "copy/labels/s0.png") == DISC).all()
    assert fixable(checked(tmp_path / "copy")[1]) == []


def test_colours_without_names_become_values(tmp_path: Path) -> None:
    folder = tmp_path / "faulty"
    for place in range(3):
        image(folder, f"s{place}")
        colours = np.zeros((*SIZE, 3), np.uint8)
        colours[DISC] = 255, 0, 0
        colours[2:6, 3 + place : 9] = 0, 0, 128
        label(folder, f"s{place}", colours)
    the_set, findings = checked(folder)
    assert fixable(findings) == ["colours"]
    report = repair(the_set, findings, tmp_path / "copy")
    assert report.cases[0].changes == ("values: 255,0,0 -> 1, 0,0,128 -> 2",)
    assert json.loads((tmp_path / "copy/dataset.json").read_text())["labels"] == {
        "background": 0,
        "colour_255_0_0": 1,
        "colour_0_0_128": 2,
    }
    stored = read(tmp_path / "copy/labels/s0.png")
    assert (stored[DISC] == 1).all() and stored[3, 4] == 2
    assert fixable(checked(tmp_path / "copy")[1]) == []


def test_declared_values_stay_as_they_are_and_white_alone_becomes_one() -> None:
    apart = numbered(2)
    dataset = Dataset(
        name="s",
        layout="folders",
        root="r",
        rank=2,
        channels=("grey",),
        targets=(Structure(name="a", values=(1,), output_value=3), Structure(name="b", values=(2,), output_value=7)),
        encodings={"default": ValueEncoding(values={0: 0, 3: 1, 7: 2})},
        cases=tuple(one.case for one in apart),
    )
    meaning = meaning_of(SetLook(dataset, tuple(apart)))
    assert meaning.names == {"background": 0, "a": 3, "b": 7} and meaning.values["default"] == {"0": 0, "3": 3, "7": 7}
    white = dataset.model_copy(
        update={"targets": dataset.targets[:1], "encodings": {"default": ValueEncoding(values={0: 0, 255: 1})}}
    )
    assert meaning_of(SetLook(white, tuple(apart), declared=False)).values["default"]["255"] == 1
    assert meaning_of(SetLook(white, tuple(apart), declared=True)).values["default"]["255"] == 255


def test_labels_that_nobody_can_name() -> None:
    with pytest.raises(DataError, match="cannot be told"):
        meaning_of(set_look([look("a", label=label_look({"0": 10_000}))], names=(), declared=False))


def test_reasons() -> None:
    error = CheckFinding(kind="grid", severity="error", told="sizes differ", cases=("a",))
    mended = CheckFinding(kind="0 and 255", severity="error", told="white", cases=("b",), fixable=True)
    warning = CheckFinding(kind="empty label", severity="warning", told="empty", cases=("c",))
    leak = CheckFinding(kind="leak", severity="error", told="leak", cases=("d",))
    assert reasons_to_leave_out([error, mended, warning, leak]) == {"a": "sizes differ"}
