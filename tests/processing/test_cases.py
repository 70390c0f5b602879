from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from autoseg.errors import DataError
from autoseg.processing.cases import assemble_image, case_faults, differently_placed, load_image, load_label_map, load_labels
from autoseg.records import Case, ColourEncoding, Dataset, Structure, ValueEncoding
from autoseg.volume.geometry import Geometry

GREY = np.array([[0, 10, 20], [30, 40, 50]], dtype=np.uint8)


def data_set(root: Path, cases: tuple[Case, ...], **changes: object) -> Dataset:
    fields: dict[str, object] = {
        "name": "test",
        "layout": "folders",
        "root": str(root),
        "rank": 2,
        "channels": ("image",),
        "targets": (Structure(name="a", values=(1,), output_value=1),),
        "encodings": {"default": ValueEncoding(values={0: 0, 255: 1})},
        "cases": cases,
    }
    return Dataset.model_validate(fields | changes)


def case(**changes: object) -> Case:
    return Case.model_validate({"id": "case_07", "subject": "7", "images": ("image.png",), "label": "label.png"} | changes)


def save_volume(
    path: Path, array: np.ndarray, spacing_xyz: tuple[float, ...] = (1.0, 1.0, 3.0), **place: tuple[float, ...]
) -> None:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing_xyz)
    image.SetOrigin(place.get("origin", (0.0, 0.0, 0.0)))
    sitk.WriteImage(image, str(path))


def faults_of(dataset: Dataset) -> list[str]:
    only = dataset.cases[0]
    return [str(fault) for fault in case_faults(only, load_image(dataset, only), load_label_map(dataset, only))]


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_grey_content_in_any_mode_is_one_channel(tmp_path: Path, mode: str) -> None:
    Image.fromarray(GREY).convert(mode).save(tmp_path / "image.png")
    volume = load_image(data_set(tmp_path, (case(),)), case(spacing_mm=(0.5, 0.25)))
    assert volume.array.dtype == np.float32
    np.testing.assert_array_equal(volume.array, GREY[None])
    assert volume.geometry.spacing_mm == (0.5, 0.25)


def test_one_coloured_pixel_is_named_where_grey_is_expected(tmp_path: Path) -> None:
    array = np.repeat(GREY[..., None], 3, axis=2)
    array[1, 1, 2] += 1
    Image.fromarray(array).save(tmp_path / "image.png")
    with pytest.raises(DataError, match=r"case_07: image\.png: is in colour.*convert it to grey"):
        load_image(data_set(tmp_path, (case(),)), case())


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA"])
def test_grey_is_repeated_and_alpha_dropped_in_a_set_of_three_channels(tmp_path: Path, mode: str) -> None:
    Image.fromarray(GREY).convert(mode).save(tmp_path / "image.png")
    volume = assemble_image([tmp_path / "image.png"], ("red", "green", "blue"), None)
    np.testing.assert_array_equal(volume.array, np.stack([GREY] * 3))
    assert volume.geometry.spacing_mm is None


