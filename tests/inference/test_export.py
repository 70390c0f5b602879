"""Winners become mask values and counts; probabilities return to the original grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from autoseg.inference.export import count_pixels, mask_from_winners, save_probabilities
from autoseg.processing.prepare import prepare_image
from autoseg.records import Normalization, Preparation, Structure
from autoseg.volume.geometry import Geometry
from autoseg.volume.volume import Volume

BRAIN = Structure(name="Brain", values=(1,), output_value=10)
CSP = Structure(name="CSP", values=(2,), output_value=20)
HEAD = Structure(name="Head", values=(1, 2), output_value=0)

WHOLE = Structure(name="whole", values=(1, 2, 3), output_value=1)
CORE = Structure(name="core", values=(2, 3), output_value=2)
ENHANCING = Structure(name="enhancing", values=(3,), output_value=3)
OEDEMA = Structure(name="oedema", values=(1,), output_value=0)


def test_exclusive_labels() -> None:
    winners = np.array([[0, 1, 1], [2, 0, 1]])
    assert mask_from_winners(winners, (BRAIN, CSP), regions=False).tolist() == [[0, 10, 10], [20, 0, 10]]
    assert count_pixels(winners, (BRAIN, CSP), (HEAD,), regions=False) == {"Brain": 3, "CSP": 1, "Head": 4}


def test_the_internal_value_decides_and_not_the_order_of_the_targets() -> None:
    winners = np.array([1, 2, 2])
    assert mask_from_winners(winners, (CSP, BRAIN), regions=False).tolist() == [10, 20, 20]
    assert count_pixels(winners, (CSP, BRAIN), (), regions=False) == {"CSP": 2, "Brain": 1}


def test_painted_regions_count_for_all_that_contain_them() -> None:
    winners = np.array([0, 1, 1, 1, 2, 2, 3])
    targets = (WHOLE, CORE, ENHANCING)
    assert mask_from_winners(winners, targets, regions=True).tolist() == [0, 1, 1, 1, 2, 2, 3]
    assert count_pixels(winners, targets, (OEDEMA,), regions=True) == {"whole": 6, "core": 3, "enhancing": 1, "oedema": 3}


def test_nothing_found_counts_zero() -> None:
    assert count_pixels(np.zeros((4, 4), int), (BRAIN, CSP), (HEAD,), regions=False) == {"Brain": 0, "CSP": 0, "Head": 0}


def test_probabilities_return_to_the_original_grid(tmp_path: Path) -> None:
    """Two pixel rows are cropped away; there the background is certain. Halving the resolution and back keeps a constant."""
    array = np.zeros((1, 10, 8), np.float32)
    array[:, 2:] = 1
    preparation = Preparation(
        canonical_orientation=False,
        transpose=(0, 1),
        crop_to_nonzero=True,
        spacing_mm=(2.0, 2.0),
        normalization=(Normalization(scheme="none"),),
    )
    prepared, placement = prepare_image(Volume(array, Geometry.plain(2, (1.0, 1.0))), preparation)
    assert prepared.shape == (1, 4, 4)
    scores = np.stack([np.full((4, 4), 0.25), np.full((4, 4), 0.75)]).astype(np.float32)
    save_probabilities(tmp_path / "case.npz", scores, placement, regions=False)
    with np.load(tmp_path / "case.npz") as file:
        restored = file["probabilities"]
    assert restored.dtype == np.float16 and restored.shape == (2, 10, 8)
    assert restored[:, 0, 0].tolist() == [1, 0]
    np.testing.assert_allclose(restored[:, 2:].astype(float).reshape(2, -1).T, [[0.25, 0.75]] * 64, atol=1e-3)
    assert [file.name for file in tmp_path.iterdir()] == ["case.npz"]
