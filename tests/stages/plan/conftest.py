"""A small data set's records, which tests change one fact of."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from autoseg.records import (
    Case,
    CaseFacts,
    Dataset,
    Fingerprint,
    Fold,
    MachineProfile,
    Splits,
    Structure,
    StructureSize,
    Throughput,
    ValueEncoding,
)

N = 10
Records = tuple[Dataset, Fingerprint, Splits]


def cpu_probe(rank: int, width: int, work: float, seconds: float) -> Throughput:
    return Throughput(
        rank=2 if rank == 2 else 3,
        base_features=width,
        n_stages=5,
        patch_size=(64,) * rank,
        batch_size=2,
        work=work,
        step_seconds=seconds,
        forward_seconds=seconds / 3,
    )


@pytest.fixture
def laptop() -> MachineProfile:
    """Two cores: 25e9 multiply-adds a second at width 16, 40e9 at width 32, in training."""
    probes = (cpu_probe(rank, width, rate, 1.0) for rank in (2, 3) for width, rate in ((16, 25e9), (32, 40e9)))
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
            structures={"head": StructureSize(pixels=1000, size=None, thickness=thickness)},
            intensities=None,
            content_hash=i,
        )
        for i, spacing in zip(ids, spacings, strict=True)
    )
    fingerprint = Fingerprint(cases=facts, intensities=(), median_relative_size_after_crop=1.0)
    folds = tuple(Fold(train=tuple(x for x in ids if x not in ids[k::5]), validation=tuple(ids[k::5])) for k in range(5))
    return dataset, fingerprint, Splits(rule="five folds", seed=1, folds=folds)