def test_channels_from_several_files_share_a_grid(tmp_path: Path) -> None:
    first, second = np.zeros((2, 3, 4), dtype=np.float32), np.ones((2, 3, 4), dtype=np.float32)
    save_volume(tmp_path / "a.nii.gz", first)
    save_volume(tmp_path / "b.nii.gz", second)
    volume = assemble_image([tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"], ("t1", "t2"), None)
    assert volume.array.shape == (2, 2, 3, 4)
    assert volume.array[1].min() == 1
    save_volume(tmp_path / "b.nii.gz", second[:, :2])
    with pytest.raises(DataError, match=r"b\.nii\.gz: channel size \(2, 2, 4\), a\.nii\.gz size \(2, 3, 4\); resave"):
        assemble_image([tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"], ("t1", "t2"), None)
    save_volume(tmp_path / "b.nii.gz", second, (1.0, 1.0, 2.0))
    with pytest.raises(DataError, match=r"channel spacing \(2, 1, 1\) mm"):
        assemble_image([tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"], ("t1", "t2"), None)


def test_a_missing_channel_is_counted(tmp_path: Path) -> None:
    save_volume(tmp_path / "a.nii.gz", np.zeros((2, 3, 4), dtype=np.float32))
    with pytest.raises(DataError, match=r"2 image files for 3 channels \(t1, t2, flair\)"):
        assemble_image([tmp_path / "a.nii.gz"] * 2, ("t1", "t2", "flair"), None)
    with pytest.raises(DataError, match=r"holds 1 channel, expected 2"):
        assemble_image([tmp_path / "a.nii.gz"], ("t1", "t2"), None)


def test_rank_and_spacing_must_fit(tmp_path: Path) -> None:
    save_volume(tmp_path / "a.nii.gz", np.zeros((1, 3, 4), dtype=np.float32))
    with pytest.raises(DataError, match=r"case_07: image of shape \(1, 3, 4\) is 3D in a 2D data set"):
        load_image(data_set(tmp_path, ()), case(images=("a.nii.gz",)))
    for spacing in ((1.0, 2.0), (1.0, 1.0, 0.0)):
        with pytest.raises(DataError, match="one positive number per axis"):
            assemble_image([tmp_path / "a.nii.gz"], ("t1",), spacing)


def test_labels_come_as_internal_values(tmp_path: Path) -> None:
    Image.fromarray((GREY > 15).astype(np.uint8) * 255).save(tmp_path / "label.png")
    labels = load_labels(data_set(tmp_path, ()), case())
    assert labels.dtype == np.int16
    assert labels.tolist() == [[0, 0, 1], [1, 1, 1]]


def test_a_palette_mask_is_indices_for_values_and_colours_for_colours(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), "P")
    picture.putpalette([0, 0, 0, 255, 0, 0])
    picture.save(tmp_path / "label.png")
    values = data_set(tmp_path, (), encodings={"default": ValueEncoding(values={0: 0, 1: 1})})
    colours = data_set(tmp_path, (), encodings={"default": ColourEncoding(colours={"0,0,0": 0, "255,0,0": 1})})
    assert load_labels(values, case()).tolist() == load_labels(colours, case()).tolist() == [[0, 1]]


def test_labels_that_cannot_be_used_are_filed_under_their_case(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "label.jpg")
    Image.fromarray(GREY).save(tmp_path / "label.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "label.png").read_bytes()[:50])
    dataset = data_set(tmp_path, ())
    for label, message in (
        (None, "case_07: has no label"),
        ("label.jpg", "case_07: label label.jpg is a JPEG"),
        ("label.png", r"case_07: label.png: label values not declared: 10 \(1 pixel\), 20"),
        ("cut.png", "case_07: cut.png: cannot be read"),
        ("gone.png", "case_07: gone.png: no such file"),
    ):
        with pytest.raises(DataError, match=message):
            load_labels(dataset, case(label=label))


def test_label_on_another_grid(tmp_path: Path) -> None:
    volume = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    mask = np.zeros((2, 3, 4), dtype=np.uint8)
    save_volume(tmp_path / "image.nii.gz", volume, (3.0, 1.0, 1.0))
    only = case(images=("image.nii.gz",), label="label.nii.gz")
    dataset = data_set(tmp_path, (only,), rank=3)
    save_volume(tmp_path / "label.nii.gz", mask, (2.0, 1.0, 1.0))
    expected = "case_07: label spacing (1, 1, 2) mm, image spacing (1, 1, 3) mm; resave one of them on the other's grid"
    assert faults_of(dataset) == [expected]
    save_volume(tmp_path / "label.nii.gz", mask[:, :2], (3.0, 1.0, 1.0))
    assert faults_of(dataset) == ["case_07: label size (2, 2, 4), image size (2, 3, 4); resave one of them on the other's grid"]
    save_volume(tmp_path / "label.nii.gz", mask, (3.0005, 1.0, 1.0))
    assert faults_of(dataset) == []


def test_another_origin_is_worth_a_note_only(tmp_path: Path) -> None:
    volume = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    save_volume(tmp_path / "image.nii.gz", volume)
    save_volume(tmp_path / "label.nii.gz", volume.astype(np.uint8) * 0, origin=(0.0, 5.0, 0.0))
    only = case(images=("image.nii.gz",), label="label.nii.gz")
    dataset = data_set(tmp_path, (only,), rank=3)
    assert faults_of(dataset) == []
    assert differently_placed(load_image(dataset, only).geometry, load_label_map(dataset, only).geometry)
    assert not differently_placed(Geometry.plain(3, (1.0,) * 3), Geometry.plain(3, (1.0,) * 3))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda a: a.__setitem__((0, 0), np.nan), "case_07: 1 value of the image is NaN or infinite"),
        (lambda a: a.__setitem__((0, slice(0, 2)), (np.inf, -np.inf)), "case_07: 2 values of the image are NaN or infinite"),
        (lambda a: a.fill(7), "case_07: the image is empty: 7 everywhere"),
    ],
)
def test_values_nobody_can_learn_from(tmp_path: Path, spoil, message: str) -> None:
    array = GREY.astype(np.float32)
    spoil(array)
    Image.fromarray(array).save(tmp_path / "image.tif")
    Image.fromarray(np.zeros((2, 3), dtype=np.uint8)).save(tmp_path / "label.png")
    (fault,) = faults_of(data_set(tmp_path, (case(images=("image.tif",)),)))
    assert fault.startswith(message)


def test_float_labels_and_enormous_intensities_of_a_real_set(shared_data: Path) -> None:
    root = shared_data / "Task04_Hippocampus"
    names = [path.name for path in sorted((root / "labelsTr").glob("hippocampus_*.nii.gz"))[:20]]
    dataset = data_set(root, (), rank=3, encodings={"default": ValueEncoding(values={0: 0, 1: 1, 2: 2})})
    for name in names:
        only = case(images=(f"imagesTr/{name}",), label=f"labelsTr/{name}")
        image, label = load_image(dataset, only), load_label_map(dataset, only)
        assert case_faults(only, image, label) == []
        assert set(np.unique(label.labels)) == {0, 1, 2}


def test_channels_that_lie_the_other_way_round_are_refused(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    image = sitk.GetImageFromArray(array)
    sitk.WriteImage(image, str(tmp_path / "t1.nii.gz"))
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    sitk.WriteImage(image, str(tmp_path / "t2.nii.gz"))
    with pytest.raises(DataError, match=r"t2.*turned against t1"):
        assemble_image([tmp_path / "t1.nii.gz", tmp_path / "t2.nii.gz"], ("T1", "T2"), None)
