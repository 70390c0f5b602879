"""What a repaired copy holds, and that the check then has nothing to mend."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from autoseg.errors import DataError
from autoseg.records import CheckFinding, Dataset, RepairReport, Structure, ValueEncoding
from autoseg.stages.check import examine, look_at_cases, set_of, unused_in
from autoseg.stages.check.facts import SetLook
from autoseg.stages.check.meaning import meaning_of
from autoseg.stages.check.repair import reasons_to_leave_out, repair
from autoseg.stages.index import index_dataset
from autoseg.volume.files import read as volume
from autoseg.volume.files import write_labels
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
    assert set(fixable(findings)) == {"0 and 255", "float labels", "palette"}
    out = tmp_path / "copy"
    report = repair(the_set, findings, out)
    assert RepairReport.load(out / "repairs.json") == report
    changes = {case.id: case.changes for case in report.cases if case.changes}
    assert changes == {
        "white": ("values: 255 -> 1",),
        "float": ("float32 is stored as whole numbers",),
        "palette": ("the palette is taken away",),
    }
    assert [one.id for one in report.left_out] == ["grid"] and "label size (80, 98)" in report.left_out[0].reason
    for name in ("white", "float", "palette"):
        stored = read(out / "labels" / f"{name}.png")
        assert stored.dtype == np.uint8 and (stored == DISC).all()
    (line,) = [case for case in report.cases if case.id == "line"]
    assert line.filled == () and [told.split(":")[0] for told in line.remaining] == ["outline"], "one ring among discs stays"
    assert (out / "labels" / "line.png").read_bytes() == (faulty / "labels" / "line.png").read_bytes()
    assert (out / "labels" / "s1.png").read_bytes() == (faulty / "labels" / "s1.png").read_bytes()
    assert not (out / "images" / "grid.png").exists()
    _, again = checked(out)
    assert fixable(again) == [] and not [one for one in again if one.severity == "error"]
    dataset, faults = index_dataset(out)
    assert faults == [] and dataset is not None and {case.spacing_mm for case in dataset.cases} == {(0.2, 0.2)}


def ring(thickness: float, *, radius: float = 25.0) -> np.ndarray:
    distance = np.hypot(*np.meshgrid(np.arange(80) - 40, np.arange(100) - 50, indexing="ij"))
    return (distance <= radius) & (distance > radius - thickness)


def test_outlines_are_filled_where_nearly_all_labels_have_them_and_rings_of_a_wall_are_not(tmp_path: Path) -> None:
    """Value 1 is drawn with a pen in all labels; value 2 is a wall, as thin as a pen in 12 of 20 labels and 4 or 5 pixels thick in the others."""
    folder = tmp_path / "faulty"
    for place in range(20):
        image(folder, f"s{place}")
        array = np.zeros(SIZE)
        array[np.roll(ring(1.5 + place % 2, radius=16.0), -30, 1)] = 1
        array[np.roll(ring(3.0 if place < 12 else 4.0 + place % 2, radius=17.0), 25, 1)] = 2
        label(folder, f"s{place}", array)
    declare(folder, labels={"background": 0, "head": 1, "wall": 2})
    the_set, findings = checked(folder)
    lines = {one.told.split(" is ")[0]: one.fixable for one in findings if one.kind == "outline"}
    assert lines == {"the value 1": True, "the value 2": False}
    report = repair(the_set, findings, tmp_path / "copy")
    assert {case.filled for case in report.cases} == {(1,)}
    assert report.cases[0].changes == ("1: the outline is an ellipse, filled to the centre of its line",)
    for place in range(20):
        before, after = read(folder / f"labels/s{place}.png"), read(tmp_path / f"copy/labels/s{place}.png")
        assert ((before == 2) == (after == 2)).all()
        assert (after == 1).sum() == pytest.approx(np.pi * (16 - (1.5 + place % 2) / 2) ** 2, rel=0.06)
    assert fixable(checked(tmp_path / "copy")[1]) == []


def coloured(*parts: tuple[np.ndarray, tuple[int, int, int]]) -> np.ndarray:
    array = np.zeros((*SIZE, 3), np.uint8)
    for where, colour in parts:
        array[where] = colour
    return array


CORNER = np.zeros(SIZE, bool)
CORNER[2:9, 2:9] = True


def test_a_line_that_leaves_the_picture_is_filled_as_far_as_it_tells_what_it_encloses(tmp_path: Path) -> None:
    """Of 24 rings of radius 25, whose line's centre is at 24: one leaves by a tenth, one by a tenth and is closed along the border, one by half."""
    folder = tmp_path / "faulty"
    centres = {**{f"s{place:02d}": 40 for place in range(21)}, "tenth": 20, "closed": 20, "half": 0}
    for name, centre in centres.items():
        image(folder, name)
        y, x = np.mgrid[:80, :100]
        distance = np.hypot(y - centre, x - 50)
        line = (distance <= 25) & (distance > 23)
        if name == "closed":
            line[:2] |= distance[:2] <= 25
        label(folder, name, line)
    the_set, findings = checked(folder)
    outline, open_line = (one for one in findings if one.kind == "outline")
    assert outline.fixable and set(outline.cases) == set(centres) - {"half"}
    assert "drawn as a thin line around background in 23 labels" in outline.told
    assert not open_line.fixable and open_line.cases == ("half",) and "leaves it out" in open_line.told
    report = repair(the_set, findings, tmp_path / "copy")
    assert [(one.id, one.reason.split(";")[-1]) for one in report.left_out] == [("half", " close it, or fill it")]
    told = {one.id: one.changes[0] for one in report.cases}
    assert "an ellipse" in told["tenth"] and told["closed"] == "1: the outline is filled, its line included"
    distance = np.hypot(y - 20, x - 50)
    assert np.count_nonzero(read(tmp_path / "copy/labels/tenth.png") != (distance <= 24)) < 0.02 * (distance <= 24).sum()
    assert (read(tmp_path / "copy/labels/closed.png") == (distance <= 25)).all()
    assert [one.kind for one in checked(tmp_path / "copy")[1] if one.kind == "outline"] == []


