"""Ultralytics' polygons: names in every form, sizes from images, holes that are cut open, and boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autoseg.annotations import boxes, yolo_seg
from autoseg.annotations.painting import paint
from autoseg.errors import DataError
from tests.annotations.pictures import save, write

SQUARE = "0 0 0 0.5 0 0.5 0.5 0 0.5"
BOX = "1 0.5 0.5 0.2 0.2"


def export(folder: Path, lines: list[str], names: str = "names: [Brain, CSP]\n") -> Path:
    write(folder / "data.yaml", names)
    write(folder / "labels/train/x.txt", "\n".join(lines))
    save(folder / "images/train/x.png", np.zeros((10, 20)))
    return folder


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("data.yaml", "path: .\nnames:\n  0: Brain\n  1: CSP\n"),
        ("data.yaml", "nc: 2\nnames: ['Brain', \"CSP\"] # two\n"),
        ("dataset.yaml", "names:\n- Brain\n- CSP\n"),
        ("obj.names", "Brain\nCSP\n"),
        ("classes.txt", "Brain\nCSP\n"),
    ],
)
def test_names_of_classes(file: str, text: str, tmp_path: Path) -> None:
    export(tmp_path, [SQUARE])
    (tmp_path / "data.yaml").unlink()
    write(tmp_path / file, text)
    assert yolo_seg.recognise(tmp_path) == f"found {file} and polygons in x.txt"
    assert yolo_seg.read(tmp_path).labels == ("Brain", "CSP")


def test_images_their_polygons_and_their_boxes(tmp_path: Path) -> None:
    """A frame whose hole is reached by a cut from the corner: 20 x 10 pixels, less 4 x 2."""
    frame = "1 0 0 1 0 1 1 0 1 0 0 0.4 0.4 0.4 0.6 0.6 0.6 0.6 0.4 0.4 0.4"
    export(tmp_path, [frame, SQUARE, BOX, "", "0 0.1 0.1", "7 0 0 1 0 1 1", "0 a b", "0 0 0 nan 0 1 1"])
    write(tmp_path / "labels/val/empty.txt", "")
    save(tmp_path / "images/val/empty.png", np.zeros((4, 4)))
    save(tmp_path / "images/val/sub/without.png", np.zeros((4, 4)))
    save(tmp_path / "runs/curve.png", np.zeros((4, 4)))
    write(tmp_path / "labels/val/lost.txt", SQUARE)
    found = yolo_seg.read(tmp_path)
    assert [(image.name, image.size) for image in found.images] == [
        ("x.png", (10, 20)),
        ("empty.png", (4, 4)),
        ("sub/without.png", (4, 4)),
    ]
    labels = paint(found.images[0].annotations, (10, 20), found.labels).labels
    assert (labels[:5, :10] == 1)[:4, :8].all() and (labels == 1).sum() == 50
    assert (labels[4:6, 8:12] != 2).all() and (labels[5] == 2).tolist() == [True] * 8 + [False] * 4 + [True] * 8
    assert found.images[1].annotations == found.images[2].annotations == ()
    assert found.notes == (
        "1 of kind box have no area, and are left out",
        "1 images have no label file and count as empty, such as sub/without.png",
    )
    told = [str(fault) for fault in found.faults]
    assert told[0].startswith("val/lost: has a label file and no image")
    assert told[1] == "x.png: line 4 of x.txt cannot be read: it is no class with corners of a polygon; export it again"
    assert told[2] == "x.png: line 5 of x.txt cannot be read: class 7 has no name; add it to data.yaml"
    assert "no class with corners" in told[3] and "not finite" in told[4] and len(told) == 5


def test_coordinates_are_fractions(tmp_path: Path) -> None:
    """A hair outside is rounding, and is cut off at the picture's edge: of 20 x 10 pixels the left half is 100. More than 0.01 is something else."""
    export(tmp_path, ["0 -0.01 -0.004 0.5 0 0.5 1.01 0 1.002"])
    found = yolo_seg.read(tmp_path)
    assert not found.faults and paint(found.images[0].annotations, (10, 20), found.labels).labels.sum() == 100
    export(tmp_path, [SQUARE, "0 0 0 10 0 10 5 0 5", "1 0 0 0.5 -0.011 0.5 0.5"])
    found = yolo_seg.read(tmp_path)
    cure = "and coordinates are fractions of the image's width and height; divide x by 20 and y by 10 if they are in pixels"
    assert [str(fault) for fault in found.faults] == [
        f"x.png: line {line} of x.txt cannot be read: coordinate {number} lies outside 0 to 1, {cure}"
        for line, number in ((2, "10"), (3, "-0.011"))
    ]
    assert len(found.images[0].annotations) == 1


