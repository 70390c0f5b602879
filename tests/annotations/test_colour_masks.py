"""Masks in colours in plain folders: who names the colours, which nobody named, and what is no more than a border."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from autoseg.annotations import colour_masks
from autoseg.annotations.base import ReadOptions
from autoseg.errors import DataError
from tests.annotations.pictures import decoded, save, write

RED, GREEN, YELLOW, BLACK = (255, 0, 0), (0, 255, 0), (255, 255, 0), (0, 0, 0)


def scene(*squares: tuple[int, tuple[int, int, int]]) -> np.ndarray:
    """A black picture of 64 x 64 pixels with squares of 10 x 10 from the given columns on."""
    picture = np.zeros((64, 64, 3), np.uint8)
    for left, colour in squares:
        picture[20:30, left : left + 10] = colour
    return picture


def export(folder: Path, number: int = 1) -> Path:
    for name in range(number):
        save(folder / f"images/{name}.jpg", np.zeros((64, 64)))
        save(folder / f"masks/{name}.png", scene((5, RED), (30, GREEN)))
    return folder


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("labels.txt", "Brain: 255,0,0\nCSP: 0,255,0\n"),
        ("classes.csv", "name,r,g,b\nBrain,255,0,0\nCSP,0,255,0\n"),
        ("labelmap.txt", "Brain:255,0,0::\nCSP:0,255,0::\nbackground:0,0,0::\n"),
        ("dataset.json", json.dumps({"colours": {"Brain": "255,0,0", "CSP": "#00ff00"}})),
    ],
)
def test_files_that_name_the_colours(file: str, text: str, tmp_path: Path) -> None:
    export(tmp_path)
    write(tmp_path / file, text)
    assert colour_masks.recognise(tmp_path) == f"found images/, masks/ and {file}"
    found = colour_masks.read(tmp_path)
    assert found.labels == ("Brain", "CSP") and not found.faults and not found.notes
    (image,) = found.images
    assert image.name == "0.jpg" and image.label_map
    labels = decoded(image.label_map, found).labels
    assert (labels[20:30, 5:15] == 1).all() and (labels[20:30, 30:40] == 2).all() and (labels > 0).sum() == 200


def test_the_caller_names_the_colours(tmp_path: Path) -> None:
    export(tmp_path, 2)
    assert colour_masks.recognise(tmp_path) == "found images/, masks/ and no file that names colours"
    with pytest.raises(
        DataError, match=r"names no colours; in 2 masks occur 0,255,0 in 2 images \(200 pixels\), 255,0,0 in 2 images"
    ):
        colour_masks.read(tmp_path)
    found = colour_masks.read(tmp_path, ReadOptions(colours={RED: "Brain", GREEN: "background"}))
    assert found.labels == ("Brain",) and not found.faults


def test_grey_masks_are_named_by_their_greys(tmp_path: Path) -> None:
    save(tmp_path / "images/a.png", np.zeros((3, 3)))
    file = save(tmp_path / "masks/a.png", [[0, 255, 255]])
    for options in (ReadOptions(colours={(255, 255, 255): "lesion"}), ReadOptions(values={255: "lesion"})):
        found = colour_masks.read(tmp_path, options)
        assert found.labels == ("lesion",) and decoded(file, found).labels.tolist() == [[0, 1, 1]]


def test_greys_that_nobody_named_name_themselves(tmp_path: Path) -> None:
    """One white, smoothed or not, as grey or as RGB; three values, of which one fills no block; and greys of a photograph."""
    save(tmp_path / "images/a.png", np.zeros((64, 64)))
    save(tmp_path / "images/b.png", np.zeros((64, 64)))
    white = scene((5, (255, 255, 255)))
    smooth = (
        Image.fromarray(white[..., 0]).resize((32, 32), Image.Resampling.BILINEAR).resize((64, 64), Image.Resampling.BILINEAR)
    )
    for first, second in ((white[..., 0], white), (white[..., 0], np.asarray(smooth))):
        save(tmp_path / "masks/a_segmentation.png", first)
        save(tmp_path / "masks/b_segmentation.png", second)
        found = colour_masks.read(tmp_path)
        assert found.labels == ("foreground",) and [image.name for image in found.images] == ["a.png", "b.png"]
        assert "255 is called foreground; call them with --structure NAME=VALUE" in found.notes[0]
        drawn = [decoded(image.label_map, found).labels for image in found.images if image.label_map]
        assert [int(one.sum()) for one in drawn] == [100, 100 if second is white else 96]  # smoothing takes the corners
    values = scene((5, (1, 1, 1)), (20, (3, 3, 3)))[..., 0]
    file = save(tmp_path / "masks/a_segmentation.png", values)
    save(tmp_path / "masks/b_segmentation.png", values)
    found = colour_masks.read(tmp_path)
    assert found.labels == ("class_1", "class_3") and np.bincount(decoded(file, found).labels.ravel()).tolist() == [
        3896,
        100,
        100,
    ]
    values[0, 0] = 2
    save(tmp_path / "masks/b_segmentation.png", values)
    with pytest.raises(DataError, match=r"names no colours; .* 2,2,2 in 1 image \(1 pixels\)"):
        colour_masks.read(tmp_path)
    save(tmp_path / "masks/a_segmentation.png", np.repeat(np.repeat(np.arange(1, 257).reshape(16, 16) % 256, 4, 0), 4, 1))
    with pytest.raises(DataError, match="names no colours"):
        colour_masks.read(tmp_path)


def test_colours_that_nobody_named_are_told(tmp_path: Path) -> None:
    """Yellow in each of five images; blue in one of them."""
    export(tmp_path, 5)
    for name in range(5):
        save(tmp_path / f"masks/{name}.png", scene((5, RED), (30, YELLOW), *([(45, (0, 0, 255))] if name == 0 else [])))
    found = colour_masks.read(tmp_path, ReadOptions(colours={RED: "Brain", GREEN: "CSP"}))
    assert found.notes == (
        "2 colours occur in masks/ that nobody named: 255,255,0 in 5 images (500 pixels), 0,0,255 in 1 image (100 pixels); "
        "1 of them in 1 image only; "
        "name them with --structure NAME=R,G,B (or NAME=255 of masks in black and white), or in labels.txt with a line 'name r,g,b' each",
    )
    assert YELLOW not in found.colours and len(found.images) == 5 and found.faults == (), (
        "what becomes of them is the caller's choice"
    )
    file = tmp_path / "masks/1.png"
    assert [decoded(file, found, unknown).labels.sum() for unknown in ("background", "nearest")] == [
        100,
        100 + 100,
    ]  # yellow: red's or green's


def test_borders_of_jpeg_and_of_smoothing_are_no_classes(tmp_path: Path) -> None:
    export(tmp_path, 2)
    (tmp_path / "masks/0.png").unlink()
    Image.fromarray(scene((8, RED), (40, GREEN))).save(tmp_path / "masks/0.jpg", quality=95, subsampling=0)
    smooth = Image.fromarray(scene((5, RED), (30, GREEN))).filter(ImageFilter.BoxBlur(1))
    smooth.save(tmp_path / "masks/1.png")
    found = colour_masks.read(tmp_path, ReadOptions(colours={RED: "Brain", GREEN: "CSP"}))
    assert not found.faults and found.labels == ("Brain", "CSP")
    assert set(found.colours.values()) == {"", "Brain", "CSP"} and len(found.colours) > 6
    near, border = found.notes
    assert "colours are close to a named one, as JPEG leaves them (" in near
    assert "colours are borders, as JPEG or smoothing leaves them (" in border and "count as background" in border
    for image in found.images:
        assert image.label_map
        read = decoded(image.label_map, found)
        assert not read.unknown
        left = 8 if image.label_map.suffix == ".jpg" else 5
        assert (read.labels[21:29, left + 1 : left + 9] == 1).all() and read.labels[:17].max() == 0


def test_jpeg_that_stores_colours_coarsely(tmp_path: Path) -> None:
    """It leaves hundreds of colours, also such as lie between no two named ones; one that fills a block is told all the same."""
    rows, columns = np.mgrid[:160, :200]
    picture = np.zeros((160, 200, 3), np.uint8)
    picture[np.hypot(rows - 80, columns - 90) < 60] = RED
    picture[70:90, 80:100], picture[:40, 160:] = GREEN, (0, 0, 255)
    save(tmp_path / "images/a.png", np.zeros((160, 200)))
    (tmp_path / "masks").mkdir()
    Image.fromarray(picture).save(tmp_path / "masks/a.jpg", quality=75)
    found = colour_masks.read(tmp_path, ReadOptions(colours={RED: "Brain", GREEN: "CSP"}))
    strangers, *_ = found.notes
    assert "1 colours occur in masks/ that nobody named: 0,0,254 in 1 image" in strangers, "the blue one, as JPEG stores it"
    assert len(found.notes) == 3 and not found.faults
    label_map = decoded(found.images[0].label_map or tmp_path, found)
    assert set(label_map.unknown) == {"0,0,254"}
    drawn = (picture == RED).all(axis=-1)
    assert np.count_nonzero((label_map.labels == 1) != drawn) < 0.1 * np.count_nonzero(drawn)


def test_a_structure_between_two_colours_is_no_border(tmp_path: Path) -> None:
    """Dark red, half way between black and red, but a square of its own."""
    export(tmp_path)
    save(tmp_path / "masks/0.png", scene((5, RED), (30, (128, 0, 0))))
    found = colour_masks.read(tmp_path, ReadOptions(colours={RED: "Brain"}))
    assert "128,0,0 in 1 image (100 pixels)" in found.notes[0] and len(found.notes) == 1


def test_values_that_lie_close_are_no_borders(tmp_path: Path) -> None:
    """Places of labels, written as grey colours: 3 lies between 1 and 5, and is near both."""
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[0, 0], picture[2, 2], picture[4, 4] = 1, 5, 3
    save(tmp_path / "images/a.png", np.zeros((8, 8)))
    save(tmp_path / "masks/a.png", picture)
    found = colour_masks.read(tmp_path, ReadOptions(colours={(1, 1, 1): "a", (5, 5, 5): "b"}))
    assert "3,3,3 in 1 image (1 pixels)" in found.notes[0] and len(found.notes) == 1


def test_noise_of_grey_masks_is_no_place_in_a_table(tmp_path: Path) -> None:
    """As JPEG leaves it: 1 and 254 in the places of 0 and 255."""
    write(tmp_path / "labels.txt", "lesion 255 255 255\n")
    picture = np.zeros((20, 20))
    picture[5:15, 5:15], picture[0, 0], picture[7, 7], picture[3, 3] = 255, 1, 254, 130
    save(tmp_path / "images/a.png", picture)
    file = save(tmp_path / "masks/a.png", picture)
    found = colour_masks.read(tmp_path)
    assert not found.faults and len(found.notes) == 1 and "from half of the named grey on" in found.notes[0]
    labels = decoded(file, found).labels
    assert labels.sum() == 101 and labels[7, 7] == 1 and not labels[0, 0] and labels[3, 3] == 1  # 130 is more than half of 255


def test_black_that_jpeg_moved_is_background_also_with_a_table(tmp_path: Path) -> None:
    write(tmp_path / "labels.txt", "Brain 255 0 0\nCSP 0 255 0\n")
    picture = scene((5, RED))
    picture[40:, 40:] = 1, 0, 2
    save(tmp_path / "images/a.png", np.zeros((64, 64)))
    file = save(tmp_path / "masks/a.png", picture)
    found = colour_masks.read(tmp_path)
    assert not found.faults and decoded(file, found).labels.sum() == 100


def test_names_of_masks_and_images(tmp_path: Path) -> None:
    write(tmp_path / "labels.txt", "Brain 255 0 0\n")
    for name in ("a.tif", "sub/b.png", "c_mask.png", "without.png"):
        save(tmp_path / "imgs" / name, np.zeros((64, 64)))
    for name in ("a_mask", "sub/b-seg", "c_mask", "alone"):
        save(tmp_path / f"annotations/{name}.png", scene((5, RED)))
    write(tmp_path / "annotations/broken.png", "no picture")
    found = colour_masks.read(tmp_path)
    assert [image.name for image in found.images] == ["a.tif", "alone", "c_mask.png", "sub/b.png"]
    assert [fault.case for fault in found.faults] == ["broken.png", "without.png"]
    assert found.faults[1].message.startswith(
        "has no mask in annotations/; give it a black one if nothing is on it, or give --missing empty"
    )


def test_what_is_no_folder_of_colour_masks(tmp_path: Path) -> None:
    assert colour_masks.recognise(tmp_path) is None
    with pytest.raises(DataError, match="holds no folder of masks"):
        colour_masks.read(tmp_path)
    export(tmp_path)
    write(tmp_path / "dataset.json", '{"colours": {"Brain": "red"}}')
    with pytest.raises(DataError, match=r"dataset.json: the colour of Brain is no 'r,g,b'"):
        colour_masks.read(tmp_path)


def test_two_folders_of_masks_are_not_guessed_between(tmp_path: Path) -> None:
    """Vessels in `manual1`, the field of view in `mask`, as sets of the retina have them."""
    for name in ("01_dr", "02_g"):
        save(tmp_path / f"images/{name}.jpg", np.zeros((4, 4)))
        save(tmp_path / f"manual1/{name}.png", np.zeros((4, 4)))
        save(tmp_path / f"mask/{name}_mask.png", np.full((4, 4), 255))
    with pytest.raises(
        DataError, match=r"mask/ and manual1/ both .* --image 'images/{case}.\*' --label 'NAME=manual1/{case}.\*'"
    ):
        colour_masks.read(tmp_path)
    (tmp_path / "labels.txt").write_text("eye 255 255 255\n")
    assert colour_masks.read(tmp_path).labels == ("eye",)
