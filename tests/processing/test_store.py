from __future__ import annotations

import os
import pickle
import re
import time
from pathlib import Path

import numpy as np
import pytest

from autoseg.errors import RecordError, RunFolderError
from autoseg.processing import store
from autoseg.processing.prepare import Placement, prepare_image
from autoseg.processing.store import (
    ANNOTATED,
    LARGEST_OVERHEAD,
    as_stored,
    block_shape,
    chunk_shape,
    is_complete,
    is_stale,
    open_case,
    remove_leftovers,
    sample_locations,
    worst_overhead,
    write_case,
)
from autoseg.records import Normalization, Preparation
from autoseg.volume.geometry import Geometry
from autoseg.volume.volume import Volume


def _placement(image: np.ndarray) -> Placement:
    rank = image.ndim - 1
    preparation = Preparation(
        canonical_orientation=False,
        transpose=tuple(range(rank)),
        crop_to_nonzero=False,
        spacing_mm=None,
        normalization=(Normalization(scheme="none"),) * len(image),
    )
    return prepare_image(Volume(image, Geometry.plain(rank)), preparation)[1]


def _case(shape: tuple[int, ...], channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    image = random.normal(size=(channels, *shape)).astype(np.float16)  # values that come back as they are
    return image.astype(np.float32), random.integers(0, 3, shape).astype(np.int16)


def _write(folder: Path, case: str, image: np.ndarray, labels: np.ndarray, **options: object) -> None:
    write_case(folder, case, image, labels, sample_locations(labels), _placement(image), **options)


@pytest.mark.parametrize("case", ["case_01", "-a b.c (ü) [x]%20{}", ".hidden", "x" * 230])
def test_round_trip(tmp_path: Path, case: str) -> None:
    image, labels = _case((20, 30, 25), channels=2)
    _write(tmp_path / "prepared", case, image, labels, digest="d1")
    opened = open_case(tmp_path / "prepared", case)
    assert opened.shape == (20, 30, 25) and opened.channels == 2
    assert opened.nbytes == 20 * 30 * 25 * (2 * 2 + 1)
    patch, patch_labels = opened.read((slice(3, 9), slice(0, 30), slice(24, 25)))
    assert patch.dtype == np.float16 and np.array_equal(patch, image[:, 3:9, :, 24:25])
    assert patch_labels.dtype == np.int8 and np.array_equal(patch_labels, labels[3:9, :, 24:25])
    assert opened.placement == _placement(image)
    assert set(opened.locations) == {1, 2}
    assert is_complete(tmp_path / "prepared", case, "d1") and not is_complete(tmp_path / "prepared", case, "d2")
    assert len(list((tmp_path / "prepared").iterdir())) == 4


def test_half_precision_only_where_it_is_safe(tmp_path: Path) -> None:
    """Disk, memory and both ways of reading agree bit by bit, in whichever type."""
    normal = np.random.default_rng(0).normal(size=(1, 20, 30)).astype(np.float32)
    halves = {
        "normalised": normal,
        "grey": np.random.default_rng(1).integers(0, 256, (1, 20, 30)).astype(np.float32),
        "constant": np.full((1, 20, 30), 0.5, np.float32),
        "up to 60,000": normal * 1e4,
    }
    wholes = {
        "beyond 60,000": normal * 1e5,
        "tiny": normal * 1e-6,
        "far from zero": normal + 1000,
        "one channel": np.concatenate([normal, normal + 1000]),
        "infinite": np.where(normal > 2, np.inf, normal),
    }
    for kind, images in ((np.float16, halves), (np.float32, wholes)):
        for name, image in images.items():
            stored = as_stored(image)
            assert stored.dtype == kind, name
            _write(tmp_path, "a", image, np.ones((20, 30), np.int16))
            case = open_case(tmp_path, "a")
            box = (slice(3, 9), slice(0, 30))
            from_disk, whole = case.read(box)[0], case.load_all()[0]
            held = case.load_into_memory().read(box)[0]
            assert from_disk.dtype == held.dtype == kind
            assert np.array_equal(whole, stored) and np.array_equal(from_disk, held)
            assert np.array_equal(held, stored[:, 3:9])
    assert np.abs(as_stored(normal).astype(np.float32) - normal).max() < 0.002


def test_what_an_earlier_version_prepared_is_prepared_anew(tmp_path: Path) -> None:
    image, labels = _case((10, 10))
    _write(tmp_path, "a", image, labels, digest="d")
    record = tmp_path / "a.json"
    record.write_text(re.sub(r'"format":\s*3', '"format": 2', record.read_text()))
    assert '"format": 2' in record.read_text()
    assert not is_complete(tmp_path, "a", "d") and not is_stale(tmp_path, "a", "d")


def test_memory_needs_no_files(tmp_path: Path) -> None:
    image, labels = _case((40, 50))
    _write(tmp_path, "a", image, labels)
    case = open_case(tmp_path, "a").load_into_memory()
    assert case.nbytes == 40 * 50 * 3
    (tmp_path / "a.image.b2nd").unlink()
    read, read_labels = case.read((slice(1, 4), slice(2, 7)))
    assert np.array_equal(read, image[:, 1:4, 2:7]) and np.array_equal(read_labels, labels[1:4, 2:7])


def test_crosses_processes_open_or_not(tmp_path: Path) -> None:
    image, labels = _case((40, 50))
    _write(tmp_path, "a", image, labels)
    case = open_case(tmp_path, "a")
    case.load_all()
    for one in (case, case.load_into_memory()):
        assert np.array_equal(pickle.loads(pickle.dumps(one)).load_all()[0], image)


def test_wide_labels_and_too_wide_ones(tmp_path: Path) -> None:
    image, labels = _case((10, 10))
    _write(tmp_path, "a", image, labels + 200)
    assert np.array_equal(open_case(tmp_path, "a").load_all()[1], labels + 200)
    with pytest.raises(ValueError, match="at most 32767"):
        write_case(tmp_path, "a", image, labels.astype(np.int32) + 40000, {}, _placement(image))
    with pytest.raises(ValueError, match="differ in shape"):
        write_case(tmp_path, "a", image, labels[1:], {}, _placement(image))


def test_an_interrupted_replacement_is_not_taken_for_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, labels = _case((10, 10))
    _write(tmp_path, "a", image, labels, digest="old")
    monkeypatch.setattr(store, "_write_locations", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        _write(tmp_path, "a", image + 1, labels, digest="new")
    assert not is_complete(tmp_path, "a", "old") and not is_complete(tmp_path, "a", "new")
    with pytest.raises(RunFolderError, match="a is not prepared"):
        open_case(tmp_path, "a")
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.parametrize("part", ["image.b2nd", "labels.b2nd", "locations.npz"])
def test_a_copy_that_was_cut_short_is_incomplete(tmp_path: Path, part: str) -> None:
    image, labels = _case((10, 10))
    _write(tmp_path, "a", image, labels, digest="d")
    file = tmp_path / f"a.{part}"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert not is_complete(tmp_path, "a", "d") and not is_stale(tmp_path, "a", "d")
    file.unlink()
    assert not is_complete(tmp_path, "a", "d") and not is_stale(tmp_path, "a", "d")
    file.write_bytes(whole)
    assert is_complete(tmp_path, "a", "d") and is_stale(tmp_path, "a", "other")


def test_a_damaged_record_is_incomplete(tmp_path: Path) -> None:
    image, labels = _case((10, 10))
    _write(tmp_path, "a", image, labels, digest="d")
    (tmp_path / "a.json").write_text("{", encoding="utf-8")
    assert not is_complete(tmp_path, "a", "d")
    with pytest.raises(RecordError):
        open_case(tmp_path, "a")


def test_leftovers_go_when_old(tmp_path: Path) -> None:
    old, young = tmp_path / ".aa.part", tmp_path / ".bb.part"
    old.touch(), young.touch()
    long_ago = time.time() - 3600
    os.utime(old, (long_ago, long_ago))
    assert remove_leftovers(tmp_path) == 1
    assert young.exists() and not old.exists()
    assert remove_leftovers(tmp_path / "absent") == 0


def test_locations_are_the_labels_voxels() -> None:
    labels = np.zeros((50, 60, 70), dtype=np.int16)
    labels[10:40, 5:50, 20:60] = 1  # 54,000 voxels: 10,000 are drawn
    labels[45, 50, 3:9] = 4
    labels[0] = 5
    found = sample_locations(labels, ignore_value=5)
    assert set(found) == {1, 4, ANNOTATED}
    assert found[1].shape == (10_000, 3) and found[1].dtype == np.int32
    assert len(np.unique(found[1], axis=0)) == 10_000
    assert (labels[tuple(found[1].T)] == 1).all()
    assert found[4].tolist() == [[45, 50, x] for x in range(3, 9)]
    assert set(labels[tuple(found[ANNOTATED].T)]) == {0, 1, 4}
    assert np.array_equal(found[1], sample_locations(labels, ignore_value=5)[1])
    assert not np.array_equal(found[1], sample_locations(labels, ignore_value=5, seed=1)[1])
    assert sample_locations(np.zeros((5, 5), dtype=np.int16)) == {}


def test_number_of_locations() -> None:
    for size, expected in ((9_999, 9_999), (500_000, 10_000), (2_000_000, 20_000), (11_000_000, 100_000)):
        assert len(sample_locations(np.ones((1, size), dtype=np.int8))[1]) == expected


def test_chunks() -> None:
    assert chunk_shape((300, 512, 512), (128, 128, 128)) == (64, 64, 64)
    assert block_shape((64, 64, 64)) == (32, 32, 32)
    assert worst_overhead((64, 64, 64), (128, 128, 128)) == (3 / 2) ** 3
    assert worst_overhead((64, 64, 64), (129, 128, 128)) == (3 * 64 / 129) * (3 / 2) ** 2
    assert chunk_shape((300, 512, 512), (1, 512, 512))[0] == 1  # a 2D network reads slices
    assert chunk_shape((35, 50, 35), (40, 56, 40)) == (35, 50, 35)
    assert chunk_shape((800, 540), (640, 512)) == (800, 540)
    assert block_shape((1, 64, 128)) == (1, 64, 128)  # halves would hold 8 KiB


@pytest.mark.parametrize(
    "patch", [(128, 128, 128), (64, 64, 64), (40, 224, 192), (1, 512, 512), (8, 40, 300), (48, 48, 48), (40, 56, 40)]
)
def test_worst_overhead_is_bounded_and_never_exceeded(patch: tuple[int, ...]) -> None:
    chunk = chunk_shape((300, 512, 512), patch)
    assert worst_overhead(chunk, patch) <= LARGEST_OVERHEAD < 4
    random = np.random.default_rng(0)
    for _ in range(50):
        start = [int(random.integers(0, size - p + 1)) for size, p in zip((300, 512, 512), patch, strict=True)]
        touched = [(s + p - 1) // c - s // c + 1 for s, p, c in zip(start, patch, chunk, strict=True)]
        assert np.prod(touched) * np.prod(chunk) / np.prod(patch) <= worst_overhead(chunk, patch) + 1e-9


def test_bytes_read_from_disk_per_patch(tmp_path: Path) -> None:
    counter = Path("/proc/self/io")
    if not counter.exists():
        pytest.skip("the system does not count bytes read")

    def read_so_far() -> int:
        return int(counter.read_text().split()[1])

    image, labels = _case((160, 256, 256))
    patch = (64, 64, 64)
    _write(tmp_path, "a", image, labels, patch=patch)
    case = open_case(tmp_path, "a")
    random = np.random.default_rng(1)
    starts = [[int(random.integers(0, size - 64 + 1)) for size in case.shape] for _ in range(20)]
    boxes = [tuple(slice(s, s + 64) for s in start) for start in starts]
    before = read_so_far()
    patches = [case.read(box) for box in boxes]
    per_patch = (read_so_far() - before) / len(boxes)
    assert per_patch < LARGEST_OVERHEAD * 64**3 * (2 + 1)
    assert per_patch > 0.5 * 64**3 * 2  # they were read from disk indeed
    for (read, read_labels), box in zip(patches, boxes, strict=True):
        assert np.array_equal(read, image[(slice(None), *box)]) and np.array_equal(read_labels, labels[box])
