"""How channels are normalised: by the channel's name, as nnU-Net does."""

from __future__ import annotations

from autoseg.records import Normalization
from autoseg.records.plan import NormalizationScheme
from autoseg.stages.plan.inputs import PlanInputs

MASK_BELOW = 3 / 4  # of the image left after the crop: then the zeros around are no tissue and stay out of the statistics
SCHEMES: dict[str, NormalizationScheme] = {
    "ct": "ct",
    "nonorm": "none",
    "zscore": "zscore",
    "rescale_to_0_1": "rescale_to_0_1",
    "rgb_to_0_1": "rgb_to_0_1",
}


def scheme_of(channel: str) -> NormalizationScheme:
    """The scheme for a channel's name, whatever its case."""
    return SCHEMES.get(channel.casefold(), "zscore")


def normalization(inputs: PlanInputs) -> tuple[Normalization, ...]:
    """One entry per channel. CT clips to the foreground's percentiles over the data set; every other name is z-scored."""
    masked = inputs.relative_size_after_crop < MASK_BELOW
    result = []
    for index, channel in enumerate(inputs.channels):
        scheme = scheme_of(channel)
        if scheme == "ct" and index < len(inputs.intensities):
            facts = inputs.intensities[index]
            result.append(
                Normalization(
                    scheme=scheme, mean=facts.mean, std=facts.std, lower=facts.percentile_00_5, upper=facts.percentile_99_5
                )
            )
        else:
            result.append(Normalization(scheme=scheme, use_mask=masked and scheme == "zscore"))
    return tuple(result)
