"""Target spacing, axis order and grids, by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest

from autoseg.stages.plan import PlanInputs
from autoseg.stages.plan.spacing import coarsened, lowres_spacings, median_shape, target_spacing, transposition

VOLUMES = PlanInputs(
    rank=3,
    spacings_mm=((5.0, 1.0, 1.0), (10.0, 1.0, 2.0), (10.0, 3.0, 2.0)),
    shapes_after_crop=((20, 100, 100), (10, 100, 80), (10, 100, 80)),
    n_training=3,
    n_validation=1,
    channels=("CT",),
    n_labels=2,
    n_outputs=2,
    n_targets=1,
    relative_size_after_crop=1.0,
    intensities=(),
)


def test_median_and_tenth_percentile_of_a_coarse_axis() -> None:
    # medians 10, 1, 2; the first is over 3 * 2 and 10 * 3 < 80: its 10th percentile lies 0.2 of the way from 5 to 10
    target, applied = target_spacing(VOLUMES)
    assert target == pytest.approx((6.0, 1.0, 2.0))
    assert applied


def test_a_coarse_axis_with_many_slices_keeps_its_median() -> None:
    inputs = replace(VOLUMES, shapes_after_crop=((30, 100, 80),) * 3)
    assert target_spacing(inputs) == ((10.0, 1.0, 2.0), False)


def test_a_coarse_axis_is_not_made_finer_than_the_others() -> None:
    spacings = ((1.0, 1.5, 1.5),) * 2 + ((10.0, 1.5, 1.5),) * 3
    target, applied = target_spacing(replace(VOLUMES, spacings_mm=spacings, shapes_after_crop=((8, 64, 64),) * 5))
    assert applied
    assert target == pytest.approx((1.50001, 1.5, 1.5))


def test_unknown_spacings_do_not_count_and_keep_their_shape() -> None:
    inputs = replace(
        VOLUMES, rank=2, spacings_mm=((0.1, 0.1), (0.3, 0.3), None), shapes_after_crop=((200, 300), (200, 300), (50, 60))
    )
    target, _ = target_spacing(inputs)
    assert target == pytest.approx((0.2, 0.2))
    assert median_shape(inputs, (0.2, 0.2)) == (100.0, 150.0)  # of 100x150, 300x450 and the untouched 50x60
    nothing = replace(inputs, spacings_mm=(None, None, None))
    assert target_spacing(nothing) == ((1.0, 1.0), False)
    assert median_shape(nothing, (1.0, 1.0)) == (200.0, 300.0)


def test_median_over_an_even_number_of_cases_may_be_a_half() -> None:
    inputs = replace(VOLUMES, spacings_mm=((1.0,) * 3,) * 2, shapes_after_crop=((10, 10, 10), (11, 10, 10)))
    assert median_shape(inputs, (1.0, 1.0, 1.0)) == (10.5, 10.0, 10.0)


@pytest.mark.parametrize(
    ("spacing", "order"),
    [((1, 1, 1), (0, 1, 2)), ((0.8, 4, 0.8), (1, 0, 2)), ((1, 1, 3), (2, 0, 1)), ((3, 3, 1), (0, 1, 2)), ((1, 2), (0, 1))],
)
def test_transposition(spacing: tuple[float, ...], order: tuple[int, ...]) -> None:
    assert transposition(spacing) == order


def test_coarsening_makes_isotropic_first() -> None:
    assert coarsened((3.0, 1.0, 1.0), 2) == (3.0, 2.0, 2.0)
    assert coarsened((3.0, 1.0, 1.0), 4) == (4.0, 4.0, 4.0)


def test_lowres_grids_start_with_the_fine_axes() -> None:
    first, second = islice(lowres_spacings((2.1, 1.0, 1.04)), 2)
    assert first == pytest.approx((2.1, 1.03, 1.04 * 1.03))
    assert second == pytest.approx((2.1, 1.03**2, 1.04 * 1.03))  # 2.1 / 1.0712 is below 2 now, 2.1 / 1.03 is not
