"""Images that an annotation set names, and the files and cases that they become."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from autoseg.annotations.base import AnnotatedImage, AnnotationSet
from autoseg.errors import DataError, Fault
from autoseg.stages.importing import matched


def files(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def listing(names: Sequence[str], faults: Sequence[Fault] = ()) -> AnnotationSet:
    return AnnotationSet("coco", ("head",), tuple(AnnotatedImage(name, (4, 4)) for name in names), faults=tuple(faults))


def found(root: Path, *names: str, faults: Sequence[Fault] = ()) -> tuple[dict[str, str], dict[str, str]]:
    """Files by case, and faults by image."""
    sources, wrong, _ = matched(listing(names, faults), root)
    cases = {one.id: one.files[0].relative_to(root).as_posix() for one in sources}
    return cases, {fault.case: fault.message for fault in wrong}


def test_a_name_is_a_path_or_its_end_or_a_file_s_name(tmp_path: Path) -> None:
    root = files(tmp_path, "set/images/a.png", "set/more/b.png", "c.tif")
    assert found(root, "a.png", "/data/server/b.png", "c") == ({"a": "set/images/a.png", "b": "set/more/b.png", "c": "c.tif"}, {})


def test_folders_that_lead_to_images_count(tmp_path: Path) -> None:
    """The image of one person is not taken for that of another whose own is missing."""
    cases, faults = found(files(tmp_path, "p1/frame.png"), "p1/frame.png", "p2/frame.png")
    assert cases == {"p1_frame": "p1/frame.png"}
    assert faults == {"p2/frame.png": f"there is no such image in {tmp_path}; give the folder of the images with --images"}
    cases, faults = found(files(tmp_path, "p2/frame.jpg"), "p1/frame", "p2/frame")
    assert cases == {"p1_frame": "p1/frame.png", "p2_frame": "p2/frame.jpg"} and not faults


def test_a_file_is_one_image(tmp_path: Path) -> None:
    root = files(tmp_path, "frame.png", "other.png")
    cases, faults = found(root, "p1/frame.png", "p2/frame.png", "other.png")
    assert cases == {"other": "other.png"} and sorted(faults) == ["p1/frame.png", "p2/frame.png"]
    assert faults["p1/frame.png"].startswith(f"2 annotated images seem to be the file {root / 'frame.png'}")


def test_an_image_whose_labels_could_not_be_read_whole_takes_no_part(tmp_path: Path) -> None:
    root, fault = files(tmp_path, "a.png", "b.png"), Fault("a.png", "one of its polygons is no polygon")
    assert found(root, "a.png", "b.png", faults=[fault]) == ({"b": "b.png"}, {})
    with pytest.raises(DataError, match="no polygon"):
        found(root, "a.png", faults=[fault])


def test_only_what_nobody_annotated_counts_as_not_annotated(tmp_path: Path) -> None:
    """Neither an image whose annotation failed, nor the one beside the file that names another, nor masks of what could not be read."""
    root = files(
        tmp_path, "a.png", "b.png", "sub/c.png", "d.png", "e.png", "Masks/b_mask_0.png", "f.png", "p/twice.png", "q/twice.png"
    )
    images = [AnnotatedImage(name, (4, 4)) for name in ("a.png", "b.png", "twice.png")]
    images.append(AnnotatedImage("gone.png", (4, 4), told_in=root / "d.json"))
    faults = (Fault("b.png", "damaged"), Fault("sub/c.png", "damaged"), Fault("e.json", "damaged"))
    sources, wrong, notes = matched(AnnotationSet("labelme", ("head",), tuple(images), faults=faults), root)
    assert [one.id for one in sources] == ["a"] and [fault.case for fault in wrong] == ["twice.png", "gone.png"]
    assert notes == ["1 images are not annotated and take no part, such as f.png"]
    assert wrong[1].message == "there is no such image, which d.json names, but d.png lies beside that file; mend the name in it"


def test_every_fault_is_told_where_no_image_is_left(tmp_path: Path) -> None:
    faults = [Fault(f"{number}.png", "damaged") for number in range(7)]
    with pytest.raises(DataError) as caught:
        found(files(tmp_path, "a.png"), "b.png", faults=faults)
    assert [fault.case for fault in caught.value.faults] == [*(f"{number}.png" for number in range(7)), "b.png"]


@pytest.mark.parametrize(
    ("names", "cases"),
    [
        (("a/b.png", "a_b.png", "b.png"), {"a_b", "a_b_png", "b"}),
        (("x.png", "x.jpg"), {"x_png", "x_jpg"}),
        (("Case.png", "d/case.png"), {"Case", "d_case"}),
        (("a b/x.png", "a:b/x.png", "a/b/x.png"), {"a b_x", "a_b_x_png_1", "a_b_x_png_2"}),
    ],
)
def test_every_case_has_a_name_of_its_own(tmp_path: Path, names: tuple[str, ...], cases: set[str]) -> None:
    """Whatever disk they are written to: names that differ in upper and lower case alone are the same."""
    got, faults = found(files(tmp_path, *names), *names)
    assert set(got) == cases and not faults and sorted(got.values()) == sorted(names)


def test_dicom_images_are_to_be_taken_out_of_their_files_first(tmp_path: Path) -> None:
    root = files(tmp_path, "x.png", "y.dcm")
    (root / "IM1").write_bytes(b"\0" * 128 + b"DICM")
    _, faults = found(root, "x.png", "y.dcm", "IM1", "z")
    assert (
        faults["y.dcm"]
        == faults["IM1"]
        == (
            f"there is no such picture in {root}; DICOM images are taken out of their files first: "
            "autoseg import FOLDER PICTURES --from dicom, and here --images PICTURES"
        )
    )
    assert "--from dicom" not in faults["z"]
    cases, faults = found(files(root, "y.png", "IM1.png"), "y.dcm", "IM1")
    assert sorted(cases.values()) == ["IM1.png", "y.png"] and not faults
