"""How nnU-Net's files name and number what our records hold; here because planning and the layouts both read such files."""

from __future__ import annotations

from autoseg.records.plan import NormalizationScheme

SCHEME_NAMES: dict[NormalizationScheme, str] = {
    "ct": "CTNormalization",
    "zscore": "ZScoreNormalization",
    "none": "NoNormalization",
    "rescale_to_0_1": "RescaleTo01Normalization",
    "rgb_to_0_1": "RGBTo01Normalization",
}
DUMMY = 999.0  # nnU-Net's spacing of the axis that 2D images lack, in multiples of their pixel size
