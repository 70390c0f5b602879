"""nnU-Net's sizing of a network: patch, topology and batch from a memory reference; and when a coarser network is called for.

Rules and numbers: Isensee et al. 2021, as nnU-Net 2.8 applies them (`ExperimentPlanner`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from autoseg.networks.cost import conv_feature_elements
from autoseg.records import NetworkSpec, Shape, Spacing
from autoseg.records.plan import NetworkFamily
from autoseg.stages.plan.inputs import PlanInputs
from autoseg.stages.plan.patch import largest_patch, largest_patch_2015
from autoseg.stages.plan.presets import SizeRule
from autoseg.stages.plan.spacing import Extent, lowres_spacings
from autoseg.stages.plan.topology import MOST_FEATURES_2015, WIDTH_2015, Topology, network_of

LOWRES_WORTHWHILE = 2  # a low-resolution image must have at most one voxel for so many at full resolution


@dataclass(frozen=True)
class Sized:
    """A network with its patch and batch, and the numbers that led there (for the reasons in the plan)."""

    spacing: Spacing  # of the network's axes
    median: Extent
    patch_size: Shape
    network: NetworkSpec
    batch_size: int
    elements: int  # feature map elements of one sample
    batch_by_memory: int
    batch_by_data: int


def size_network(
    inputs: PlanInputs, spacing: Spacing, median: Extent, dataset_voxels: float, rule: SizeRule, memory_bytes: float
) -> Sized:
    """Patch, depth and batch for a grid.

    The patch shrinks from the median image until a batch of two (the residual presets: of the reference) fits; what is left
    over raises the batch, up to a share of the data set.

    Args:
        inputs: the facts.
        spacing: of the network's axes (2 or 3), transposed.
        median: median image on that grid.
        dataset_voxels: voxels of all training images on the full-rank grid.
        rule: references and limits.
        memory_bytes: scales the reference linearly.
    """
    rank = len(spacing)
    reference = rule.reference_elements[rank] * (memory_bytes / rule.reference_memory_bytes)
    room = sample_room(rule, rank, memory_bytes)

    def network(layout: Topology) -> NetworkSpec:
        return network_of(
            layout,
            family=rule.family,
            base_features=rule.base_features,
            max_features=rule.max_features[rank],
            in_channels=len(inputs.channels),
            out_channels=inputs.n_outputs,
        )

    def elements(layout: Topology) -> int:
        return conv_feature_elements(network(layout), layout.patch_size, labels=inputs.n_labels)

    shrink = largest_patch_2015 if rule.family == "unet2015" else largest_patch
    layout = shrink(spacing, median, lambda layout: elements(layout) <= room)
    by_memory = round(reference / elements(layout) * rule.reference_batch[rank])
    by_data = round(dataset_voxels * rule.largest_dataset_share / prod(layout.patch_size))
    batch = max(min(by_memory, by_data), rule.minimum_batch)
    if rule.largest_batch is not None:
        batch = min(batch, rule.largest_batch[rank])
    return Sized(spacing, median, layout.patch_size, network(layout), batch, elements(layout), by_memory, by_data)


def sample_room(rule: SizeRule, rank: int, memory_bytes: float) -> float:
    """Feature map elements that one sample may have: so many that the smallest, or the reference batch fits."""
    reference = rule.reference_elements[rank] * (memory_bytes / rule.reference_memory_bytes)
    batch = rule.minimum_batch if rule.patch_fits_batch == "minimum" else rule.reference_batch[rank]
    return rule.reference_batch[rank] / batch * reference


def with_family(rule: SizeRule, family: NetworkFamily) -> SizeRule:
    """The rule for networks of another family; the U-Net of 2015 brings its own width."""
    if family != "unet2015":
        return rule.model_copy(update={"family": family})
    most = dict.fromkeys(rule.max_features, MOST_FEATURES_2015)
    return rule.model_copy(update={"family": family, "base_features": WIDTH_2015, "max_features": most})


def lowres_network(inputs: PlanInputs, fullres: Sized, rule: SizeRule, memory_bytes: float) -> Sized | None:
    """The low-resolution network that goes with a 3D full-resolution one; None where the patch sees enough of the image.

    The grid is coarsened until a patch covers a quarter of the image; the result is dropped when it has hardly fewer voxels.
    """
    full_voxels = voxels = prod(fullres.median)
    if prod(fullres.patch_size) / voxels >= rule.lowres_threshold:
        return None
    for spacing in lowres_spacings(fullres.spacing):
        exact = [full / low * n for full, low, n in zip(fullres.spacing, spacing, fullres.median, strict=True)]
        voxels = prod(exact)
        median = tuple(float(round(n)) for n in exact)
        found = size_network(inputs, spacing, median, voxels * inputs.n_training, rule, memory_bytes)
        if prod(found.patch_size) / voxels >= rule.lowres_threshold:
            return found if full_voxels / voxels >= LOWRES_WORTHWHILE else None
    return None