def test_values_among_colours_are_left_out_and_white_in_colours_is_a_class(tmp_path: Path) -> None:
    folder = tmp_path / "faulty"
    labels = {f"s{place}": coloured((DISC, (255, 0, 0)), (np.roll(CORNER, place, 1), (255, 255, 255))) for place in range(4)}
    labels |= {"white": coloured((CORNER, (255, 255, 255))), "black": coloured(), "grey": DISC * 2, "empty": DISC * 0}
    for name, array in labels.items():
        image(folder, name)
        label(folder, name, array)
    the_set, findings = checked(folder)
    report = repair(the_set, findings, tmp_path / "copy")
    assert [one.id for one in report.left_out] == ["grey"] and "most others are in colours" in report.left_out[0].reason
    assert json.loads((tmp_path / "copy/dataset.json").read_text())["labels"] == {
        "background": 0, "colour_255_0_0": 1, "colour_255_255_255": 2,
    }  # fmt: skip
    assert (read(tmp_path / "copy/labels/white.png") == CORNER * 2).all()
    assert not [one for one in checked(tmp_path / "copy")[1] if one.severity == "error"]


def test_colours_among_values_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "faulty"
    for place in range(4):
        image(folder, f"s{place}")
        label(folder, f"s{place}", np.roll(DISC, place, 1) * 2)
    image(folder, "red")
    label(folder, "red", coloured((DISC, (255, 0, 0))))
    the_set, findings = checked(folder)
    report = repair(the_set, findings, tmp_path / "copy")
    assert [one.id for one in report.left_out] == ["red"] and "most others are in values" in report.left_out[0].reason
    assert (read(tmp_path / "copy/labels/s0.png") == DISC * 2).all()


def test_fringes_of_jpeg_and_of_smoothed_colours_become_no_classes(tmp_path: Path) -> None:
    folder = tmp_path / "faulty"
    for place in range(4):
        image(folder, f"s{place}")
        label(folder, f"s{place}", coloured((np.roll(DISC, place, 1), (255, 0, 0))))
    red = Image.fromarray(coloured((DISC, (255, 0, 0))))
    image(folder, "jpeg")
    red.save(folder / "labels" / "jpeg.jpg", quality=60)
    image(folder, "soft")
    red.resize((50, 40), Image.Resampling.BILINEAR).resize((100, 80), Image.Resampling.BICUBIC).save(folder / "labels/soft.png")
    image(folder, "broken")
    Image.fromarray(DISC.astype(np.float32) * 0.5).save(folder / "labels" / "broken.tif")
    the_set, findings = checked(folder)
    report = repair(the_set, findings, tmp_path / "copy")
    assert {one.id for one in report.left_out} == {"jpeg", "soft", "broken"}
    assert json.loads((tmp_path / "copy/dataset.json").read_text())["labels"] == {"background": 0, "colour_255_0_0": 1}


