"""Turned, scaled and bent patches: equal to batchgeneratorsv2 for the same transform of the same box."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.spatial.spatial import (
    SpatialTransform,
    _convert_my_grid_to_grid_sample_grid,
    _create_centered_identity_grid2,
    create_affine_matrix_2d,
    create_affine_matrix_3d,
)

from autoseg.learning.augmentation import spatial
from autoseg.learning.augmentation.draw import Bend, SampleDraw, affine_matrix, bounding_box, draw_geometry
from autoseg.learning.augmentation.spatial import resample, sampling_grid, spline_matrix, values_of, vote
from tests.learning.augmentation.specs import only

PATCHES = [(20, 30), (12, 16, 14), (4, 20, 24)]
CPU = torch.device("cpu")


def blocks(shape: tuple[int, ...], classes: int, seed: int) -> torch.Tensor:
    """Labels of several voxels' size, all of `classes`."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, classes, [-(-n // 4) for n in shape]).astype(np.int16)
    coarse.flat[:classes] = np.arange(classes)
    for axis in range(len(shape)):
        coarse = np.repeat(coarse, 4, axis)
    return torch.from_numpy(coarse[tuple(slice(n) for n in shape)].copy())


def library(
    image: torch.Tensor, labels: torch.Tensor, draw: SampleDraw, patch: tuple[int, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the library makes of a box with the drawn matrix."""
    plane, box = patch[-len(draw.matrix) :], image.shape[-len(draw.matrix) :]
    grid = _create_centered_identity_grid2(plane) @ torch.from_numpy(draw.matrix.T).float()
    grid = _convert_my_grid_to_grid_sample_grid(grid.contiguous(), box)
    transform = SpatialTransform(plane, 0, False)
    parameters = {"grid": grid, "center_location_in_pixels": [n / 2 for n in box]}
    turned = transform._apply_to_image(image.reshape(-1, *box), **parameters)
    marks = transform._apply_to_segmentation(labels.reshape(-1, *box), **parameters)
    return turned.view(len(image), *patch), marks.view(len(labels), *patch)


def drawn(patch: tuple[int, ...], seed: int) -> SampleDraw:
    return draw_geometry(np.random.default_rng(seed), only("rotation", "scaling", patch_size=patch), patch)


@pytest.mark.parametrize("patch", PATCHES)
@pytest.mark.parametrize("classes", [1, 2, 3, 9])
def test_equal_to_the_library(patch: tuple[int, ...], classes: int) -> None:
    """Images to 1e-4 of values around 1; labels but for ties that rounding breaks differently, fewer than 1 in 1000 voxels."""
    wrong = total = 0
    for seed in range(6):
        draw = drawn(patch, seed)
        image = torch.randn(2, *draw.read_size, generator=torch.Generator().manual_seed(seed))
        labels = torch.stack([blocks(draw.read_size, classes, seed), blocks(draw.read_size, 2, seed + 1)])
        turned, marks = resample(image, labels, [values_of(plane) for plane in labels], draw, patch)
        expected, expected_marks = library(image, labels, draw, patch)
        assert turned.shape == (2, *patch) and marks.shape == (2, *patch)
        torch.testing.assert_close(turned, expected, atol=1e-4, rtol=0)
        wrong += int((marks != expected_marks).sum())
        total += 2 * prod(patch)
    assert wrong <= total / 1000


def test_matrices_are_those_of_the_library() -> None:
    angles = (0.3, -0.4, 0.5)
    assert np.allclose(affine_matrix(angles, 3) * 1.2, create_affine_matrix_3d(angles, [1.2] * 3))
    assert np.allclose(affine_matrix((0.3,), 2) * 0.8, create_affine_matrix_2d(0.3, [0.8] * 2))


def test_a_quarter_turn_moves_voxels_and_changes_none() -> None:
    draw = SampleDraw((8, 6), affine_matrix((np.pi / 2,), 2))
    image = torch.arange(48.0).view(1, 8, 6)
    labels = image.to(torch.int16)
    turned, marks = resample(image, labels, [values_of(labels[0])], draw, (6, 8))
    torch.testing.assert_close(turned[0], image[0].rot90(-1), atol=1e-3, rtol=0)
    assert torch.equal(marks[0], labels[0].rot90(-1))


@pytest.mark.parametrize("patch", PATCHES)
def test_mirrored_on_the_way(patch: tuple[int, ...]) -> None:
    draw = drawn(patch, 0)
    image = torch.randn(1, *draw.read_size)
    labels = blocks(draw.read_size, 9, 0)[None]
    for axes in ((0,), (1,), tuple(range(len(patch)))):
        mirrored = SampleDraw(draw.read_size, draw.matrix, mirrored=axes)
        plain, flipped = (resample(image, labels, [None], one, patch) for one in (draw, mirrored))
        torch.testing.assert_close(flipped[0], plain[0].flip([axis + 1 for axis in axes]), atol=1e-4, rtol=0)
        assert (flipped[1] != plain[1].flip([axis + 1 for axis in axes])).float().mean() < 0.001


@pytest.mark.parametrize("patch", PATCHES)
def test_voting_and_masks_agree(patch: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """The two ways to find the winner are one rule; and voting in parts changes nothing."""
    draw = drawn(patch, 3)
    labels = blocks(draw.read_size, 4, 3)[None]
    image = torch.zeros(1, *draw.read_size)
    _, by_masks = resample(image, labels, [(0, 1, 2, 3)], draw, patch)
    _, by_votes = resample(image, labels, [None], draw, patch)
    assert (by_masks != by_votes).float().mean() < 0.002
    monkeypatch.setattr(spatial, "VOTES_AT_A_TIME", 100)
    assert torch.equal(resample(image, labels, [None], draw, patch)[1], by_votes)


def test_a_tie_goes_to_the_nearest_label_that_takes_part() -> None:
    # three pixels 5 | 9; a point exactly between the second and the third
    labels = torch.tensor([[[5, 5, 9]]], dtype=torch.int16)
    grid = torch.tensor([[[(1.5 + 0.5) * 2 / 3 - 1, 0.0]]])
    nearest = torch.nn.functional.grid_sample(labels[None].float(), grid[None], mode="nearest", align_corners=False)[0, 0, 0, 0]
    assert int(vote(labels, grid)) == int(nearest)


@pytest.mark.parametrize("patch", [(32, 48), (16, 20, 24)])
def test_all_points_lie_in_the_box_that_is_read(patch: tuple[int, ...]) -> None:
    for seed in range(20):
        draw = draw_geometry(
            np.random.default_rng(seed), only("rotation", "scaling", "elastic", patch_size=patch, preset="heavy"), patch
        )
        grid = sampling_grid(draw, patch, draw.read_size, mirrored=(), device=CPU)
        places = [((grid[..., len(patch) - 1 - a] + 1) * n - 1) / 2 for a, n in enumerate(draw.read_size)]
        for place, size in zip(places, draw.read_size, strict=True):
            assert place.min() > -1e-3 and place.max() < size - 1 + 1e-3
        plain = SampleDraw(bounding_box(draw.matrix, patch, None), draw.matrix)
        tight = sampling_grid(plain, patch, plain.read_size, mirrored=(), device=CPU)
        widest = max(((tight[..., a] + 1) * n - 1).max() / 2 - (n - 1) for a, n in enumerate(reversed(plain.read_size)))
        assert widest > -1.5, "and the box of a turned patch has less than two voxels too many"


def test_splines_add_up_to_one_and_keep_straight_lines_straight() -> None:
    matrix = spline_matrix(20, 9, 3.5)
    assert np.allclose(matrix.sum(axis=1), 1, atol=1e-6)
    assert np.allclose(matrix @ ((np.arange(9) - 1) * 3.5), np.arange(20), atol=1e-4), "B-splines reproduce linear functions"


def test_an_even_displacement_shifts_the_patch() -> None:
    nodes = np.zeros((2, 8, 8), np.float32)
    nodes[0], nodes[1] = 2, -1
    draw = SampleDraw((24, 24), np.eye(2), bend=Bend(nodes, (4.0, 4.0)))
    image = torch.randn(1, 24, 24)
    turned, _ = resample(image, torch.zeros(1, 24, 24, dtype=torch.int16), [(0,)], draw, (16, 16))
    torch.testing.assert_close(turned, image[:, 6:22, 3:19], atol=1e-4, rtol=0)


@pytest.mark.parametrize("patch", [(48, 64), (24, 32, 28)])
def test_bending_never_folds(patch: tuple[int, ...]) -> None:
    for seed in range(10):
        draw = draw_geometry(np.random.default_rng(seed), only("elastic", patch_size=patch, preset="heavy"), patch)
        grid = sampling_grid(draw, patch, draw.read_size, mirrored=(), device=CPU)
        columns = [grid[..., len(patch) - 1 - a] * draw.read_size[a] / 2 for a in range(len(patch))]
        jacobian = torch.stack([torch.stack(torch.gradient(column)) for column in columns]).movedim((0, 1), (-2, -1))
        assert torch.linalg.det(jacobian).min() > 0
