"""Why images are turned, transposed and normalised as they are."""

from __future__ import annotations

from collections.abc import Sequence

from autoseg.records import Decision, Normalization, Spacing
from autoseg.records.plan import Number
from autoseg.stages.plan.decisions.words import SOURCE
from autoseg.stages.plan.inputs import PlanInputs
from autoseg.stages.plan.normalization import MASK_BELOW
from autoseg.stages.plan.presets import Preset
from autoseg.stages.plan.saying import decide

ORIENTATION = (
    "ours: volumes are turned to one orientation, as files of one data set may store their axes differently; "
    "nnU-Net takes axes as files have them"
)
TRANSPOSITION = "nnU-Net's transposition: the axis with the coarsest spacing goes first, a 2D network then sees the sharp slices"
NORMALIZATION = (
    "nnU-Net's normalisation, by the name of the channel: CT by the foreground of the whole data set, most others by mean and "
    f"standard deviation of each image, without the zeros around it where cropping leaves less than {MASK_BELOW:.0%}"
)
SAID_SCHEMES = {
    "zscore": "minus the mean of each image, divided by its standard deviation",
    "none": "left as it is",
    "rescale_to_0_1": "each image is stretched to 0 .. 1",
    "rgb_to_0_1": "divided by 255",
}


def orientation(inputs: PlanInputs, preset: Preset) -> Decision:
    """Whether volumes are turned to one orientation."""
    if inputs.rank == 2:
        return decide(
            "orientation",
            "as stored",
            rule=ORIENTATION,
            reason="Files of 2D images do not say how the patient lay, so nothing is turned.",
            numbers={},
            alternative="none; only volumes can be turned.",
        )
    numbers: dict[str, Number] = {
        "preset": preset.name,
        "oriented": inputs.oriented,
        "turned": inputs.turned,
        "cases": inputs.n_training,
    }
    if not preset.canonical_orientation:
        return decide(
            "orientation",
            "as stored",
            rule="nnU-Net takes axes as files have them" + SOURCE,
            reason="Preset {preset} takes the axes of volumes as their files have them.",
            numbers=numbers,
            alternative="one orientation for all: --preset default.",
        )
    return decide(
        "orientation",
        "LPS",
        rule=ORIENTATION,
        reason=_turned(inputs),
        numbers=numbers,
        alternative="axes as stored: a preset file with canonical_orientation false, as nnunet has.",
    )


def _turned(inputs: PlanInputs) -> str:
    if inputs.oriented:
        are = "is" if inputs.oriented == 1 else "are"
        reason = f"{{oriented}} of {{cases:#volume}} {are} stored in another orientation"
        if inputs.turned:
            reason += ", {turned} of them with axes in another order"
        return reason + "; all are brought to LPS (left, posterior, superior), and masks are turned back."
    them = "The volume is" if inputs.n_training == 1 else "All {cases:#volume} are"
    or_not = "or does not say which" if inputs.n_training == 1 else "or do not say which"
    return f"{them} in the orientation LPS (left, posterior, superior) {or_not}; new images will be brought to it, too."


def transpose(target: Spacing, order: tuple[int, ...]) -> Decision:
    """The axis order. `target` is given before transposition."""
    if len(target) == 2:
        return decide(
            "transpose",
            "0, 1",
            rule=TRANSPOSITION + SOURCE,
            reason="2D images have no slice axis, so axes stay in their order.",
            numbers={},
            alternative="none that changes anything.",
        )
    first = order[0]
    numbers: dict[str, Number] = {"order": order, "first": first, "target": target, "coarsest": target[first]}
    reason = "Axis {first} has the coarsest spacing, {coarsest:mm} of {target:mm}, and goes first."
    if max(target) / min(target) < 1.0001:
        reason = "All axes have the same spacing, {target:mm}, so they stay in their order."
    elif first == 0:
        reason = "Axis {first} has the coarsest spacing, {coarsest:mm} of {target:mm}, and is the first already."
    return decide(
        "transpose",
        "{order:list}",
        rule=TRANSPOSITION + SOURCE,
        reason=reason,
        numbers=numbers,
        alternative="another order, with grid, patch, strides and kernels to match: preparation.transpose in plan.json.",
    )


def normalization(inputs: PlanInputs, schemes: Sequence[Normalization]) -> Decision:
    """Per channel, by name; channels that are treated alike are named together."""
    numbers: dict[str, Number] = {"left": inputs.relative_size_after_crop, "limit": MASK_BELOW}
    choices, sentences = [], []
    alike: dict[Normalization, list[str]] = {}
    for channel, scheme in zip(inputs.channels, schemes, strict=True):
        alike.setdefault(scheme, []).append(channel)
    for index, (scheme, channels) in enumerate(alike.items()):
        keys = {name: f"{name}_{index}" for name in ("channel", "scheme", "lower", "upper", "mean", "std")}
        numbers |= {keys["channel"]: ", ".join(channels), keys["scheme"]: scheme.scheme}
        choices.append(f"{{{keys['channel']}}}: {{{keys['scheme']}}}{' in the mask' if scheme.use_mask else ''}")
        said = SAID_SCHEMES.get(scheme.scheme, "")
        if scheme.scheme == "ct":
            numbers |= {keys[name]: float(getattr(scheme, name)) for name in ("lower", "upper", "mean", "std")}
            said = (
                f"clipped to {{{keys['lower']}}} .. {{{keys['upper']}}}, the middle 99 % of the foreground of all cases, "
                f"minus its mean {{{keys['mean']}}}, divided by its standard deviation {{{keys['std']}}}"
            )
        sentences.append(f"{{{keys['channel']}}}: {said}.")
    masked = any(scheme.use_mask for scheme in schemes)
    sentences.append(
        "Cropping to what is not zero leaves {left:%} of the median image, "
        + ("less than {limit:%}: the zeros around it do not count." if masked else "so zeros count like any value.")
        if masked or inputs.relative_size_after_crop >= MASK_BELOW
        else "Cropping to what is not zero leaves {left:%} of the median image, which changes nothing here."
    )
    return decide(
        "normalization",
        "; ".join(choices),
        rule=NORMALIZATION + SOURCE,
        reason=" ".join(sentences),
        numbers=numbers,
        alternative="by the channel's name in dataset.json: CT, zscore, rescale_to_0_1, rgb_to_0_1 or noNorm; "
        "or preparation.normalization in plan.json.",
    )
