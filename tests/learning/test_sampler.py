"""Which patches are drawn, checked on hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from autoseg.learning.augmentation import Augmentation
from autoseg.learning.previous_stage import PreviousChannels
from autoseg.learning.sampler import PatchSampler, foreground_slots, pick_centre
from autoseg.processing.store import ANNOTATED
from autoseg.records import Structure
from autoseg.stages.plan.augmentation import augmentation_for
from tests.learning.cases import MemoryCase, small_configuration, square_case


@pytest.mark.parametrize(("batch_size", "forced"), [(2, 1), (3, 1), (4, 1), (5, 2), (8, 3), (12, 4), (24, 8)])
def test_forced_foreground_counts_are_those_of_nnunet(batch_size: int, forced: int) -> None:
    slots = foreground_slots(batch_size, 0.33)
    assert len(slots) == batch_size
    assert sum(slots) == forced
    assert slots == sorted(slots)


def test_a_batch_depends_on_its_step_alone() -> None:
    spec = small_configuration().training
    cases = [square_case(seed) for seed in range(4)]
    sampler = PatchSampler(cases, spec, slice_axis=None, stream=(1, 0), augmentation=Augmentation((32, 32), (0, 1)))
    first = sampler[5]
    before = np.random.get_state()[1].copy()
    _, again = sampler[6], sampler[5]
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.labels, again.labels)
    assert not torch.equal(first.images, sampler[6].images)
    assert np.array_equal(before, np.random.get_state()[1]), "the caller's random state is left alone"


def test_other_folds_draw_other_batches() -> None:
    spec = small_configuration().training
    cases = [square_case(seed) for seed in range(4)]
    one, other = (PatchSampler(cases, spec, slice_axis=None, stream=(fold, 0))[0] for fold in (1, 2))
    assert not torch.equal(one.images, other.images)


def test_patches_hold_what_the_case_holds() -> None:
    """Each pixel of the case carries its own number, so a patch tells where it was cut."""
    image = np.arange(40 * 48, dtype=np.float32).reshape(1, 40, 48)
    labels = np.zeros((40, 48), np.int16)
    labels[39, 47] = 1  # in the corner: the patch centred on it is moved inside
    spec = small_configuration(augmentation="none").training
    batch = PatchSampler([MemoryCase(image, labels)], spec, slice_axis=None, stream=(1, 0))[0]
    for sample in batch.images[:, 0]:
        row, column = divmod(int(sample[0, 0]), 48)
        assert torch.equal(sample, torch.from_numpy(image[0, row : row + 32, column : column + 32]))
    assert batch.labels[-1].sum() == 1, "the last sample of the batch is centred on foreground"
    assert batch.labels.dtype == torch.int16


def test_a_small_case_is_padded_with_background_on_both_sides() -> None:
    case = MemoryCase(np.ones((1, 20, 48), np.float32), np.ones((20, 48), np.int16))
    spec = small_configuration(augmentation="none").training
    batch = PatchSampler([case], spec, slice_axis=None, stream=(1, 0))[0]
    for image, label in zip(batch.images, batch.labels, strict=True):
        rows = image[0].sum(dim=1)
        assert rows.tolist() == [0] * 6 + [32] * 20 + [0] * 6
        assert torch.equal(label[0].float(), image[0])


def test_slices_of_a_volume() -> None:
    image = np.broadcast_to(np.arange(5, dtype=np.float32)[None, :, None, None], (1, 5, 40, 40)).copy()
    labels = np.zeros((5, 40, 40), np.int16)
    labels[3, 20, 20] = 1
    spec = small_configuration(augmentation="none").training
    batch = PatchSampler([MemoryCase(image, labels)], spec, slice_axis=0, stream=(1, 0))[0]
    assert batch.images.shape == (3, 1, 32, 32)
    assert batch.images[-1].unique().tolist() == [3.0], "the forced sample lies in the slice that has foreground"


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


@pytest.mark.parametrize(("patch", "axis"), [((32, 32), None), ((16, 16, 16), None), ((24, 24), 1)])
def test_a_first_stages_mask_goes_with_its_labels(patch: tuple[int, ...], axis: int | None) -> None:
    """Turned, scaled and mirrored: a mask that equals the labels still does, and stands behind the image as a channel."""
    shape = (40, 48) if len(patch) == 2 and axis is None else (24, 28, 26)
    configuration = small_configuration(patch=patch, slice_axis=axis)
    case = square_case(3, shape, side=10)
    case.previous = case.labels
    augmentation = Augmentation(patch, tuple(range(len(patch))))
    previous = PreviousChannels((Structure(name="square", values=(1,), output_value=5),), None)
    sampler = PatchSampler(
        [case], configuration.training, slice_axis=axis, stream=(1, 0), augmentation=augmentation, previous=previous
    )
    batches = [sampler[step] for step in range(6)]
    for batch in batches:
        assert batch.images.shape == (3, 2, *patch) and batch.labels.shape == (3, 1, *patch)
        assert torch.equal(batch.images[:, 1], (batch.labels[:, 0] == 1).float())
    assert sum(float(batch.images[:, 1].sum()) for batch in batches) > 0


def test_faults_are_put_into_the_mask_alone_and_drawn_from_the_step() -> None:
    case = square_case(3)
    case.previous = case.labels
    faults = augmentation_for("default", (32, 32)).previous_stage.model_copy(
        update={"morphology_probability": 1.0, "morphology_label_probability": 1.0, "radius": (2, 2)}
    )
    targets = (Structure(name="square", values=(1,), output_value=5),)
    spec = small_configuration().training
    faulty, whole = (
        PatchSampler([case], spec, slice_axis=None, stream=(1, 0), previous=PreviousChannels(targets, given))
        for given in (faults, None)
    )
    batches = [(faulty[step], whole[step]) for step in range(4)]
    assert any(not torch.equal(one.images[:, 1], other.images[:, 1]) for one, other in batches)
    assert torch.equal(faulty[2].images, faulty[2].images)
    assert torch.equal(batches[0][0].labels[0], batches[0][1].labels[0])
    assert torch.equal(batches[0][0].images[0, 0], batches[0][1].images[0, 0])
