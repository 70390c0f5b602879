"""The mean of several networks' probabilities, against numbers worked out by hand and against all at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autoseg.errors import DataError
from autoseg.inference.export import save_probabilities
from autoseg.inference.merging import mean_probabilities, merged_winners, save_mean


def saved(path: Path, values: object) -> Path:
    save_probabilities(path, np.asarray(values, np.float16))
    return path


def test_the_largest_mean_wins_and_the_first_of_equals(tmp_path: Path) -> None:
    a = saved(tmp_path / "a.npz", [[[0.5, 0.25, 0.5]], [[0.25, 0.5, 0.25]], [[0.25, 0.25, 0.25]]])
    b = saved(tmp_path / "b.npz", [[[0.25, 0.25, 0.25]], [[0.5, 0.25, 0.25]], [[0.25, 0.5, 0.5]]])
    assert merged_winners([a], regions=False).tolist() == [[0, 1, 0]]
    assert merged_winners([a, b], regions=False).tolist() == [[0, 1, 0]]  # 0.375 ties are the first's
    c = saved(tmp_path / "c.npz", [[[0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0]], [[1.0, 1.0, 1.0]]])
    assert merged_winners([a, c], regions=False).tolist() == [[2, 2, 2]]


def test_regions_are_painted_where_the_mean_is_above_a_half(tmp_path: Path) -> None:
    a = saved(tmp_path / "a.npz", [[[0.75, 0.75, 0.5]], [[0.5, 0.25, 0.75]]])
    b = saved(tmp_path / "b.npz", [[[0.75, 0.5, 0.5]], [[0.75, 0.25, 0.0]]])
    assert merged_winners([a, b], regions=True).tolist() == [[2, 1, 0]]


def test_class_by_class_is_all_at_once(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    parts = [generator.dirichlet(np.ones(4), (3, 5, 6)).transpose(3, 0, 1, 2).astype(np.float16) for _ in range(3)]
    files = [saved(tmp_path / f"{number}.npz", part) for number, part in enumerate(parts)]
    mean = np.mean([part.astype(np.float32) for part in parts], axis=0)
    np.testing.assert_allclose(np.stack(list(mean_probabilities(files))), mean, atol=1e-6)
    assert np.array_equal(merged_winners(files, regions=False), mean.argmax(0))
    save_mean(files, tmp_path / "mean.npz")
    with np.load(tmp_path / "mean.npz") as content:
        np.testing.assert_allclose(content["probabilities"], mean, atol=1e-3)
        assert content["probabilities"].dtype == np.float16


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    a = saved(tmp_path / "a.npz", np.zeros((2, 3, 3)))
    with pytest.raises(DataError, match="differ in shape"):
        merged_winners([a, saved(tmp_path / "b.npz", np.zeros((2, 3, 4)))], regions=False)
    (tmp_path / "c.npz").write_bytes(a.read_bytes()[:60])
    with pytest.raises(DataError, match=r"c\.npz cannot be read"):
        merged_winners([tmp_path / "c.npz"], regions=False)
