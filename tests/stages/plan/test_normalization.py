"""Normalisation by channel name."""

from __future__ import annotations

from autoseg.records import Intensities, Normalization
from autoseg.stages.plan import PlanInputs
from autoseg.stages.plan.normalization import normalization

FACTS = Intensities(mean=100, median=99, std=50, min=-1000, max=3000, percentile_00_5=-900, percentile_99_5=1200)


def inputs(relative_size: float, *channels: str) -> PlanInputs:
    return PlanInputs(
        rank=2,
        spacings_mm=(None,),
        shapes_after_crop=((64, 64),),
        n_training=1,
        n_validation=0,
        channels=channels,
        n_labels=2,
        n_outputs=2,
        n_targets=1,
        relative_size_after_crop=relative_size,
        intensities=(FACTS,) * len(channels),
    )


def test_names_decide() -> None:
    found = normalization(inputs(1.0, "cT", "T1", "noNorm", "RGB_to_0_1", "rescale_to_0_1", "zscore"))
    assert [entry.scheme for entry in found] == ["ct", "zscore", "none", "rgb_to_0_1", "rescale_to_0_1", "zscore"]
    assert found[0] == Normalization(scheme="ct", mean=100, std=50, lower=-900, upper=1200)
    assert not any(entry.use_mask for entry in found)


def test_the_mask_counts_for_z_scores_below_three_quarters() -> None:
    assert [entry.use_mask for entry in normalization(inputs(0.74, "T1", "CT", "noNorm"))] == [True, False, False]
    assert not normalization(inputs(0.75, "T1"))[0].use_mask
