"""What a trained nnU-Net model tells of its data: the fingerprint that lies beside its plans."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from pydantic import ValidationError

from autoseg.records import Extent, Intensities, ModelCard
from autoseg.stages.plan.nnunet_files import NnunetFingerprint

FINGERPRINT = "dataset_fingerprint.json"
MOST_BYTES = 64 * 2**20


def with_nnunet_facts(card: ModelCard, model: Path) -> ModelCard:
    """The card with number, spacings, sizes (after cropping) and intensities of the training cases; as it is where these are not told.

    Args:
        card: of a model whose data nothing is known of.
        model: nnU-Net's folder; a zip of an export holds no fingerprint.
    """
    found = _fingerprint(model)
    if found is None:
        return card
    first = 3 - card.rank  # 2D images have a first axis of 1 there
    channels = found.foreground_intensity_properties_per_channel.values()
    try:
        intensities = tuple(Intensities.model_validate(channel) for channel in channels)
    except ValidationError:
        intensities = ()
    return card.model_copy(
        update={
            "cases": len(found.spacings),
            "spacing_mm": _extent([spacing[first:] for spacing in found.spacings]),
            "shape": _extent([shape[first:] for shape in found.shapes_after_crop]),
            "intensities": intensities,
        }
    )


def _fingerprint(model: Path) -> NnunetFingerprint | None:
    """Of the folder, or of the first configuration in it."""
    files = [file for file in (model / FINGERPRINT, *sorted(model.glob(f"*/{FINGERPRINT}"))) if file.is_file()]
    if not files or files[0].stat().st_size > MOST_BYTES:
        return None
    try:
        return NnunetFingerprint.model_validate_json(files[0].read_bytes())
    except (OSError, ValidationError):
        return None


def _extent(values: list[tuple[float, ...]]) -> Extent:
    axes = list(zip(*values, strict=True))
    smallest, middle, largest = (tuple(float(of(axis)) for axis in axes) for of in (min, median, max))
    return Extent(smallest=smallest, median=middle, largest=largest)
