"""A small data set's records, which tests change one fact of."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import pytest

from autoseg.networks.cost import multiply_adds
from autoseg.records import (
    Case,
    CaseFacts,
    Dataset,
    Fingerprint,
    Fold,
    MachineProfile,
    NetworkSpec,
    Splits,
    Structure,
    StructureSize,
    Throughput,
    ValueEncoding,
)
from autoseg.stages.plan.topology import Topology, network_of

N = 10
Records = tuple[Dataset, Fingerprint, Splits]


def plain_network(rank: int, width: int, n_stages: int = 4) -> NetworkSpec:
    layout = Topology(
        ((1,) * rank, *((2,) * rank,) * (n_stages - 1)), ((3,) * rank,) * n_stages, (64,) * rank, (2 ** (n_stages - 1),) * rank
    )
    return network_of(layout, family="plain_unet", base_features=width, max_features=512, in_channels=1, out_channels=2)


def cpu_probe(rank: int, width: int, rate: float, patch: int = 64) -> Throughput:
    """A batch of two that trains at `rate` multiply-adds (of the forward pass) a second; augmentation takes 0.1 s a megavoxel."""
    network = plain_network(rank, width)
    seconds = multiply_adds(network, (patch,) * rank, 2) / rate
    return Throughput(
        network=network,
        patch_size=(patch,) * rank,
        batch_size=2,
        step_seconds=seconds,
        forward_seconds=seconds / 3,
        data_seconds=0.2 * patch**rank / 1e6,
        peak_bytes=None,
    )


LAPTOP = MachineProfile(
    device="cpu",
    name="laptop",
    cores=2,
    memory_bytes=8 * 10**9,
    precision="bfloat16",
    throughput=(cpu_probe(2, 16, 25e9), cpu_probe(2, 32, 40e9)),
)


@pytest.fixture
def laptop() -> MachineProfile:
    """Two cores: 25e9 multiply-adds a second at width 16, 40e9 at width 32, in training."""
    probes = (cpu_probe(rank, width, rate) for rank in (2, 3) for width, rate in ((16, 25e9), (32, 40e9)))
    return MachineProfile(
        device="cpu", name="laptop", cores=2, memory_bytes=8 * 10**9, precision="bfloat16", throughput=tuple(probes)
    )


@pytest.fixture
def gpu() -> MachineProfile:
    return MachineProfile(device="cuda", name="card", cores=8, memory_bytes=24 * 10**9, precision="bfloat16")


@pytest.fixture
def records() -> Callable[..., Records]:
    return make_records


def make_records(
    *,
    rank: int = 2,
    shape: tuple[int, ...] = (540, 800),
    spacings: tuple[tuple[float, ...] | None, ...] = ((0.2, 0.2),) * N,
    thickness: float = 200.0,
    share: float = 0.25,
    orientation: str | None = None,
    channels: tuple[str, ...] = ("ultrasound",),
    crop: tuple[int, ...] | None = None,
) -> Records:
    """Ten cases in five folds."""
    ids = [f"case_{i}" for i in range(N)]
    dataset = Dataset(
        name="small",
        layout="folders",
        root="data",
        rank=2 if rank == 2 else 3,
        channels=channels,
        targets=(Structure(name="head", values=(1,), output_value=1),),
        encodings={"default": ValueEncoding(values={1: 1})},
        cases=tuple(Case(id=i, subject=i, images=(f"{i}.png",), label=f"{i}_label.png") for i in ids),
    )
    facts = tuple(
        CaseFacts(
            id=i,
            shape=shape,
            spacing_mm=spacing,
            orientation=orientation,
            shape_after_crop=crop or shape,
            structures={"head": StructureSize(pixels=round(share * prod(shape)), size=None, thickness=thickness)},
            intensities=None,
            content_hash=i,
        )
        for i, spacing in zip(ids, spacings, strict=True)
    )
    fingerprint = Fingerprint(cases=facts, intensities=(), median_relative_size_after_crop=1.0)
    folds = tuple(Fold(train=tuple(x for x in ids if x not in ids[k::5]), validation=tuple(ids[k::5])) for k in range(5))
    return dataset, fingerprint, Splits(rule="five folds", seed=1, folds=folds)
