from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from autoseg.learning.previous_stage import (
    FaultDraw,
    Morphology,
    Removal,
    dilated,
    draw_faults,
    eroded,
    to_channels,
    values_of,
    with_faults,
)
from autoseg.records import Structure
from autoseg.records.augmentation import PreviousStage
from autoseg.stages.plan.augmentation import augmentation_for

WHOLE = Structure(name="whole", values=(1, 2), output_value=1)
CORE = Structure(name="core", values=(2,), output_value=2)


def ball(radius: int, rank: int) -> np.ndarray:
    grid = np.indices((2 * radius + 1,) * rank) - radius
    return (grid**2).sum(axis=0) <= radius**2


def rows(*texts: str) -> Tensor:
    """A 2D mask from digits, `.` being 0."""
    return torch.tensor([[0 if letter == "." else int(letter) for letter in text] for text in texts], dtype=torch.int16)


def changed(mask: Tensor, *morphology: Morphology, removals: tuple[Removal, ...] = (), share: float = 1.0) -> Tensor:
    return with_faults(mask, FaultDraw(morphology, removals, share))


@pytest.mark.parametrize("radius", [0, 1, 2, 5, 8])
@pytest.mark.parametrize("shape", [(40, 31), (14, 22, 19)])
def test_balls_are_those_of_scipy(shape: tuple[int, ...], radius: int) -> None:
    mask = np.random.default_rng(radius).random(shape) < 0.01
    mask[tuple(slice(2, 2 + 2 * n // 3) for n in shape)] = True
    structure = ball(radius, len(shape))
    assert np.array_equal(dilated(torch.from_numpy(mask), radius).numpy(), ndimage.binary_dilation(mask, structure))
    kept = ndimage.binary_erosion(mask, structure, border_value=1)
    assert np.array_equal(eroded(torch.from_numpy(mask), radius).numpy(), kept)


def test_large_balls_do_not_overflow() -> None:
    mask = torch.zeros(400, dtype=torch.bool)
    mask[200] = True
    assert dilated(mask, 127).sum() == 255
    assert dilated(mask, 190).sum() == 381


@pytest.mark.parametrize("operation", ["dilation", "erosion", "closing", "opening"])
def test_the_box_around_a_label_changes_nothing(operation: str) -> None:
    """Against scipy on the whole array, with an object at the border of the array and one inside."""
    array = np.zeros((30, 26, 28), np.int16)
    array[0:9, 3:12, 20:28] = 3
    array[16:21, 14:20, 4:13] = 3
    array[18, 16, 7] = 0
    found = changed(torch.from_numpy(array), Morphology(3, operation, 2)).numpy() == 3  # type: ignore[arg-type]
    mask, structure = array == 3, ball(2, 3)

    def erosion(values: np.ndarray) -> np.ndarray:
        return ndimage.binary_erosion(values, structure, border_value=1)

    def dilation(values: np.ndarray) -> np.ndarray:
        return ndimage.binary_dilation(values, structure)

    wanted = {
        "dilation": dilation(mask),
        "erosion": erosion(mask),
        "closing": erosion(dilation(mask)),
        "opening": dilation(erosion(mask)),
    }[operation]
    assert np.array_equal(found, wanted)
    assert not np.array_equal(found, mask)


def test_what_a_label_gains_the_others_lose() -> None:
    mask = rows(
        ".......",
        "..1....",
        "..122..",
        "....2..",
    )
    assert (
        changed(mask, Morphology(1, "dilation", 1)).tolist()
        == rows(
            "..1....",
            ".111...",
            ".1112..",
            "..1.2..",
        ).tolist()
    )
    assert (
        changed(mask, Morphology(2, "erosion", 1)).tolist()
        == rows(
            ".......",
            "..1....",
            "..1....",
            ".......",
        ).tolist()
    )
    one_after_another = changed(mask, Morphology(2, "dilation", 1), Morphology(1, "dilation", 1))
    assert (
        one_after_another.tolist()
        == rows(
            "..1....",
            ".1112..",
            "..1222.",
            "...222.",
        ).tolist()
    )
    assert mask.sum() == 8, "the mask that was handed in stays as it was"


def test_one_component_goes_if_it_is_small() -> None:
    mask = rows(
        "11...1....",
        "11........",
        "..1..222..",
        ".......1..",
    )
    single = rows(
        "11........",
        "11........",
        "..1..222..",
        ".......1..",
    ).tolist()
    # components of 1, in reading order: the square with the corner that touches it (5 voxels), and two single ones
    assert changed(mask, removals=(Removal(1, 0.4),)).tolist() == single
    assert changed(mask, removals=(Removal(1, 0.0),))[:3, :3].sum() == 0
    assert changed(mask, removals=(Removal(1, 0.0),), share=4 / 40).tolist() == single, "5 voxels of 40 are too many"
    assert (
        changed(mask, removals=(Removal(2, 0.9),), share=3 / 40).tolist()
        == rows("11...1....", "11........", "..1.......", ".......1..").tolist()
    )
    assert changed(mask, removals=(Removal(2, 0.9),), share=2 / 40).tolist() == mask.tolist()
    assert changed(mask, removals=(Removal(5, 0.5),)).tolist() == mask.tolist()


def test_draws_follow_the_probabilities() -> None:
    """Of 4000 draws over 3 labels: each is changed with 0.4 * 0.5, loses a component with 0.2 * 0.5."""
    spec = augmentation_for("default", (64, 64, 64)).previous_stage
    rng = np.random.default_rng(1)
    draws = [draw_faults((1, 2, 3), rng, spec) for _ in range(4000)]
    changes = [change for draw in draws for change in draw.morphology]
    assert sum(change.value == 2 for change in changes) / 4000 == pytest.approx(0.2, abs=0.02)
    assert sum(removal.value == 3 for draw in draws for removal in draw.removals) / 4000 == pytest.approx(0.1, abs=0.015)
    assert {change.radius for change in changes} == set(range(1, 9))
    assert {change.operation for change in changes} == {"dilation", "erosion", "closing", "opening"}
    assert {draw.morphology[0].value for draw in draws if len(draw.morphology) == 3} == {1, 2, 3}, "in any order"
    assert draws[0].largest_share == 0.15
    again = np.random.default_rng(1)
    assert [draw_faults((1, 2, 3), again, spec) for _ in range(50)] == draws[:50]


def test_none_is_none_and_light_is_half() -> None:
    none, light, full = (augmentation_for(name, (64, 64, 64)).previous_stage for name in ("none", "light", "default"))
    rng = np.random.default_rng(0)
    assert {draw_faults((1, 2), rng, none) for _ in range(100)} == {FaultDraw((), (), 0.15)}
    for field in ("morphology_probability", "removal_probability"):
        assert getattr(light, field) == getattr(full, field) / 2
    always = PreviousStage(
        morphology_probability=1.0,
        morphology_label_probability=1.0,
        radius=(1, 1),
        removal_probability=1.0,
        removal_label_probability=1.0,
        largest_share=0.15,
    )
    draw = draw_faults((1, 2), rng, always)
    assert (len(draw.morphology), len(draw.removals)) == (2, 2)


def test_a_mask_becomes_one_channel_per_target() -> None:
    mask = torch.tensor([[0, 1], [2, -1]], dtype=torch.int16)
    exclusive = tuple(Structure(name=str(value), values=(value,), output_value=value) for value in (1, 2))
    assert values_of((WHOLE, CORE)) == values_of(exclusive) == (1, 2)
    assert to_channels(mask, exclusive).tolist() == [[[0, 1], [0, 0]], [[0, 0], [1, 0]]]
    assert to_channels(mask, (WHOLE, CORE)).tolist() == [[[0, 1], [1, 0]], [[0, 0], [1, 0]]]
    assert to_channels(mask, exclusive).dtype == torch.float32
