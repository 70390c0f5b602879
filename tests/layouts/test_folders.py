"""Plain folders, with and without a declaration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autoseg.errors import DataError
from autoseg.layouts.base import LayoutResult, ReadOptions
from autoseg.layouts.folders import read, recognise
from autoseg.records import ColourEncoding, Dataset
from tests.layouts.written import declare, mask, picture, volume


def write(folder: Path, *names: str, values: tuple[int, ...] = (255,)) -> Path:
    for name in names or ("a", "b"):
        picture(folder / "images" / f"{name}.png")
        mask(folder / "labels" / f"{name}.png", *values)
    return folder


def sound(result: LayoutResult) -> Dataset:
    assert result.faults == ()
    assert result.dataset is not None
    return result.dataset


def test_masks_of_0_and_255_are_one_structure_and_it_is_said(tmp_path: Path) -> None:
    write(tmp_path)
    assert recognise(tmp_path) is not None
    dataset = sound(read(tmp_path, ReadOptions()))
    assert [(target.name, target.values, target.output_value) for target in dataset.targets] == [("foreground", (1,), 255)]
    assert dataset.encodings["default"].model_dump()["values"] == {0: 0, 255: 1}
    notes = "\n".join(dataset.notes)
    assert "255 -> 1" in notes and "255 in 2 files (32 pixels)" in notes and "unknown" in notes
    assert (dataset.rank, dataset.channels) == (2, ("grey",))


def test_undeclared_values_are_mapped_in_order(tmp_path: Path) -> None:
    dataset = sound(read(write(tmp_path, values=(200, 7)), ReadOptions()))
    assert [(target.name, target.values, target.output_value) for target in dataset.targets] == [
        ("class_7", (1,), 7),
        ("class_200", (2,), 200),
    ]


def test_labels_match_by_stem_or_with_a_tail_in_any_format(tmp_path: Path) -> None:
    picture(tmp_path / "images/x.jpg")
    picture(tmp_path / "images/y.bmp")
    picture(tmp_path / "images/z_image.tif")
    mask(tmp_path / "masks/x_mask.png", 1)
    mask(tmp_path / "masks/y.tif", 1)
    mask(tmp_path / "masks/z_label.png", 1)
    dataset = sound(read(tmp_path, ReadOptions()))
    assert {case.id: case.label for case in dataset.cases} == {
        "x": "masks/x_mask.png",
        "y": "masks/y.tif",
        "z_image": "masks/z_label.png",
    }


def test_declared_values_names_and_table(tmp_path: Path) -> None:
    write(tmp_path, "p1_1", "p1_2", "p2_1", values=(50, 100, 9))
    labels = {"background": 0, "csp": 100, "brain": 50}
    declare(
        tmp_path,
        name="mine",
        channels=["ultrasound"],
        labels=labels,
        derived={"head": ["brain", "csp"]},
        subjects="^(p\\d)_",
        ignore=9,
    )
    (tmp_path / "mm.csv").write_text("image;y (mm) pixel;x (mm) pixel\np1_1;0,2;0,1\np1_2;0,2;0,1\np2_1.png;0,4;0,3\n")
    (tmp_path / "ages.csv").write_text("image,age\np1_1,20\n")
    dataset = sound(read(tmp_path, ReadOptions()))
    assert dataset.name == "mine"
    assert dataset.channels == ("ultrasound",)
    assert [(target.name, target.values, target.output_value) for target in dataset.targets] == [
        ("brain", (1,), 50),
        ("csp", (2,), 100),
    ]
    assert [(structure.name, structure.values) for structure in dataset.derived] == [("head", (1, 2))]
    assert (dataset.ignore_value, dataset.encodings["default"].model_dump()["values"]) == (3, {0: 0, 50: 1, 100: 2, 9: 3})
    assert [(case.subject, case.spacing_mm) for case in dataset.cases] == [
        ("p1", (0.2, 0.1)),
        ("p1", (0.2, 0.1)),
        ("p2", (0.4, 0.3)),
    ]


def test_lists_of_values_merge_and_overlaps_are_regions(tmp_path: Path) -> None:
    write(tmp_path, values=(1, 2, 3))
    declare(tmp_path, labels={"background": 0, "kidneys": [1, 2], "cyst": 3})
    merged = sound(read(tmp_path, ReadOptions()))
    assert not merged.regions
    assert merged.encodings["default"].model_dump()["values"] == {0: 0, 1: 1, 2: 1, 3: 2}
    assert [(target.name, target.output_value) for target in merged.targets] == [("kidneys", 1), ("cyst", 3)]
    declare(tmp_path, labels={"background": 0, "whole": [1, 2, 3], "core": [3]}, regions_class_order=[1, 3])
    regions = sound(read(tmp_path, ReadOptions()))
    assert regions.regions
    assert [(target.name, target.values, target.output_value) for target in regions.targets] == [
        ("whole", (1, 2, 3), 1),
        ("core", (3,), 3),
    ]


def coloured(folder: Path) -> Path:
    for name in ("a", "b"):
        picture(folder / "images" / f"{name}.png")
        label = np.zeros((12, 16, 3), np.uint8)
        label[2:4] = (255, 0, 0)
        label[6, :5] = (0, 255, 0)
        picture(folder / "labels" / f"{name}.png", label)
    return folder


def test_undeclared_colours_are_listed_with_counts_and_a_snippet(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(coloured(tmp_path), ReadOptions())
    message = str(caught.value)
    assert "255,0,0 (64 pixels)" in message and "0,255,0 (10 pixels)" in message
    assert '"colours": {' in message and '"name_1": "255,0,0"' in message


def test_declared_colours(tmp_path: Path) -> None:
    declare(coloured(tmp_path), colours={"brain": "255,0,0", "csp": "#00ff00"})
    dataset = sound(read(tmp_path, ReadOptions()))
    assert dataset.encodings["default"] == ColourEncoding(colours={"0,0,0": 0, "255,0,0": 1, "0,255,0": 2})
    assert [(target.name, target.values) for target in dataset.targets] == [("brain", (1,)), ("csp", (2,))]


def test_grey_masks_stored_as_rgba_are_values(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.png")
    array = np.zeros((12, 16), np.uint8)
    array[3] = 255
    picture(tmp_path / "labels/a.png", array, mode="RGBA")
    assert sound(read(tmp_path, ReadOptions())).encodings["default"].model_dump()["values"] == {0: 0, 255: 1}


def test_rgb_images_are_grey_unless_they_show_colour(tmp_path: Path) -> None:
    folder = write(tmp_path)
    picture(folder / "images/a.png", np.full((12, 16, 3), 77))
    assert sound(read(folder, ReadOptions())).channels == ("grey",)
    colour = np.full((12, 16, 3), 77)
    colour[5, 5, 0] = 200
    picture(folder / "images/b.png", colour)
    assert sound(read(folder, ReadOptions())).channels == ("red", "green", "blue")


def test_channel_files_are_told_from_numbered_frames(tmp_path: Path) -> None:
    frames, channels = tmp_path / "frames", tmp_path / "channels"
    write(frames, "scan_0000", "scan_0001")
    assert [case.id for case in sound(read(frames, ReadOptions())).cases] == ["scan_0000", "scan_0001"]
    for name in ("p_0000", "p_0001", "q_0000"):
        picture(channels / "images" / f"{name}.png")
    mask(channels / "labels/p.png", 1)
    mask(channels / "labels/q.png", 1)
    result = read(channels, ReadOptions())
    assert [(fault.case, "lacks channel _0001" in fault.message) for fault in result.faults] == [("q", True)]
    assert result.dataset is not None
    assert result.dataset.cases[0].images == ("images/p_0000.png", "images/p_0001.png")
    assert result.dataset.channels == ("channel_0", "channel_1")


def test_volumes(tmp_path: Path) -> None:
    volume(tmp_path / "images/a.nrrd")
    volume(tmp_path / "labels/a.nii.gz", 1)
    dataset = sound(read(tmp_path, ReadOptions()))
    assert (dataset.rank, dataset.channels) == (3, ("image",))


def test_all_faults_at_once(tmp_path: Path) -> None:
    write(tmp_path, "fine", "no_label", "unreadable", "twice")
    (tmp_path / "labels/no_label.png").unlink()
    (tmp_path / "images/unreadable.png").write_bytes(b"not a picture")
    picture(tmp_path / "images/twice.bmp")
    mask(tmp_path / "labels/mispelt.png", 255)
    volume(tmp_path / "images/deep.nii.gz")
    volume(tmp_path / "labels/deep.nii.gz", 1)
    (tmp_path / "mm.csv").write_text("name,pixel mm\nother.png,0.1\nno_label.png,0.1\n")
    result = read(tmp_path, ReadOptions())
    assert {fault.case for fault in result.faults} >= {"no_label", "unreadable", "twice", "mispelt"}
    assert any(fault.case in ("deep", "fine") and "D while" in fault.message for fault in result.faults)


def test_labels_without_an_image_are_only_noted_in_a_sound_set(tmp_path: Path) -> None:
    write(tmp_path)
    mask(tmp_path / "labels/spare.png", 255)
    assert "1 label has no image and is ignored: spare" in sound(read(tmp_path, ReadOptions())).notes
    mask(tmp_path / "labels/a_mask.png", 255)  # another fault has nothing to do with it
    assert [fault.case for fault in read(tmp_path, ReadOptions()).faults] == ["a"]
    (tmp_path / "labels/b.png").unlink()  # now it may be b's label, misspelt
    assert {fault.case for fault in read(tmp_path, ReadOptions()).faults} == {"a", "b", "spare"}


def test_several_tables_tell_no_pixel_size(tmp_path: Path) -> None:
    write(tmp_path)
    for name in ("one", "other"):
        (tmp_path / f"{name}.csv").write_text("name,pixel mm\na,0.1\nb,0.1\n")
    result = read(tmp_path, ReadOptions())
    assert [fault.case for fault in result.faults] == [tmp_path.name] and "choose one" in result.faults[0].message
    assert result.dataset is not None and {case.spacing_mm for case in result.dataset.cases} == {None}


@pytest.mark.parametrize(
    ("declared", "match"),
    [
        ({"lables": {"a": 1}}, "did you mean 'labels'"),
        ({"labels": {"a": 1}, "derived": {"h": ["nobody"]}}, "nobody"),
        ({"labels": {"a": [1, 2], "b": [2]}}, "regions_class_order"),
        ({"colours": {"a": "red"}}, 'expected a colour such as "255,0,0"'),
        ({"colours": {"a": "1,1,1", "b": "1,1,1"}}, "declared twice"),
        ({"labels": {"a": 1}, "subjects": "("}, "valid regular expression"),
    ],
)
def test_unusable_declarations(tmp_path: Path, declared: dict[str, object], match: str) -> None:
    declare(write(tmp_path), **declared)
    with pytest.raises(DataError, match=match):
        read(tmp_path, ReadOptions())


def test_a_jpeg_cannot_hold_labels(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "labels/a.png").rename(tmp_path / "labels/a.jpg")
    (fault,) = read(tmp_path, ReadOptions()).faults
    assert fault.case == "a" and "JPEG" in fault.message


def test_of_jpegs_alone_nothing_else_is_said(tmp_path: Path) -> None:
    write(tmp_path)
    for name in "ab":
        (tmp_path / f"labels/{name}.png").rename(tmp_path / f"labels/{name}.jpg")
    with pytest.raises(DataError) as caught:
        read(tmp_path, ReadOptions())
    assert [fault.case for fault in caught.value.faults] == ["a", "b"]
    assert all("autoseg import, which can where masks are of one structure" in fault.message for fault in caught.value.faults)
    mask(tmp_path / "labels/a.png", 0)
    (tmp_path / "labels/a.jpg").unlink()
    with pytest.raises(DataError, match="nothing but 0 in every file that can be read"):
        read(tmp_path, ReadOptions())


def test_labels_without_any_foreground(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing but 0"):
        read(write(tmp_path, values=(0,)), ReadOptions())


def test_folders_without_anything_to_read_are_told_at_once(tmp_path: Path) -> None:
    """Not image by image."""
    write(tmp_path)
    for file in (tmp_path / "labels").iterdir():
        file.rename(file.with_suffix(".json"))
    with pytest.raises(DataError, match="labels: holds no readable label"):
        read(tmp_path, ReadOptions())
    for file in (tmp_path / "images").iterdir():
        file.unlink()
    with pytest.raises(DataError, match="images: holds no readable image"):
        read(tmp_path, ReadOptions())
