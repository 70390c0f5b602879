from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from autoseg.errors import CaseError, DataError
from autoseg.processing.store import open_case
from autoseg.records import (
    Case,
    Configuration,
    Dataset,
    InferenceSpec,
    NetworkSpec,
    Normalization,
    Preparation,
    Structure,
    TrainingSpec,
    ValueEncoding,
)
from autoseg.stages.plan.augmentation import augmentation_for
from autoseg.stages.preprocess import network_patch, preprocess


def _dataset(root: Path, n: int) -> Dataset:
    """Pictures of 24 x 20 pixels; case i holds a square of 8 x 8 pixels and is spaced 0.5 mm."""
    cases = []
    for index in range(n):
        image = np.random.default_rng(index).integers(50, 60, (24, 20)).astype(np.uint8)
        mask = np.zeros((24, 20), dtype=np.uint8)
        image[4:12, 6:14], mask[4:12, 6:14] = 200, 255
        Image.fromarray(image).save(root / f"image_{index}.png")
        Image.fromarray(mask).save(root / f"mask_{index}.png")
        cases.append(
            Case(
                id=f"c{index}",
                subject=f"s{index}",
                images=(f"image_{index}.png",),
                label=f"mask_{index}.png",
                spacing_mm=(0.5, 0.5),
            )
        )
    return Dataset(
        name="squares",
        layout="folders",
        root=str(root),
        rank=2,
        channels=("grey",),
        targets=(Structure(name="square", values=(1,), output_value=255),),
        encodings={"default": ValueEncoding(values={0: 0, 255: 1})},
        cases=tuple(cases),
    )


def _configuration(rank: int = 2, slice_axis: int | None = None, **changes: object) -> Configuration:
    ones = (1,) * rank
    preparation = {
        "canonical_orientation": True,
        "transpose": tuple(range(rank)),
        "crop_to_nonzero": True,
        "spacing_mm": (1.0,) * rank,
        "normalization": (Normalization(scheme="zscore"),),
    } | changes
    network = NetworkSpec(
        rank=2,
        in_channels=1,
        out_channels=2,
        features=(8,),
        strides=((1, 1),),
        kernel_sizes=((3, 3),),
        encoder_blocks=(2,) * 1,
        decoder_convs=(2,) * 0,
    )
    training = TrainingSpec(
        patch_size=(8, 12), batch_size=2, epochs=1, steps_per_epoch=1, validation_steps=1, batch_dice=True, mirror_axes=(0,)
    )
    return Configuration(
        name="2d",
        slice_axis=slice_axis,
        preparation=Preparation(**preparation),
        network=network,
        training=training,
        augmentation=augmentation_for("default", (8, 8)),
        inference=InferenceSpec(mirror_axes=()),
        median_shape=ones,
    )


def _times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_cases_are_prepared(tmp_path: Path) -> None:
    dataset, done = _dataset(tmp_path, 3), []
    preprocess(dataset, ["c0", "c2"], _configuration(), tmp_path / "prepared", on_done=done.append)
    assert done == [1, 2]
    assert sorted(path.name for path in (tmp_path / "prepared").glob("*.json")) == ["c0.json", "c2.json"]
    case = open_case(tmp_path / "prepared", "c2")
    image, labels = case.load_all()
    assert image.shape == (1, 12, 10) and case.placement.spacing_mm == (0.5, 0.5)
    assert labels[2:6, 3:7].all() and labels.sum() == 16
    assert len(case.locations[1]) == 16
    assert image[0][labels == 1].min() > 1 > image[0][labels == 0].max()


def test_nothing_is_done_twice_and_changes_are_noticed(tmp_path: Path) -> None:
    dataset, folder = _dataset(tmp_path, 3), tmp_path / "prepared"
    ids = ["c0", "c1", "c2"]
    preprocess(dataset, ids[:2], _configuration(), folder)
    first, done = _times(folder), []
    preprocess(dataset, ids, _configuration(), folder, on_done=done.append)
    assert done == [2, 3]
    assert {name: time for name, time in _times(folder).items() if name in first} == first

    os.utime(tmp_path / "mask_1.png", (1, 1))  # another file under the same name
    second = _times(folder)
    preprocess(dataset, ids, _configuration(), folder)
    assert {name for name, time in _times(folder).items() if time != second[name]} == {
        "c1.json", "c1.image.b2nd", "c1.labels.b2nd", "c1.locations.npz",
    }  # fmt: skip

    preprocess(dataset, ids[:1], _configuration(spacing_mm=(0.5, 0.5)), folder)
    assert open_case(folder, "c0").shape == (24, 20)


