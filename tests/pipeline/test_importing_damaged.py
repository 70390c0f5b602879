"""What becomes of a set some of whose files are damaged: all is told, and what is whole comes in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import autoseg
from autoseg.errors import DataError
from autoseg.layouts.subjects import EACH_ITS_OWN

from ..annotations.pictures import save, write

SHAPE = (20, 30)
SQUARE = {"label": "Brain", "shape_type": "polygon", "points": [[2, 2], [20, 2], [20, 15], [2, 15]]}  # 18 x 13 pixels


def labelme_set(root: Path, damaged: int, of: int = 5) -> Path:
    """Images of which the first ones have a JSON that was cut off in the middle."""
    for number in range(of):
        save(root / f"{number}.png", np.full(SHAPE, number))
        content = {"shapes": [SQUARE], "imagePath": f"{number}.png", "imageHeight": SHAPE[0], "imageWidth": SHAPE[1]}
        text = json.dumps(content)
        write(root / f"{number}.json", text[: len(text) // 2] if number < damaged else text)
    return root


@pytest.mark.parametrize("damaged", [1, 4])
def test_damaged_files_are_named_by_their_images_and_the_others_come_in(tmp_path: Path, damaged: int) -> None:
    report = autoseg.import_dataset(labelme_set(tmp_path / "set", damaged), tmp_path / "out", workers=0)
    assert report.cases == 5 - damaged and report.labels[0].pixels == (5 - damaged) * 18 * 13
    assert [(one.id, one.reason) for one in report.failed] == [
        (f"{number}.png", f"its {number}.json is no proper JSON; save it again") for number in range(damaged)
    ]
    assert report.notes == ((EACH_ITS_OWN,) if report.cases > 1 else ())


def test_where_nothing_is_whole_every_fault_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        autoseg.import_dataset(labelme_set(tmp_path / "set", 5), tmp_path / "out", workers=0)
    assert [fault.case for fault in caught.value.faults] == [f"{number}.png" for number in range(5)]


def test_faults_are_told_together_with_what_the_others_lack(tmp_path: Path) -> None:
    """One image whose JSON is damaged, six that cannot be read."""
    root = labelme_set(tmp_path / "set", 1, of=7)
    for number in range(1, 7):
        (root / f"{number}.png").write_bytes(b"no picture")
    with pytest.raises(DataError) as caught:
        autoseg.import_dataset(root, tmp_path / "out", workers=0)
    assert [fault.case for fault in caught.value.faults] == ["0.png", *map(str, range(1, 7))]


def test_faults_are_told_where_the_others_are_empty(tmp_path: Path) -> None:
    root = labelme_set(tmp_path / "set", 1, of=2)
    text = json.loads((root / "1.json").read_text())
    write(root / "1.json", json.dumps(text | {"shapes": [SQUARE | {"points": [[0, 0], [0.2, 0], [0.2, 0.2]]}]}))
    with pytest.raises(DataError) as caught:
        autoseg.import_dataset(root, tmp_path / "out", workers=0)
    assert str(caught.value).splitlines() == [
        "0.png: its 0.json is no proper JSON; save it again",
        "no case has a labelled pixel; are these the right labels, and is --only right?",
    ]


def test_a_set_whose_only_file_is_cut_is_told_by_it(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.zeros((4, 4)))
    write(tmp_path / "annotations" / "instances_default.json", '{"images": [{"id": 1, ')
    with pytest.raises(DataError, match=r"instances_default.json: is no proper JSON; export it again"):
        autoseg.import_dataset(tmp_path, tmp_path.parent / "out", workers=0)
