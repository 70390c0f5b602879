"""Masks of a cascade's first stage: what their values mean, where they come to lie, and how they are stored."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from autoseg.errors import DataError, RunFolderError
from autoseg.learning.previous_stage import to_channels
from autoseg.processing.prepare import prepare_image, prepare_labels
from autoseg.processing.previous import (
    encoding_of_masks,
    is_previous_complete,
    one_hot,
    open_previous,
    prepare_previous,
    read_previous,
    write_previous,
)
from autoseg.processing.store import open_case, sample_locations, write_case
from autoseg.records import Normalization, Preparation, Structure
from autoseg.volume.files import write_labels
from autoseg.volume.geometry import Geometry
from autoseg.volume.volume import Volume

EXCLUSIVE = (Structure(name="liver", values=(1,), output_value=200), Structure(name="tumour", values=(2,), output_value=7))
NESTED = (
    Structure(name="whole", values=(1, 2, 3), output_value=1),
    Structure(name="core", values=(2, 3), output_value=2),
    Structure(name="enhancing", values=(3,), output_value=4),
)


def _everything(mask: np.ndarray) -> tuple[slice, ...]:
    return tuple(slice(0, size) for size in mask.shape)


def test_what_a_masks_values_mean() -> None:
    assert encoding_of_masks(EXCLUSIVE, regions=False).values == {0: 0, 200: 1, 7: 2}
    assert encoding_of_masks(NESTED, regions=True).values == {0: 0, 1: 1, 2: 2, 4: 3}
    same = (NESTED[0], Structure(name="again", values=(1, 2, 3), output_value=9))
    assert encoding_of_masks(same, regions=True).values == {0: 0, 1: 1, 9: 1}, "wholly covered, it still means itself"


def test_a_mask_is_read_as_internal_values(tmp_path: Path) -> None:
    mask = np.zeros((4, 5, 6), np.uint8)
    mask[1:3, 2], mask[3, 4, 5] = 200, 7
    write_labels(tmp_path / "a.nii.gz", mask, Geometry.plain(3))
    found = read_previous(tmp_path / "a.nii.gz", EXCLUSIVE, regions=False)
    assert found.dtype == np.int16
    assert (found[1:3, 2] == 1).all() and found[3, 4, 5] == 2 and np.count_nonzero(found) == 13
    with pytest.raises(DataError, match=r"a\.nii\.gz: label value not declared: 200 \(12 pixels\)"):
        read_previous(tmp_path / "a.nii.gz", EXCLUSIVE[1:], regions=False)


def test_regions_get_a_channel_each_and_training_sees_the_same() -> None:
    mask = np.array([[0, 1], [2, 3]], np.int16)
    wanted = [[[0, 1], [1, 1]], [[0, 0], [1, 1]], [[0, 0], [0, 1]]]
    assert one_hot(mask, NESTED).tolist() == wanted
    assert one_hot(mask, NESTED).dtype == np.float32
    random = np.random.default_rng(0).integers(0, 4, (5, 6, 7)).astype(np.int16)
    for targets in (NESTED, EXCLUSIVE):
        assert np.array_equal(one_hot(random, targets), to_channels(torch.from_numpy(random), targets).numpy())


def test_a_mask_is_turned_cropped_and_resampled_with_its_image() -> None:
    """A first stage that is always right has the labels of the second, voxel for voxel."""
    random = np.random.default_rng(1)
    image = np.zeros((1, 20, 24, 18), np.float32)
    image[:, 3:17, 2:20, 4:16] = random.normal(5, 1, (1, 14, 18, 12))
    labels = np.zeros(image.shape[1:], np.int16)
    labels[6:12, 6:15, 6:11], labels[8:10, 8:12, 7:10] = 1, 2
    geometry = Geometry.plain(3).with_spacing((2.0, 1.0, 1.5))
    preparation = Preparation(
        canonical_orientation=True,
        transpose=(2, 0, 1),
        crop_to_nonzero=True,
        spacing_mm=(1.0, 1.25, 1.25),
        normalization=(Normalization(scheme="none"),),
    )
    prepared, placement = prepare_image(Volume(image, geometry), preparation)
    found = prepare_previous(labels, placement, preparation, "a")
    assert found.shape == prepared.shape[1:] != labels.shape
    assert np.array_equal(found, prepare_labels(labels, placement, preparation))
    with pytest.raises(DataError, match=r"a: the first stage's mask has shape \(20, 24, 17\)"):
        prepare_previous(labels[..., :-1], placement, preparation, "a")


def test_a_case_hands_out_its_labels_and_the_mask(tmp_path: Path) -> None:
    image, labels, mask = np.zeros((1, 6, 7, 8), np.float32), np.zeros((6, 7, 8), np.int16), np.zeros((6, 7, 8), np.int16)
    labels[2], mask[3] = 1, 300
    geometry = Geometry.plain(3)
    preparation = Preparation(
        canonical_orientation=False,
        transpose=(0, 1, 2),
        crop_to_nonzero=False,
        spacing_mm=None,
        normalization=(Normalization(scheme="none"),),
    )
    write_case(tmp_path, "a", image, labels, sample_locations(labels), prepare_image(Volume(image, geometry), preparation)[1])
    write_previous(tmp_path / "previous", "a", mask, digest="d")
    alone, case = open_case(tmp_path, "a"), open_case(tmp_path, "a")
    case.previous = open_previous(tmp_path / "previous", "a")
    assert case.nbytes == alone.nbytes + 2 * mask.size, "300 takes two bytes"
    box = (slice(1, 5), slice(0, 7), slice(3, 4))
    for held in (case, pickle.loads(pickle.dumps(case)), case.load_into_memory()):
        patch, marks = held.read(box)
        assert patch.shape == (1, 4, 7, 1)
        assert np.array_equal(marks, np.stack([labels[box], mask[box]]))
    assert np.array_equal(alone.read(box)[1], labels[box])


@pytest.mark.parametrize("case", ["case_01", "-a b.c (ü)", "x" * 230])
def test_round_trip(tmp_path: Path, case: str) -> None:
    mask = np.random.default_rng(0).integers(0, 3, (20, 30, 25)).astype(np.int16)
    folder = tmp_path / "previous-3d_lowres"
    with pytest.raises(RunFolderError, match="is not prepared in"):
        open_previous(folder, case)
    write_previous(folder, case, mask, digest="d1", patch=(8, 8, 8))
    assert is_previous_complete(folder, case, "d1") and not is_previous_complete(folder, case, "d2")
    opened = open_previous(folder, case)
    box = (slice(3, 9), slice(0, 30), slice(24, 25))
    assert np.array_equal(opened.read(box), mask[box])
    assert opened.nbytes == mask.size, "few values take a byte each"
    assert np.array_equal(pickle.loads(pickle.dumps(opened)).read(_everything(mask)), mask)
    opened.load_into_memory()
    (folder / f"{case}.previous.b2nd").write_bytes(b"")
    assert np.array_equal(opened.read(box), mask[box])
    assert np.array_equal(pickle.loads(pickle.dumps(opened)).read(box), mask[box])
    assert not is_previous_complete(folder, case, "d1"), "a file that was cut short is made again"
    assert [path.name for path in folder.glob(".*")] == []