def test_a_class_without_a_name_is_to_be_added_where_the_others_are(tmp_path: Path) -> None:
    export(tmp_path, [SQUARE, "5" + SQUARE[1:]])
    (tmp_path / "data.yaml").unlink()
    write(tmp_path / "obj.names", "Brain\n")
    assert [fault.message for fault in yolo_seg.read(tmp_path).faults] == [
        "line 2 of x.txt cannot be read: class 5 has no name; add it to obj.names"
    ]


def test_what_is_damaged_is_told_by_the_image(tmp_path: Path) -> None:
    export(tmp_path, [SQUARE])
    for name in ("text", "picture"):
        save(tmp_path / f"images/train/{name}.png", np.zeros((10, 20)))
        write(tmp_path / f"labels/train/{name}.txt", SQUARE)
    (tmp_path / "labels/train/text.txt").write_bytes(bytes(range(256)))
    (tmp_path / "images/train/picture.png").write_bytes(b"no picture")
    found = yolo_seg.read(tmp_path)
    assert [image.name for image in found.images] == ["x.png"]
    told = {fault.case: fault.message for fault in found.faults}
    assert set(told) == {"text.png", "picture.png"} and told["text.png"].startswith("text.txt: is no proper text")


def test_folders_within_a_subset_are_kept(tmp_path: Path) -> None:
    export(tmp_path, [SQUARE])
    for patient in ("p1", "p2"):
        save(tmp_path / f"images/{patient}/1.png", np.zeros((4, 4)))
    assert [image.name for image in yolo_seg.read(tmp_path).images] == ["p1/1.png", "p2/1.png", "x.png"]


def test_label_files_beside_images_as_yolo_1_1_has_them(tmp_path: Path) -> None:
    write(tmp_path / "obj.names", "Brain\n")
    write(tmp_path / "obj_train_data/x.txt", SQUARE)
    save(tmp_path / "obj_train_data/x.png", np.zeros((10, 20)))
    found = yolo_seg.read(tmp_path)
    assert len(found.images) == 1 and len(found.images[0].annotations) == 1


def test_boxes_alone_are_refused(tmp_path: Path) -> None:
    export(tmp_path, [BOX, BOX])
    assert yolo_seg.recognise(tmp_path) is None and "five" not in (boxes.recognise(tmp_path) or "")
    assert (boxes.recognise(tmp_path) or "").startswith(
        "found data.yaml and label files of 5 numbers a line, which are boxes of YOLO"
    )
    with pytest.raises(DataError, match=r"holds 2 boxes and no polygon: .* 'Ultralytics YOLO Segmentation 1.0'"):
        yolo_seg.read(tmp_path)
    export(tmp_path, [BOX, "0 0 0 10 0 10 5 0 5"])
    assert len(yolo_seg.read(tmp_path).faults) == 1, "a polygon in pixels is one"


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"names no classes; add data.yaml"):
        yolo_seg.read(tmp_path)
    write(tmp_path / "data.yaml", "names: [a]\nkpt_shape: [17, 3]\n")
    with pytest.raises(DataError, match=r"declares key points, which hold no outline; export the same project as"):
        yolo_seg.read(tmp_path)
    write(tmp_path / "data.yaml", "names: 3\n")
    with pytest.raises(DataError, match="has no names of classes"):
        yolo_seg.read(tmp_path)
    write(tmp_path / "data.yaml", "names: [a\n")
    with pytest.raises(DataError, match="is no proper YAML"):
        yolo_seg.read(tmp_path)
    write(tmp_path / "data.yaml", "names: [a]\n")
    with pytest.raises(DataError, match="holds no label files"):
        yolo_seg.read(tmp_path)
    write(tmp_path / "labels/x.txt", SQUARE)
    with pytest.raises(DataError, match="holds no images, whose sizes"):
        yolo_seg.read(tmp_path)
