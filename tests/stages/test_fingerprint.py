from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autoseg.records import Case, Dataset, Structure, ValueEncoding
from autoseg.stages.fingerprint import fingerprint_dataset


def write_set(root: Path, images: list[np.ndarray], labels: list[np.ndarray | None], spacings: list[float | None]) -> Dataset:
    cases = []
    for number, (image, label, spacing) in enumerate(zip(images, labels, spacings, strict=True)):
        Image.fromarray(image).save(root / f"i{number}.png")
        if label is not None:
            Image.fromarray(label).save(root / f"l{number}.png")
        cases.append(
            Case(
                id=f"c{number}",
                subject=str(number),
                images=(f"i{number}.png",),
                label=None if label is None else f"l{number}.png",
                spacing_mm=None if spacing is None else (spacing, spacing),
            )
        )
    return Dataset(
        name="t",
        layout="folders",
        root=str(root),
        rank=2,
        channels=("grey",),
        targets=(Structure(name="a", values=(1,), output_value=1), Structure(name="b", values=(2,), output_value=2)),
        ignore_value=3,
        encodings={"default": ValueEncoding(values={0: 0, 1: 1, 2: 2, 3: 3})},
        cases=tuple(cases),
    )


def square(value: int, shape: tuple[int, int] = (10, 12)) -> np.ndarray:
    label = np.zeros(shape, dtype=np.uint8)
    label[2:6, 3:7] = value
    return label


def ramp(first: int, shape: tuple[int, int] = (10, 12)) -> np.ndarray:
    return (np.arange(shape[0] * shape[1], dtype=np.uint16).reshape(shape) + first).astype(np.uint16)


def test_facts_of_one_case_by_hand(tmp_path: Path) -> None:
    image = np.zeros((10, 12), dtype=np.uint8)
    image[1:9, 2:12] = 50
    image[2:6, 3:7] = np.arange(16).reshape(4, 4) + 1
    label = square(1)
    label[0, 0] = 3  # ignored, and outside the intensities
    dataset = write_set(tmp_path, [image], [label], [0.5])
    fingerprint, faults = fingerprint_dataset(dataset)
    assert faults == []
    assert fingerprint is not None
    (case,) = fingerprint.cases
    assert (case.shape, case.shape_after_crop, case.spacing_mm, case.orientation) == ((10, 12), (8, 10), (0.5, 0.5), None)
    assert case.structures["a"].model_dump() == {"pixels": 16, "size": 4.0, "thickness": 4.0}
    assert case.intensities is not None
    (grey,) = case.intensities
    assert (grey.mean, grey.median, grey.min, grey.max) == (8.5, 8.5, 1, 16)
    assert grey.std == pytest.approx(np.sqrt((16**2 - 1) / 12))
    assert grey.percentile_99_5 == pytest.approx(1 + 15 * 0.995)
    assert fingerprint.median_relative_size_after_crop == pytest.approx(80 / 120)
    assert fingerprint.notes == ("b is in no label; it cannot be learned or scored",)
    assert fingerprint.intensities[0].mean == pytest.approx(8.5)


def test_every_case_weighs_the_same_in_the_set(tmp_path: Path) -> None:
    small, large = np.full((10, 12), 10, dtype=np.uint8), np.full((10, 12), 30, dtype=np.uint8)
    small[0, 0] = large[0, 0] = 1
    everywhere = np.full((10, 12), 2, dtype=np.uint8)
    everywhere[0] = 0
    fingerprint, _ = fingerprint_dataset(write_set(tmp_path, [small, large], [square(1), everywhere], [1.0, 1.0]))
    assert fingerprint is not None
    (grey,) = fingerprint.intensities
    assert (grey.mean, grey.std, grey.min, grey.max) == (20, 10, 10, 30)
    assert (grey.percentile_00_5, grey.percentile_99_5) == (10, 30)


