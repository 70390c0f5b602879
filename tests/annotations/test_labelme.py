"""LabelMe's JSON: every kind of shape by hand, names from other machines, and faults by name."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from autoseg.annotations import labelme
from autoseg.annotations.base import Polygon
from autoseg.annotations.painting import paint
from autoseg.errors import DataError
from tests.annotations.pictures import save as save_picture
from tests.annotations.pictures import write


def png(mask: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def shape(label: str, kind: str, points: list[list[float]], **more: Any) -> dict[str, Any]:
    return {"label": label, "shape_type": kind, "points": points, **more}


def save(path: Path, shapes: list[dict[str, Any]], image: str = "x.png", size: tuple[int, int] = (20, 30)) -> None:
    content = {
        "version": "5.5.0",
        "shapes": shapes,
        "imagePath": image,
        "imageData": "AAAA",
        "imageHeight": size[0],
        "imageWidth": size[1],
    }
    write(path, json.dumps(content))


def test_each_kind_of_shape(tmp_path: Path) -> None:
    mask = np.array([[1, 0, 1], [0, 1, 0]], np.uint8) * 255
    shapes = [
        shape("_background_", "polygon", [[0, 0], [30, 0], [30, 20]]),
        shape("polygon", "polygon", [[0, 0], [4, 0], [4, 2], [0, 2]]),
        shape("rectangle", "rectangle", [[29, 9], [20, 4]]),
        shape("circle", "circle", [[10, 12], [10, 17]]),
        shape("mask", "mask", [[5.0, 1.0], [7.0, 2.0]], mask=png(mask)),
        shape("turned", "rectangle", [[25, 12], [29, 12], [29, 14], [25, 14]]),
        shape("mark", "point", [[3, 3]]),
        shape("edge", "linestrip", [[3, 3], [4, 4], [5, 5]]),
    ]
    save(tmp_path / "x.json", shapes)
    assert labelme.recognise(tmp_path) == "found x.json with shapes, imagePath"
    found = labelme.read(tmp_path)
    assert found.labels == ("polygon", "rectangle", "circle", "mask", "turned") and not found.faults
    (image,) = found.images
    assert image.name == "x.png" and image.size == (20, 30)
    labels = paint(image.annotations, (20, 30), found.labels).labels
    assert labels[:2, :4].tolist() == [[1] * 4] * 2 and (labels == 1).sum() == 8
    assert (labels[4:9, 20:29] == 2).all() and (labels == 2).sum() == 45
    assert (labels == 3).sum() == pytest.approx(np.pi * 25, abs=2)
    assert labels[1:3, 5:8].tolist() == [[4, 0, 4], [0, 4, 0]]
    assert (labels[12:14, 25:29] == 5).all()
    assert found.notes == (
        "1 of kind point have no area, and are left out",
        "1 of kind linestrip have no area, and are left out",
    )


def test_a_shape_called_background_is_a_hole_in_what_was_drawn_before(tmp_path: Path) -> None:
    """Two squares of 6 x 6; the hole of 4 x 4 takes 2 x 4 of the first, all of the small one, and nothing of what is drawn over it later."""
    square = [[0, 0], [6, 0], [6, 6], [0, 6]]
    hole = [[4, 1], [8, 1], [8, 5], [4, 5]]
    small = [[5, 2], [6, 2], [6, 3], [5, 3]]
    shapes = [
        shape("a", "polygon", square),
        shape("b", "polygon", [[20, 0], [26, 0], [26, 6], [20, 6]]),
        shape("small", "polygon", small),
        shape("_background_", "polygon", hole),
        shape("c", "polygon", small),
    ]
    save(tmp_path / "x.json", shapes)
    found = labelme.read(tmp_path)
    (image,) = found.images
    assert [one.label for one in image.annotations] == ["a", "b", "c"] and isinstance(image.annotations[1].shape, Polygon)
    labels = paint(image.annotations, (20, 30), found.labels).labels
    assert (labels == 1).sum() == 36 - 8 and not labels[1:5, 4].any() and (labels == 2).sum() == 36 and labels[2, 5] == 3


def test_names_from_other_machines(tmp_path: Path) -> None:
    for number, name in enumerate([r"..\images\a.png", r"C:\data\b.png", "/home/me/c.png", "plane/d.png", ""]):
        save(tmp_path / f"sub/{number}.json", [], name)
    assert [image.name for image in labelme.read(tmp_path).images] == ["images/a.png", "b.png", "c.png", "plane/d.png", "4"]


def test_faults_are_named_and_the_others_are_read(tmp_path: Path) -> None:
    wrong = [
        shape("a", "polygon", [[0, 0], [1, 1]]),
        shape("a", "polygon", [[0, 0], [1, float("nan")], [2, 2]]),
        shape("a", "circle", [[0, 0]]),
        shape("a", "mask", [[0, 0], [4, 4]], mask=png(np.ones((2, 2), np.uint8))),
        shape("a", "mask", [[0, 0], [4, 4]], mask="AAAA"),
        {"label": None, "points": [[0, 0], [1, 1], [2, 0]]},
        shape("a", "polygon", [[0, 0], [9, 0], [9, 9]]),
    ]
    save(tmp_path / "x.json", wrong)
    write(tmp_path / "broken.json", '{"shapes": [')
    write(tmp_path / "other.json", '{"shapes": 3}')
    found = labelme.read(tmp_path)
    told = [str(fault) for fault in found.faults]
    words = [
        "no proper JSON",
        "2 points",
        "not finite",
        "a circle has 2 points",
        "2x2 pixels, and its points enclose 5x5",
        "no PNG",
        "no label",
    ]
    assert len(told) == len(words) and all(word in line for word, line in zip(words, told, strict=True)), told
    assert told[1] == "x.png: shape 1 of x.json cannot be read: it has 2 points, and an area takes three; draw it again"
    assert len(found.images[0].annotations) == 1


def test_what_is_no_labelme(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no JSON or XML of LabelMe"):
        labelme.read(tmp_path)
    write(tmp_path / "broken.json", "{")
    assert labelme.recognise(tmp_path) is None
    with pytest.raises(DataError, match=r"broken.json: is no proper JSON; save it again"):
        labelme.read(tmp_path)


def test_equal_names_in_two_folders_are_two_images(tmp_path: Path) -> None:
    """Each JSON means the image beside it, or where its path leads."""
    for folder in ("a", "b"):
        (tmp_path / folder / "json").mkdir(parents=True)
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / folder / "p.png")
        content = {"shapes": [], "imagePath": "..\\p.png", "imageHeight": 8, "imageWidth": 8}
        (tmp_path / folder / "json" / "p.json").write_text(json.dumps(content))
    found = labelme.read(tmp_path)
    assert [image.name for image in found.images] == ["a/p.png", "b/p.png"] and not found.faults


SQUARE = [shape("a", "polygon", [[0, 0], [6, 0], [6, 6], [0, 6]])]
DAMAGED = {
    "cut": ('{"version": "5.5.0", "shapes": [{"label"', "is no proper JSON; save it again"),
    "empty": ("", "is no proper JSON; save it again"),
    "no shapes": ('{"imagePath": "x.png"}', "has no list of shapes; save it again"),
    "no path": ('{"shapes": [], "imagePath": null}', "has no imagePath; save it again"),
    "other": ('{"a": 1}', "is no JSON of LabelMe; save it again, or take it out of the folder"),
    "list": ("[]", "is no JSON of LabelMe; save it again, or take it out of the folder"),
}


def picture(path: Path) -> Path:
    return save_picture(path, np.zeros((20, 30)))


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_is_told_by_the_image_beside_it(kind: str, tmp_path: Path) -> None:
    text, told = DAMAGED[kind]
    picture(tmp_path / "x.png")
    write(tmp_path / "x.json", text)
    save(tmp_path / "y.json", SQUARE, "y.png")
    found = labelme.read(tmp_path)
    assert [image.name for image in found.images] == ["y.png"]
    assert [str(fault) for fault in found.faults] == [f"x.png: its x.json {told}"]


def test_which_image_a_damaged_file_means(tmp_path: Path) -> None:
    """The one beside it, else the only one of its name; where neither is known, or a whole file tells of it, the file itself is named."""
    for name in ("images/p.png", "a/q.png", "b/q.png", "images/r.png", "images/s.png"):
        picture(tmp_path / name)
    for name in ("json/p.json", "b/q.json", "json/q.json", "json/lost.json", "images/r.json"):
        write(tmp_path / name, "{")
    save(tmp_path / "json/whole.json", SQUARE, "r.png")
    save(tmp_path / "json/s.json", SQUARE, "s.tif")
    write(tmp_path / "images/s.json", '{"taken": "in May"}')  # beside an image that has its own file
    write(tmp_path / "package.json", '{"name": "set"}')
    found = labelme.read(tmp_path)
    assert [image.name for image in found.images] == ["s.tif", "r.png"]
    assert [str(fault).split(" is no")[0] for fault in found.faults] == [
        "b/q.png: its q.json",
        "r.json:",
        "lost.json:",
        "images/p.png: its p.json",
        "q.json:",
    ]


def test_several_files_that_name_one_image(tmp_path: Path) -> None:
    """As copies do in which the name was not changed."""
    for name in ("x", "y", "z"):
        picture(tmp_path / f"{name}.png")
        save(tmp_path / f"{name}.json", SQUARE, "z.png")
    for folder in ("a", "b"):
        save(tmp_path / folder / "one.json", SQUARE, "far.png")
    assert [str(fault) for fault in labelme.read(tmp_path).faults] == [
        "x.png: its x.json names z.png, as another file does; mend the name in it",
        "y.png: its y.json names z.png, as another file does; mend the name in it",
        "far.png: a/one.json and b/one.json name it, and neither is taken; mend the name in them",
        "z.png: x.json, y.json and z.json name it, and none is taken; mend the name in them",
    ]


def test_a_set_whose_files_are_all_damaged_is_known_by_its_pictures(tmp_path: Path) -> None:
    write(tmp_path / "x.json", "{")
    assert labelme.recognise(tmp_path) is None
    picture(tmp_path / "x.png")
    assert labelme.recognise(tmp_path) == "found x.json, which is damaged, and its picture"
    write(tmp_path / "y.json", '{"a": 1}')
    assert labelme.recognise(tmp_path) is None, "what can be read is of another program"
    write(tmp_path / "z.json", '{"imagePath": "z.png"}')
    assert labelme.recognise(tmp_path) == "found z.json with imagePath"
