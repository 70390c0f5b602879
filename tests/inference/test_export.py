"""Winners become mask values and counts."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import numpy as np
import pytest

from autoseg.inference.export import count_pixels, mask_from_winners, save_probabilities
from autoseg.records import Structure

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


def test_values_above_255_need_16_bits() -> None:
    far = Structure(name="far", values=(1,), output_value=500)
    assert mask_from_winners(np.array([0, 1]), (far,), regions=False).tolist() == [0, 500]
    assert mask_from_winners(np.array([0, 1]), (BRAIN,), regions=False).dtype == np.uint8


def test_probabilities_are_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(file: IO[bytes], **arrays: np.ndarray) -> None:
        file.write(b"begun")
        raise OSError("the disk is full")

    probabilities = np.linspace(0, 1, 24).astype(np.float16).reshape(2, 3, 4)
    save_probabilities(tmp_path / "sub" / "case.npz", probabilities)
    with np.load(tmp_path / "sub" / "case.npz") as file:
        assert np.array_equal(file["probabilities"], probabilities)
    with monkeypatch.context() as patched, pytest.raises(OSError, match="full"):
        patched.setattr(np, "savez_compressed", no_room)
        save_probabilities(tmp_path / "sub" / "other.npz", probabilities)
    assert [file.name for file in (tmp_path / "sub").iterdir()] == ["case.npz"]