def test_duplicates_and_unknown_spacings_are_told_and_cases_without_label_skipped(tmp_path: Path) -> None:
    images = [ramp(0), ramp(5), ramp(0), ramp(9), ramp(11), ramp(13)]
    labels: list[np.ndarray | None] = [square(1), square(2), square(1), square(1), square(0), None]
    fingerprint, faults = fingerprint_dataset(write_set(tmp_path, images, labels, [0.1, 0.1, 0.11, 1.0, None, 0.1]))
    assert faults == []
    assert fingerprint is not None
    assert [case.id for case in fingerprint.cases] == ["c0", "c1", "c2", "c3", "c4"]  # c5 has no label
    assert fingerprint.duplicates == (("c0", "c2"),)
    assert fingerprint.spacing_outliers == ()  # 1 / 0.105 is below ten
    assert fingerprint.cases[4].intensities is None
    assert "1 case (c4): spacing unknown; not rescaled, and left out of mm results" in fingerprint.notes
    assert "1 case (c4): no foreground in the label" in fingerprint.notes


@pytest.mark.parametrize(
    ("odd", "words"), [(2.0, "c0: spacing (2, 2) mm is 10 times"), (0.02, "c0: spacing (0.02, 0.02) mm is 1/10 of")]
)
def test_a_factor_of_ten_is_taken_for_a_unit_mistake(tmp_path: Path, odd: float, words: str) -> None:
    images = [ramp(n) for n in range(4)]
    fingerprint, _ = fingerprint_dataset(write_set(tmp_path, images, [square(1)] * 4, [odd, 0.2, 0.2, 0.2]))
    assert fingerprint is not None
    (sentence,) = fingerprint.spacing_outliers
    assert sentence.startswith(words)
    assert sentence.endswith("the median (0.2, 0.2) mm; a unit mistake?")


def test_all_faults_of_all_cases_are_returned_at_once(tmp_path: Path) -> None:
    images = [ramp(0), ramp(1), np.full((10, 12), 4, dtype=np.uint8), ramp(3), ramp(4)]
    labels: list[np.ndarray | None] = [square(9), square(1, (9, 12)), square(1), square(1), square(1)]
    dataset = write_set(tmp_path, images, labels, [1.0] * 5)
    whole = (tmp_path / "i3.png").read_bytes()
    (tmp_path / "i3.png").write_bytes(whole[: len(whole) // 2])
    fingerprint, faults = fingerprint_dataset(dataset)
    assert [fault.case for fault in faults] == ["c0", "c1", "c2", "c3"]
    for fault, words in zip(
        faults, ("9 (16 pixels)", "label size (9, 12)", "empty: 4 everywhere", "i3.png: cannot be read"), strict=True
    ):
        assert words in fault.message
    assert fingerprint is not None
    assert [case.id for case in fingerprint.cases] == ["c4"]


def test_without_labels_or_sound_cases_there_is_no_fingerprint(tmp_path: Path) -> None:
    fingerprint, faults = fingerprint_dataset(write_set(tmp_path, [ramp(0)], [None], [1.0]))
    assert fingerprint is None
    assert "none of the 1 cases has a label" in str(faults[0])
    fingerprint, faults = fingerprint_dataset(write_set(tmp_path, [ramp(0)], [square(7)], [1.0]))
    assert fingerprint is None
    assert len(faults) == 1


def test_another_intensity_scale_is_told(tmp_path: Path) -> None:
    images = [ramp(100), ramp(101), ramp(102), (ramp(100) * 20).astype(np.uint16)]
    fingerprint, _ = fingerprint_dataset(write_set(tmp_path, images, [square(1)] * 4, [1.0] * 4))
    assert fingerprint is not None
    assert any(note.startswith("1 case (c3): grey intensities a factor 10 or more") for note in fingerprint.notes)


def test_workers_measure_the_same_and_progress_is_counted(tmp_path: Path) -> None:
    images, labels = [ramp(n) for n in range(9)], [square(1 + n % 2) for n in range(9)]
    dataset = write_set(tmp_path, images, list(labels), [0.3] * 9)
    done: list[int] = []
    alone, _ = fingerprint_dataset(dataset, on_done=done.append)
    together, _ = fingerprint_dataset(dataset, workers=2)
    assert alone == together
    assert done == list(range(1, 10))
    assert alone is not None
    assert alone.notes == ()
