"""Shapes become pixels by their centres; what lies over what; and outlines that are painted again."""

from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from autoseg.annotations import painting
from autoseg.annotations.base import Annotation, Bitmap, MaskFile, Polygon, Shape, Size
from autoseg.annotations.painting import area_inside, paint, region_values
from autoseg.annotations.tracing import bitmap_of, pieces_of
from autoseg.errors import DataError
from tests.annotations.pictures import save


def polygon(*rings: list[tuple[float, float]]) -> Polygon:
    return Polygon(tuple(np.array(ring, float) for ring in rings))


def box(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def test_a_pixel_belongs_to_a_polygon_if_its_centre_does() -> None:
    """From 1 to 3.4 lie the centres 1.5 and 2.5, to 3.6 also 3.5."""
    found = area_inside(polygon(box(1, 1, 3.4, 3.6)), (5, 6))
    assert [int(row.sum()) for row in found] == [0, 2, 2, 2, 0] and found[1, 1] and found[1, 2] and not found[1, 3]


def test_shapes_that_share_an_edge_share_no_pixel() -> None:
    """The edge runs through centres: at x = 2.5, along a diagonal, and at y = 1.5."""
    for one, other in (
        (box(0, 0, 2.5, 4), box(2.5, 0, 4, 4)),
        ([(0, 0), (4, 4), (0, 4)], [(0, 0), (4, 0), (4, 4)]),
        (box(0, 0, 4, 1.5), box(0, 1.5, 4, 4)),
    ):
        first, second = (area_inside(polygon(ring), (4, 4)) for ring in (one, other))
        assert not (first & second).any() and (first | second).all()


def test_a_ring_in_a_ring_is_a_hole_and_a_third_one_is_not() -> None:
    found = area_inside(polygon(box(0, 0, 7, 7), box(1, 1, 6, 6), box(3, 3, 4, 4)), (7, 7))
    assert int(found.sum()) == 49 - 25 + 1 and found[3, 3] and not found[2, 2]


def test_what_reaches_beyond_the_picture_is_cut() -> None:
    assert area_inside(polygon(box(-5, -5, 2, 20)), (3, 4)).sum() == 6
    labels = paint([Annotation("a", Bitmap(np.ones((3, 3), bool), -1, 2))], (4, 4), ["a"]).labels
    assert labels.sum() == 4 and labels[0, 2] and labels[1, 3]


def test_a_disc_has_its_area() -> None:
    angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    disc = Polygon((np.stack([50 + 30 * np.cos(angles), 50 + 30 * np.sin(angles)], axis=1),))
    assert area_inside(disc, (100, 100)).sum() == pytest.approx(np.pi * 900, rel=0.003)


SMALL, LARGE = Annotation("small", polygon(box(1, 1, 3, 3))), Annotation("large", polygon(box(0, 0, 4, 4)))


def test_later_shapes_lie_above_and_what_they_cover_is_counted() -> None:
    found = paint([SMALL, LARGE], (4, 4), ["large", "small"])
    assert (found.labels == 1).all() and found.covered == {("small", "large"): 4}
    above = Annotation("small", SMALL.shape, z_order=1)
    assert (paint([above, LARGE], (4, 4), ["large", "small"]).labels == 2).sum() == 4


def test_smaller_shapes_can_lie_above_whatever_the_order() -> None:
    found = paint([SMALL, LARGE], (4, 4), ["large", "small"], "smaller").labels
    assert (found == 2).sum() == 4 and (found == 1).sum() == 12


def test_both_can_count() -> None:
    found = paint([SMALL, LARGE], (4, 4), ["large", "small"], "regions").labels
    assert (found == 3).sum() == 4 and (found == 1).sum() == 12 and not (found == 2).any()
    assert region_values(["large", "small"], np.unique(found).tolist()) == {"large": (1, 3), "small": (3,)}
    with pytest.raises(DataError, match="17 labels are more than the 16"):
        paint([], (4, 4), [str(number) for number in range(17)], "regions")


def test_masks_in_files_have_the_size_of_their_image(tmp_path: Path) -> None:
    rgba = np.zeros((2, 3, 4), np.uint8)
    rgba[0, 1, 2], rgba[..., 3] = 200, 255
    Image.fromarray(rgba).save(tmp_path / "m.png")
    mask = Annotation("a", MaskFile(tmp_path / "m.png"))
    assert paint([mask], (2, 3), ["a"]).labels.tolist() == [[0, 1, 0], [0, 0, 0]]
    with pytest.raises(DataError, match=r"mask m.png has 3x2 pixels, its image 4x4"):
        paint([mask], (4, 4), ["a"])


@pytest.mark.parametrize("seed", range(6))
def test_outlines_painted_again_are_the_same_pixels(seed: int) -> None:
    """Noise has every neighbourhood of pixels that there is: corners, holes, islands in holes, and the border."""
    mask = np.random.default_rng(seed).random((23, 31)) < (0.3, 0.5, 0.7)[seed % 3]
    pieces = list(pieces_of(mask))
    again = np.zeros_like(mask)
    for piece in pieces:
        own = area_inside(piece, mask.shape)
        assert not (again & own).any()
        again |= own
    assert np.array_equal(again, mask)
    bitmap = bitmap_of(mask)
    assert np.array_equal(paint([Annotation("a", bitmap)], mask.shape, ["a"]).labels > 0, mask)


def test_a_ring_is_one_piece_with_a_hole() -> None:
    mask = np.zeros((7, 8), bool)
    mask[1:6, 1:6], mask[3, 3] = True, False
    (piece,) = pieces_of(mask)
    assert len(piece.rings) == 2 and not list(pieces_of(np.zeros((3, 3), bool)))


def test_smooth_borders_and_stray_values_of_a_mask(tmp_path: Path) -> None:
    """Inside is what reaches half of the largest value; an empty mask is empty."""
    Image.fromarray(np.array([[0, 60, 130], [255, 233, 127]], np.uint8)).save(tmp_path / "m.png")
    Image.fromarray(np.zeros((2, 3), np.uint8)).save(tmp_path / "empty.png")
    inside, empty = (paint([Annotation("a", MaskFile(tmp_path / name))], (2, 3), ["a"]).labels for name in ("m.png", "empty.png"))
    assert inside.tolist() == [[0, 0, 1], [1, 1, 0]] and not empty.any()


def mask_of(file: Path, size: tuple[int, ...]) -> list[list[int]]:
    return paint([Annotation("a", MaskFile(file))], size, ["a"]).labels.tolist()


def test_values_of_several_labels_are_all_inside(tmp_path: Path) -> None:
    """A label map of several values, as that of BraTS with 1, 2 and 4, in the place of a structure's mask."""
    assert mask_of(save(tmp_path / "m.png", [[0, 1, 2, 4]]), (1, 4)) == [[0, 1, 1, 1]]
    sitk.WriteImage(sitk.GetImageFromArray(np.array([[[0, 1, 2, 4, 200]]], np.uint8)), str(tmp_path / "m.nii.gz"))
    assert mask_of(tmp_path / "m.nii.gz", (1, 1, 5)) == [[[0, 1, 1, 1, 1]]]
    many = np.arange(30)[None]
    assert np.sum(mask_of(save(tmp_path / "many.png", many), (1, 30))) == 15, "many values are a smoothed border"


def test_label_maps_of_many_values_are_all_inside(tmp_path: Path) -> None:
    """Thirteen organs side by side, each four voxels wide; of a smoothed mask only the inside is as wide."""
    organs = np.repeat(np.arange(14), 4)[None, None].astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(organs), str(tmp_path / "organs.nii.gz"))
    painted = paint([Annotation("a", MaskFile(tmp_path / "organs.nii.gz"))], (1, 1, 56), ["a"])
    assert painted.labels.sum() == 52 and painted.joined == {"a": 13}
    smooth = np.array([[[0, 0, 0, 10, 30, 50, 70, 90, 100, 100, 100, 100, 80, 60, 40, 20]]], np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(smooth), str(tmp_path / "smooth.nii.gz"))
    painted = paint([Annotation("a", MaskFile(tmp_path / "smooth.nii.gz"))], (1, 1, 16), ["a"])
    assert painted.labels.sum() == 9 and painted.joined == {}


