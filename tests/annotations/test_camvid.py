"""CamVid: pairs of paths as different programs list them."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoseg.annotations import camvid
from autoseg.annotations.base import ReadOptions
from autoseg.errors import DataError
from tests.annotations.pictures import decoded, save, write

RED = (255, 0, 0)


def test_lists_of_different_programs(tmp_path: Path) -> None:
    """With spaces in names, in quotes, with a path from elsewhere, without slashes, and without a mask."""
    write(tmp_path / "label_colors.txt", "0 0 0 background\n255 0 0 Brain\n")
    for name in ("a.png", "b c.png", "d e.png", "sub/f.png", "g.png"):
        save(tmp_path / "trainannot" / name, [[RED, (0, 0, 0)]])
    lines = [
        "/SegNet/CamVid/train/a.png /SegNet/CamVid/trainannot/a.png",
        "/train/b c.png /trainannot/b c.png",
        '"/train/d e.png" "/trainannot/d e.png"',
        "/train/sub/f.png /trainannot/sub/f.png",
        "train/g.png trainannot/g.png",
        "/train/empty.png ",
        "/train/lost.png /trainannot/lost.png",
        "/train/out.png /../../etc/passwd",
    ]
    write(tmp_path / "train.txt", "\n".join(lines))
    assert camvid.recognise(tmp_path) == "found label_colors.txt and trainannot/"
    found = camvid.read(tmp_path)
    assert [image.name for image in found.images] == ["a.png", "b c.png", "d e.png", "sub/f.png", "g.png", "empty.png"]
    for image in found.images[:5]:
        assert image.label_map and decoded(image.label_map, found).labels.tolist() == [[1, 0]]
    assert found.images[5].label_map is None and found.images[5].annotations == ()
    assert [fault.case for fault in found.faults] == ["lost.png", "out.png"]
    assert found.faults[0].message == "its mask /trainannot/lost.png, listed in train.txt, is missing; export again"


def test_without_lists_all_masks_are_read_and_values_are_places(tmp_path: Path) -> None:
    write(tmp_path / "label_colors.txt", "255 0 0 Brain\n0 0 0 Void\n")
    save(tmp_path / "valannot/x.png", [[0, 1]])
    save(tmp_path / "testannot/x.png", [[0, 1]])
    found = camvid.read(tmp_path)
    (image,) = found.images
    assert image.label_map and image.label_map.parent.name == "testannot"
    assert decoded(image.label_map, found).labels.tolist() == [[0, 1]]
    assert found.faults[0].message.startswith("is there twice")


def test_colours_must_be_named_by_someone(tmp_path: Path) -> None:
    save(tmp_path / "trainannot/x.png", [[RED]])
    assert camvid.recognise(tmp_path) is None
    with pytest.raises(DataError, match=r"holds no label_colors.txt; add it with a line 'r g b name'"):
        camvid.read(tmp_path)
    assert camvid.read(tmp_path, ReadOptions(colours={RED: "Brain"})).labels == ("Brain",)
    with pytest.raises(DataError, match="no folder whose name ends in annot"):
        camvid.read(tmp_path / "trainannot")
