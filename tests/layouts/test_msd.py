"""The Medical Segmentation Decathlon's layout."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

from autoseg.layouts.base import ReadOptions
from autoseg.layouts.msd import read, recognise
from tests.layouts.written import declare, volume

LABELS = {"0": "background", "1": "Anterior", "2": "Posterior"}


def pair(name: str) -> dict[str, str]:
    return {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"}


def write(folder: Path, *names: str, modality: dict[str, str] | None = None, listed: tuple[str, ...] = ()) -> Path:
    for name in names:
        volume(folder / "imagesTr" / f"{name}.nii.gz")
        volume(folder / "labelsTr" / f"{name}.nii.gz", 1)
    declare(
        folder,
        name="H",
        modality=modality or {"0": "MRI"},
        labels=LABELS,
        numTraining=9,
        training=[pair(n) for n in names + listed],
    )
    return folder


def test_cases_as_listed(tmp_path: Path) -> None:
    write(tmp_path, "h_1", "h_2")
    volume(tmp_path / "imagesTr/spare.nii.gz")
    (tmp_path / "imagesTr/._h_1.nii.gz").write_bytes(b"x")
    assert recognise(tmp_path) is not None
    result = read(tmp_path, ReadOptions())
    assert result.faults == ()
    assert result.dataset is not None
    assert [(case.id, case.images, case.label) for case in result.dataset.cases] == [
        ("h_1", ("imagesTr/h_1.nii.gz",), "labelsTr/h_1.nii.gz"),
        ("h_2", ("imagesTr/h_2.nii.gz",), "labelsTr/h_2.nii.gz"),
    ]
    assert [(target.name, target.output_value) for target in result.dataset.targets] == [("Anterior", 1), ("Posterior", 2)]
    notes = "\n".join(result.dataset.notes)
    assert "spare.nii.gz" in notes and "._h_1" not in notes and "numTraining 9" in notes


def test_missing_files_are_named_together(tmp_path: Path) -> None:
    write(tmp_path, "fine", "no_label", listed=("no_image",))
    (tmp_path / "labelsTr/no_label.nii.gz").unlink()
    volume(tmp_path / "labelsTr/no_image.nii.gz", 1)
    result = read(tmp_path, ReadOptions())
    assert sorted(fault.case for fault in result.faults) == ["no_image", "no_label"]
    assert result.dataset is not None and [case.id for case in result.dataset.cases] == ["fine"]


def test_nnunet_keys_make_it_another_layout(tmp_path: Path) -> None:
    declare(tmp_path, modality={"0": "MRI"}, training=[pair("x")], labels=LABELS, file_ending=".nii.gz")
    assert recognise(tmp_path) is None


def test_labelled_cases_under_validation_are_read_and_the_others_told(tmp_path: Path) -> None:
    for folder, name in (("Tr", "a"), ("Va", "b"), ("Va", "a"), ("Va", "bare"), ("Va", "lost"), ("Va", "spare")):
        volume(tmp_path / f"images{folder}/{name}.nii.gz")
    for folder, name in (("Tr", "a"), ("Va", "b"), ("Va", "a"), ("Va", "gone")):
        volume(tmp_path / f"labels{folder}/{name}.nii.gz", 1)
    ours = [{"image": f"imagesVa/{name}.nii.gz", "label": f"labelsVa/{name}.nii.gz"} for name in ("b", "a", "lost", "gone")]
    validation = [*ours, "imagesVa/bare.nii.gz", pair("a"), 7]
    declare(tmp_path, name="A", modality={"0": "CT"}, labels=LABELS, training=[pair("a")], validation=validation)
    result = read(tmp_path, ReadOptions())
    assert result.dataset is not None
    assert [(case.id, case.label) for case in result.dataset.cases] == [
        ("a", "labelsTr/a.nii.gz"),
        ("b", "labelsVa/b.nii.gz"),
        ("validation_a", "labelsVa/a.nii.gz"),
    ]
    assert [str(fault) for fault in result.faults] == [
        "gone: lacks its image imagesVa/gone.nii.gz, which dataset.json lists under validation",
        'dataset.json: expected {"image": ..., "label": ...} in validation, found 7',
    ]
    assert result.dataset.notes[:4] == (
        "2 labelled cases under validation in dataset.json are read like those of training, and folds are made of all; "
        "--hold-out FILE with their names keeps them apart",
        "2 cases under validation in dataset.json have no label here and take no part: lost, bare",
        "1 entries under validation in dataset.json are listed before, too; each is read once",
        "1 images of imagesVa are not listed in dataset.json and take no part: spare.nii.gz",
    )


def test_channel_files_under_validation_as_nnunet_v1_kept_them(tmp_path: Path) -> None:
    for folder, name in (("Tr", "a"), ("Va", "b"), ("Va", "bare")):
        for channel in range(2):
            volume(tmp_path / f"images{folder}/{name}_000{channel}.nii.gz")
    volume(tmp_path / "labelsTr/a.nii.gz", 1)
    volume(tmp_path / "labelsVa/b.nii.gz", 1)
    validation = [{"image": "imagesVa/b.nii.gz", "label": "labelsVa/b.nii.gz"}, "imagesVa/bare.nii.gz"]
    declare(tmp_path, modality={"0": "T1", "1": "T2"}, labels=LABELS, training=[pair("a")], validation=validation)
    result = read(tmp_path, ReadOptions())
    assert result.faults == () and result.dataset is not None
    assert [case.images for case in result.dataset.cases] == [
        ("imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz"),
        ("imagesVa/b_0000.nii.gz", "imagesVa/b_0001.nii.gz"),
    ]
    assert not any("not listed" in note for note in result.dataset.notes)


def test_the_hippocampus_set(shared_data: Path) -> None:
    result = read(shared_data / "Task04_Hippocampus", ReadOptions())
    assert result.faults == ()
    assert result.dataset is not None
    assert (len(result.dataset.cases), result.dataset.rank, result.dataset.channels) == (188, 3, ("MRI",))


def test_a_voxel_size_that_a_header_lacks_is_told(tmp_path: Path) -> None:
    write(tmp_path, "c0", "c1")
    path = tmp_path / "imagesTr/c0.nii.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    struct.pack_into("<f", content, 80, 0)
    path.write_bytes(gzip.compress(content))
    result = read(tmp_path, ReadOptions())
    assert result.dataset is not None
    assert result.dataset.notes[0] == "c0: its header gives no voxel size (0 along x); 1 mm is taken"