def test_probabilities_and_smoothed_volumes(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.array([[[0, 0.2, 0.5, 1]]], np.float32)), str(tmp_path / "p.nii.gz"))
    assert mask_of(tmp_path / "p.nii.gz", (1, 1, 4)) == [[[0, 0, 1, 1]]]
    smooth = np.array([[[0, 10, 20, 30, 40, 50, 60, 70, 100, 110]]], np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(smooth), str(tmp_path / "s.nii.gz"))
    assert np.sum(mask_of(tmp_path / "s.nii.gz", (1, 1, 10))) == 4


@pytest.mark.parametrize(
    ("palette", "inside"),
    [
        ([255, 255, 255, 0, 0, 0], [1, 0, 1]),
        ([0, 0, 0, 255, 255, 255], [0, 1, 0]),
        ([0, 0, 0, 1, 1, 1], [0, 1, 0]),
        ([255, 0, 0, 0, 0, 0], [1, 0, 1]),
        ([0, 0, 0, 0, 0, 128], [0, 1, 0]),
        ([255, 255, 255, 255, 0, 0], [0, 1, 0]),
    ],
    ids=["white first", "black first", "dark greys", "red first", "dark blue", "red on white"],
)
def test_palettes_of_masks(tmp_path: Path, palette: list[int], inside: list[int]) -> None:
    assert mask_of(save(tmp_path / "p.png", [[0, 1, 0]], palette), (1, 3)) == [inside]


def test_masks_are_drawn_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many shapes no more than one mask is held."""
    alive: list[weakref.ref[np.ndarray]] = []
    most = 0

    def drawn(shape: Shape, size: Size) -> np.ndarray:
        nonlocal most
        mask = area_inside(shape, size)
        alive.append(weakref.ref(mask))
        most = max(most, sum(one() is not None for one in alive))
        return mask

    monkeypatch.setattr(painting, "area_inside", drawn)
    for overlap in painting.OVERLAPS:
        paint([SMALL, LARGE] * 5, (4, 4), ["large", "small"], overlap)
    assert len(alive) == 40 and most <= 2  # the one that was drawn before, and the next