def test_an_interrupted_run_continues(tmp_path: Path) -> None:
    dataset, folder = _dataset(tmp_path, 3), tmp_path / "prepared"

    def stop(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        preprocess(dataset, ["c0", "c1", "c2"], _configuration(), folder, on_done=stop)
    (folder / "c1.json").unlink()  # as if interrupted before its end
    done: list[int] = []
    preprocess(dataset, ["c0", "c1", "c2"], _configuration(), folder, on_done=done.append)
    assert done == [1, 2, 3]


def test_a_failing_case_is_named_and_others_stay(tmp_path: Path) -> None:
    dataset, folder = _dataset(tmp_path, 3), tmp_path / "prepared"
    Image.fromarray(np.zeros((5, 5), dtype=np.uint8)).save(tmp_path / "mask_1.png")
    with pytest.raises(CaseError, match=r"^c1: the label has shape \(5, 5\), its image \(24, 20\)") as caught:
        preprocess(dataset, ["c0", "c1", "c2"], _configuration(), folder)
    assert caught.value.case == "c1"
    assert open_case(folder, "c0").shape == (12, 10) and not list(folder.glob("c1*"))
    (tmp_path / "image_2.png").unlink()
    with pytest.raises(CaseError, match=r"^c2: ") as caught:
        preprocess(dataset, ["c2"], _configuration(), folder)
    assert "image_2.png" in str(caught.value)


def test_unknown_and_unlabelled_cases_are_refused_together(tmp_path: Path) -> None:
    dataset = _dataset(tmp_path, 2)
    with pytest.raises(DataError, match="no case named c7, c8"):
        preprocess(dataset, ["c0", "c7", "c8"], _configuration(), tmp_path / "prepared")
    bare = dataset.model_copy(update={"cases": (dataset.cases[0].model_copy(update={"label": None}),)})
    with pytest.raises(DataError, match="c0: no label"):
        preprocess(bare, ["c0"], _configuration(), tmp_path / "prepared")
    assert not (tmp_path / "prepared").exists()


def test_workers_give_the_same(tmp_path: Path) -> None:
    dataset = _dataset(tmp_path, 8)
    ids = [case.id for case in dataset.cases]
    done: list[int] = []
    preprocess(dataset, ids, _configuration(), tmp_path / "one")
    preprocess(dataset, ids, _configuration(), tmp_path / "two", workers=2, on_done=done.append)
    assert done == list(range(1, 9))
    for case in ids:
        one, two = (open_case(tmp_path / folder, case).load_all() for folder in ("one", "two"))
        assert np.allclose(one[0], two[0], atol=1e-6) and np.array_equal(one[1], two[1])


def test_a_volume_for_a_2d_network(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(5, 40, 44)).astype(np.float32)
    labels = np.zeros((5, 40, 44), dtype=np.uint8)
    labels[2, 10:20, 10:20] = 1
    for name, values in (("image", array), ("label", labels)):
        image = sitk.GetImageFromArray(values)
        image.SetSpacing((0.5, 0.5, 6.0))
        sitk.WriteImage(image, str(tmp_path / f"{name}.nii.gz"))
    dataset = Dataset(
        name="volumes",
        layout="folders",
        root=str(tmp_path),
        rank=3,
        channels=("MR",),
        targets=(Structure(name="box", values=(1,), output_value=1),),
        encodings={"default": ValueEncoding(values={0: 0, 1: 1})},
        cases=(Case(id="v", subject="v", images=("image.nii.gz",), label="label.nii.gz"),),
    )
    configuration = _configuration(3, slice_axis=0, spacing_mm=(None, 1.0, 1.0))
    assert network_patch(configuration) == (1, 8, 12)
    preprocess(dataset, ["v"], configuration, tmp_path / "prepared")
    case = open_case(tmp_path / "prepared", "v")
    assert case.shape == (5, 20, 22)
    assert case.locations[1].tolist() == [[2, y, x] for y in range(5, 10) for x in range(5, 10)]
