"""The phantoms: their files, their truth, and that shortcuts fail on them."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from scipy import ndimage

from autoseg.metrics.biometry import head_circumference_mm
from autoseg.metrics.overlap import count, dice
from autoseg.phantom import write_fetal_head, write_volumes


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fetal_head(tmp_path_factory.mktemp("head"))


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_volumes(tmp_path_factory.mktemp("volumes"), cases=6)


def _table(path: Path) -> dict[str, float]:
    with path.open(newline="") as file:
        return {name: float(value) for name, value in list(csv.reader(file))[1:]}


def _pairs(folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    names = sorted(path.name for path in (folder / "images").iterdir())
    return [
        (np.asarray(Image.open(folder / "images" / name)), np.asarray(Image.open(folder / "labels" / name))) for name in names
    ]


def _otsu(values: np.ndarray) -> int:
    """The threshold that separates two classes of grey values best (Otsu 1979)."""
    histogram = np.bincount(values.ravel(), minlength=256).astype(float)
    below, moment = histogram.cumsum(), (histogram * np.arange(256)).cumsum()
    between = (moment[-1] * below / below[-1] - moment) ** 2 / np.maximum(below * (below[-1] - below), 1)
    return int(between.argmax())


def test_fetal_head_files(head: Path) -> None:
    description = json.loads((head / "dataset.json").read_text())
    assert description["labels"] == {"Brain": 1, "CSP": 2, "LV": 3} and description["derived"] == {"head": ["Brain", "CSP", "LV"]}
    names = sorted(path.name for path in (head / "images").iterdir())
    assert names == sorted(path.name for path in (head / "labels").iterdir())
    assert set(_table(head / "pixel_size.csv")) == set(_table(head / "truth.csv")) == set(names)
    subjects = [match.group(1) for name in names if (match := re.search(description["subjects"], name))]
    assert len(subjects) == len(names) and len(set(subjects)) == 12
    assert {subjects.count(subject) for subject in subjects} == {1, 2, 3}
    for name in names:
        number, total = map(int, re.findall(r"_(\d)_of_(\d)\.png$", name)[0])
        assert 1 <= number <= total == sum(other.startswith(name.split("_Plane")[0]) for other in names)


def test_fetal_head_pictures(head: Path) -> None:
    pairs = _pairs(head)
    assert {image.shape for image, _ in pairs} == {label.shape for _, label in pairs} == {(160, 240)}
    assert {str(array.dtype) for pair in pairs for array in pair} == {"uint8"}
    present = [tuple(bool((label == value).any()) for value in (1, 2, 3)) for _, label in pairs]
    assert all(brain for brain, _, _ in present)
    assert {(csp, lv) for _, csp, lv in present} == {(True, True), (True, False), (False, True), (False, False)}
    for _, label in pairs:
        _, parts = ndimage.label(label > 0)
        assert parts == 1 and 0.1 < (label > 0).mean() < 0.4


def test_pixel_sizes_differ_between_subjects_and_not_within(head: Path) -> None:
    by_subject: dict[str, set[float]] = {}
    for name, value in _table(head / "pixel_size.csv").items():
        by_subject.setdefault(name.split("_")[0], set()).add(value)
    assert all(len(values) == 1 for values in by_subject.values())
    sizes = [value for values in by_subject.values() for value in values]
    assert max(sizes) / min(sizes) == pytest.approx(2.5)


def test_true_circumference_is_that_of_the_labels(head: Path) -> None:
    pixel, truth = _table(head / "pixel_size.csv"), _table(head / "truth.csv")
    names = sorted(pixel)
    wrong_scale = []
    for name, (_, label) in zip(names, _pairs(head), strict=True):
        measured = head_circumference_mm(label > 0, (pixel[name], pixel[name]))
        assert measured == pytest.approx(truth[name], rel=0.005)
        unscaled = head_circumference_mm(label > 0, (0.8, 0.8))
        assert unscaled is not None
        wrong_scale.append(abs(unscaled / truth[name] - 1))
    assert np.mean(wrong_scale) > 0.15  # one pixel size for all is far off


@pytest.mark.parametrize(
    "threshold",
    [
        lambda image, level: image > level,
        lambda image, level: (image <= level) & (image > 0),
        lambda image, level: ndimage.binary_fill_holes(image > level),
        lambda image, level: ndimage.gaussian_filter(image, 3) <= level,
    ],
    ids=["bright", "dark", "bright and filled", "smoothed and dark"],
)
def test_thresholds_do_not_find_the_head(head: Path, threshold: Callable[[np.ndarray, int], np.ndarray]) -> None:
    found = [dice(count(label > 0, threshold(image, _otsu(image[image > 0])))) for image, label in _pairs(head)]
    assert np.mean(np.array(found, dtype=float)) < 0.6


@pytest.mark.parametrize("value", [2, 3])
def test_no_threshold_finds_the_inner_structures(head: Path, value: int) -> None:
    for image, label in _pairs(head):
        if (label == value).any():
            smooth = ndimage.gaussian_filter(image.astype(float), 1)
            inside = label > 0  # even within the true head
            assert max(dice(count(label == value, inside & (smooth < level))) or 0.0 for level in range(10, 250, 20)) < 0.7


def test_fetal_head_depends_on_its_seed_alone(tmp_path: Path) -> None:
    folders = [
        write_fetal_head(tmp_path / name, subjects=2, seed=seed, size=(96, 128)) for name, seed in (("a", 4), ("b", 4), ("c", 5))
    ]
    contents = [{path.name: path.read_bytes() for path in (folder / "images").iterdir()} for folder in folders]
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]
    assert not [path for path in folders[0].rglob("*") if path.name.startswith(".")]


def test_volume_files(volumes: Path) -> None:
    description = json.loads((volumes / "dataset.json").read_text())
    assert description["channel_names"] == {"0": "MRI"} and description["labels"] == {"background": 0, "organ": 1, "lesion": 2}
    assert description["file_ending"] == ".nii.gz" and description["numTraining"] == 6
    directions, lesions = [], []
    for path in sorted((volumes / "imagesTr").iterdir()):
        image = sitk.ReadImage(str(path))
        label = sitk.ReadImage(str(volumes / "labelsTr" / path.name.replace("_0000", "")))
        for get in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
            assert getattr(image, get)() == getattr(label, get)()
        assert image.GetSpacing()[2] / image.GetSpacing()[0] == pytest.approx(3, rel=0.25)
        directions.append(image.GetDirection()[:5:4])
        array = sitk.GetArrayFromImage(label)
        lesions.append(bool((array == 2).any()))
        assert 0.02 < (array > 0).mean() < 0.2
    assert directions == [(1.0, 1.0), (-1.0, -1.0)] * 3
    assert lesions == [True, True, True, True, False, True]


def test_voxel_order_differs_but_the_body_lies_the_same_way(tmp_path: Path) -> None:
    """A file in RAS order, brought to LPS, must have its origin where the same file would have it without the turn."""
    write_volumes(tmp_path, cases=2, seed=7)
    image = sitk.ReadImage(str(tmp_path / "imagesTr" / "CASE002_0000.nii.gz"))
    oriented = sitk.DICOMOrient(image, "LPS")
    assert oriented.GetDirection() == pytest.approx((1, 0, 0, 0, 1, 0, 0, 0, 1))
    assert np.array_equal(sitk.GetArrayFromImage(oriented), sitk.GetArrayFromImage(image)[:, ::-1, ::-1])
    assert all(-80.01 <= value <= 80.01 for value in oriented.GetOrigin())


def test_lesion_is_no_brighter_than_the_stray_balls(volumes: Path) -> None:
    scores = []
    for path in sorted((volumes / "imagesTr").iterdir()):
        image = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        label = sitk.GetArrayFromImage(sitk.ReadImage(str(volumes / "labelsTr" / path.name.replace("_0000", ""))))
        if (label == 2).any():
            scores.append(max(dice(count(label == 2, image > level)) or 0.0 for level in range(100, 1200, 20)))
    assert np.mean(scores) < 0.5