def test_images_and_labels_in_two_files_are_copied_with_both(tmp_path: Path) -> None:
    folder = tmp_path / "faulty"
    for place in range(3):
        array = RANDOM.integers(0, 1000, (6, 10, 12)).astype(np.int16)
        for part, values in (("images", array), ("labels", (array > 500).astype(np.uint8))):
            (folder / part).mkdir(parents=True, exist_ok=True)
            sitk.WriteImage(sitk.GetImageFromArray(values), str(folder / part / f"v{place}.mhd"))
    image_of_lost = folder / "images" / "v2.mhd"
    (folder / "labels" / "v2.raw").rename(folder / "labels" / "elsewhere")
    the_set, findings = checked(folder)
    report = repair(the_set, findings, tmp_path / "copy")
    assert [case.id for case in report.cases] == ["v0", "v1"] and image_of_lost.is_file()
    for part in ("images", "labels"):
        assert sorted(path.name for path in (tmp_path / "copy" / part).iterdir()) == ["v0.mhd", "v0.raw", "v1.mhd", "v1.raw"]
        assert (volume(tmp_path / "copy" / part / "v1.mhd").array == volume(folder / part / "v1.mhd").array).all()


def test_series_of_dicom_are_copied_slice_by_slice(tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    from tests.volume.dicom.written import write_series

    folder = tmp_path / "faulty"
    (folder / "labels").mkdir(parents=True)
    for place in range(3):
        write_series(folder / "images" / f"v{place}", RANDOM.integers(0, 1000, (4, 10, 12)))
        image_volume = volume(folder / "images" / f"v{place}")
        mask = (image_volume.array[0] > -600).astype(np.float32)
        write_labels(folder / "labels" / f"v{place}.nii.gz", mask.astype(np.uint8), image_volume.geometry)
        stored = sitk.ReadImage(str(folder / "labels" / f"v{place}.nii.gz"))
        sitk.WriteImage(sitk.Cast(stored, sitk.sitkFloat32), str(folder / "labels" / f"v{place}.nii.gz"))
    the_set, findings = checked(folder)
    report = repair(the_set, findings, tmp_path / "copy")
    assert {case.changes for case in report.cases} == {("float32 is stored as whole numbers",)} and report.left_out == ()
    for place in range(3):
        copy, before = tmp_path / "copy" / "images" / f"v{place}", folder / "images" / f"v{place}"
        assert len(list(copy.iterdir())) == 4 and (volume(copy).array == volume(before).array).all()
    assert not [one for one in checked(tmp_path / "copy")[1] if one.severity == "error"]


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
        meaning_of(set_look([look("a", label=label_look(lossy=True))], names=(), declared=False))
    with pytest.raises(DataError, match="there is nothing to copy"):
        meaning_of(set_look([look("a", label=label_look({"0": 10_000}))], names=(), declared=False))


def test_files_that_no_case_uses_are_told_and_are_no_fault_of_a_copied_case(tmp_path: Path) -> None:
    """A picture of another format has the name of a case."""
    folder = tmp_path / "set"
    for place in range(3):
        image(folder, f"s{place}")
        label(folder, f"s{place}", np.roll(DISC, place, 1))
    label(folder, "spare", DISC)
    declare(folder, labels={"background": 0, "head": 1})
    the_set, findings = checked(folder)
    unused = [one for one in findings if one.kind == "unused files"]
    strange = unused[0].model_copy(update={"cases": ("spare", "s0")})
    report = repair(the_set, [strange], tmp_path / "copy", unused=unused_in(the_set, []))
    assert report.unused == ("labels/spare.png",) and report.left_out == ()
    assert [one.remaining for one in report.cases] == [(), (), ()]


def test_reasons() -> None:
    error = CheckFinding(kind="grid", severity="error", told="sizes differ", cases=("a",))
    mended = CheckFinding(kind="0 and 255", severity="error", told="white", cases=("b",), fixable=True)
    warning = CheckFinding(kind="empty label", severity="warning", told="empty", cases=("c",))
    leak = CheckFinding(kind="leak", severity="error", told="leak", cases=("d",))
    assert reasons_to_leave_out([error, mended, warning, leak]) == {"a": "sizes differ"}
