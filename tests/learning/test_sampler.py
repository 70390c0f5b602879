"""Which patches are drawn, checked on hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from autoseg.learning.augmentation import Augmentation, Batch
from autoseg.learning.sampler import PatchSampler, foreground_slots, pick_centre
from autoseg.processing.store import ANNOTATED
from tests.learning.cases import MemoryCase, small_configuration, square_case


@pytest.mark.parametrize(("batch_size", "forced"), [(2, 1), (3, 1), (4, 1), (5, 2), (8, 3), (12, 4), (24, 8)])
def test_forced_foreground_counts_are_those_of_nnunet(batch_size: int, forced: int) -> None:
    slots = foreground_slots(batch_size, 0.33)
    assert len(slots) == batch_size
    assert sum(slots) == forced
    assert slots == sorted(slots)


CPU = torch.device("cpu")
STEPS = 12


def sampler_of(name: str = "default", **options: object) -> tuple[PatchSampler, Augmentation]:
    """Of four cases, with its augmentation."""
    configuration = small_configuration(augmentation=name)
    augmentation = Augmentation.of(configuration)
    stated = {"slice_axis": None, "stream": (1, 0), "augmentation": augmentation} | options
    return PatchSampler([square_case(seed) for seed in range(4)], configuration.training, **stated), augmentation


def batch(sampler: PatchSampler, step: int = 0) -> Batch:
    """A batch as the network sees it."""
    return Augmentation.of(small_configuration()).apply(sampler[step], CPU)


def test_a_batch_depends_on_its_step_alone() -> None:
    sampler, _ = sampler_of()
    first = batch(sampler, 5)
    before = np.random.get_state()[1].copy()
    _, again = batch(sampler, 6), batch(sampler, 5)
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.labels, again.labels)
    assert first.cases == again.cases
    assert not torch.equal(first.images, batch(sampler, 6).images)
    assert np.array_equal(before, np.random.get_state()[1]), "the caller's random state is left alone"


def test_a_sample_is_the_same_whoever_draws_it() -> None:
    """Two devices share a batch; samples that are turned must be among those compared."""
    sampler, augmentation = sampler_of("heavy")
    parts = [sampler_of("heavy", part=part)[0] for part in (slice(0, 1), slice(1, None))]
    turned = 0
    for step in range(STEPS):
        whole = sampler[step]
        turned += sum(draw.matrix is not None for draw in whole.draws)
        halves = [augmentation.apply(part[step], CPU) for part in parts]
        expected = augmentation.apply(whole, CPU)
        assert torch.equal(torch.cat([half.images for half in halves]), expected.images)
        assert torch.equal(torch.cat([half.labels for half in halves]), expected.labels)
        assert halves[0].cases + halves[1].cases == expected.cases
    assert turned > 3


def test_loader_processes_change_nothing() -> None:
    sampler, augmentation = sampler_of("heavy")
    loader = DataLoader(sampler, batch_size=None, sampler=range(STEPS), num_workers=2, multiprocessing_context="spawn")
    for step, drawn in enumerate(loader):
        expected, found = augmentation.apply(sampler[step], CPU), augmentation.apply(drawn, CPU)
        assert torch.equal(expected.images, found.images) and torch.equal(expected.labels, found.labels)
        assert drawn.draws[0].words() == sampler[step].draws[0].words()


def test_other_folds_draw_other_batches() -> None:
    one, other = (batch(sampler_of(stream=(fold, 0))[0]) for fold in (1, 2))
    assert not torch.equal(one.images, other.images)


def test_patches_of_a_case_in_memory_are_views() -> None:
    sampler, _ = sampler_of(augmentation=None)
    drawn = sampler[0]
    held = [case.image.__array_interface__["data"][0] for case in sampler.cases]
    assert all(any(0 <= image.data_ptr() - start < 40 * 48 * 4 for start in held) for image in drawn.images)


@pytest.mark.parametrize("shape", [(40, 48), (20, 33)])
def test_boxes_of_turned_patches_lie_about_the_patch(shape: tuple[int, ...]) -> None:
    """The box read for a turn by 90 degrees holds what the patch holds, and zeros outside the case."""
    sampler, _ = sampler_of()
    case = MemoryCase(np.arange(1, 1 + shape[0] * shape[1], dtype=np.float32).reshape(1, *shape), np.zeros(shape, np.int16))
    for corner in ((0, 0), (5, 9), (-6, 1)):
        small, _ = sampler._read(case, corner, (32, 32))
        large, _ = sampler._read(case, corner, (46, 50))
        less, _ = sampler._read(case, corner, (24, 22))
        assert torch.equal(large[:, 7:39, 9:41], small)
        assert torch.equal(small[:, 4:28, 5:27], less)


def test_rare_structures_first() -> None:
    """One of 20 cases has label 2. Drawn case by case, few forced samples show it; drawn by structure, half of them do."""
    cases = [square_case(seed) for seed in range(20)]
    for index, case in enumerate(cases):
        case.id = str(index)
    rare = cases[7]
    rare.labels[0, 0] = 2
    rare.locations[2] = np.array([[0, 0]], np.int32)
    training = small_configuration().training.model_copy(update={"batch_size": 4, "foreground_fraction": 0.99})
    shares = {}
    for rule in ("uniform", "rare_first"):
        spec = training.model_copy(update={"case_sampling": rule})
        sampler = PatchSampler(cases, spec, slice_axis=None, stream=(1, 0))
        drawn = [sampler[step] for step in range(100)]
        centred = [bool((labels == 2).any()) for one in drawn for labels in one.labels]
        shares[rule] = sum(centred) / len(centred)
        names = {name for one in drawn for name in one.cases}
        assert len(names) == 20, "all other cases are drawn as well"
    assert shares["uniform"] < 0.1
    assert 0.4 < shares["rare_first"] < 0.65


def test_rare_first_without_any_structure() -> None:
    case = MemoryCase(np.zeros((1, 40, 40), np.float32), np.zeros((40, 40), np.int16))
    spec = small_configuration().training.model_copy(update={"case_sampling": "rare_first"})
    assert len(PatchSampler([case], spec, slice_axis=None, stream=(1, 0))[0].images) == 3


def test_patches_hold_what_the_case_holds() -> None:
    """Each pixel of the case carries its own number, so a patch tells where it was cut."""
    image = np.arange(40 * 48, dtype=np.float32).reshape(1, 40, 48)
    labels = np.zeros((40, 48), np.int16)
    labels[39, 47] = 1  # in the corner: the patch centred on it is moved inside
    spec = small_configuration(augmentation="none").training
    drawn = batch(PatchSampler([MemoryCase(image, labels)], spec, slice_axis=None, stream=(1, 0)))
    for sample in drawn.images[:, 0]:
        row, column = divmod(int(sample[0, 0]), 48)
        assert torch.equal(sample, torch.from_numpy(image[0, row : row + 32, column : column + 32]))
    assert drawn.labels[-1].sum() == 1, "the last sample of the batch is centred on foreground"
    assert drawn.labels.dtype == torch.int16


def test_a_small_case_is_padded_with_background_on_both_sides() -> None:
    case = MemoryCase(np.ones((1, 20, 48), np.float32), np.ones((20, 48), np.int16))
    spec = small_configuration(augmentation="none").training
    drawn = batch(PatchSampler([case], spec, slice_axis=None, stream=(1, 0)))
    for image, label in zip(drawn.images, drawn.labels, strict=True):
        rows = image[0].sum(dim=1)
        assert rows.tolist() == [0] * 6 + [32] * 20 + [0] * 6
        assert torch.equal(label[0].float(), image[0])


def test_slices_of_a_volume() -> None:
    image = np.broadcast_to(np.arange(5, dtype=np.float32)[None, :, None, None], (1, 5, 40, 40)).copy()
    labels = np.zeros((5, 40, 40), np.int16)
    labels[3, 20, 20] = 1
    spec = small_configuration(augmentation="none").training
    drawn = batch(PatchSampler([MemoryCase(image, labels)], spec, slice_axis=0, stream=(1, 0)))
    assert drawn.images.shape == (3, 1, 32, 32)
    assert drawn.images[-1].unique().tolist() == [3.0], "the forced sample lies in the slice that has foreground"


def test_centres() -> None:
    rng = np.random.default_rng(0)
    places = {1: np.array([[4, 4]]), 2: np.array([[9, 9]])}
    drawn = {tuple(pick_centre(places, rng, forced=True)) for _ in range(40)}
    assert drawn == {(4, 4), (9, 9)}
    assert pick_centre(places, rng, forced=False) is None
    assert pick_centre({}, rng, forced=True) is None
    partly = places | {ANNOTATED: np.array([[7, 7]])}
    assert tuple(pick_centre(partly, rng, forced=False)) == (7, 7)
    assert {tuple(pick_centre(partly, rng, forced=True)) for _ in range(40)} == {(4, 4), (9, 9)}
