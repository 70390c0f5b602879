"""`inference.json` of an exported network: the way from an image to its mask, in numbers and in words."""

from __future__ import annotations

from collections.abc import Sequence

from autoseg import __version__
from autoseg.processing.normalise import SMALLEST_DIVISOR
from autoseg.processing.resample import SEPARATE_ABOVE
from autoseg.records import (
    AxesRule,
    ChannelRule,
    Configuration,
    CropRule,
    DecisionRule,
    GraphFile,
    InferenceDescription,
    LabelRule,
    MirrorRule,
    Normalization,
    Plan,
    ResamplingRule,
    Selection,
    WindowRule,
)
from autoseg.stages.export.card_text import AXES

GAUSSIAN_SIGMA_FRACTION = 1 / 8  # of the patch, see `inference.tiling.gaussian_window`
IN_ORDER = (
    "read the image, from one file per channel in the order of `channels` or from one file with all, as float32 (channel, *spatial), see `axes`",
    "bring it into the orientation and order of axes of `axes`",
    "crop it, see `crop`",
    "normalise its channels, see `channels`",
    "resample it to the network's grid, see `resampling.size_rule`, `image_rule` and `separate_axis_rule`",
    "slide a window over it, see `windows`; of every tile take the mean over `mirroring` and over `networks`",
    "resample the logits back to the size of the crop, see `resampling.logits_rule`",
    "decide labels, see `decision`; outside the crop all is background",
    "undo the order of axes and the orientation, so that the mask lies on the image's own grid",
)
LAST = "do to the mask what `postprocessing` lists, one after another"
POSTPROCESSED = (
    "largest_component: of the structure (none named: of all together) only the component with most pixels stays; fill_holes: background that it "
    "encloses becomes part of it; minimum_size: components smaller than `least` (in `unit`) go; ellipse: the ellipse that is fitted to its outline "
    "(robustly, see docs/biometry.md of autoseg) takes its place, where one fits. Components hang together by faces, edges and corners. What goes "
    "becomes background, of a region the smallest region around it."
)
ENSEMBLE = "The logits (not probabilities) of all networks are averaged, each with the same weight."
RESAMPLED = {
    0: "nearest neighbour: new pixel i takes old pixel floor((i + 0.5) * old / new)",
    1: "linear interpolation, as scipy.ndimage.zoom(order=1, mode='nearest', grid_mode=True): pixels are areas, edges are repeated",
    3: (
        "a cubic B-spline, as scipy.ndimage.zoom(order=3, mode='nearest', grid_mode=True): pixels are areas, edges are repeated; "
        "then clipped to the range that the channel had before (to that of every slice where an axis is resampled apart)"
    ),
}
NORMALISED = {
    "ct": "clip to lower..upper, subtract mean, divide by std",
    "zscore": "subtract the mean of the cropped image, divide by its standard deviation (population; at least {divisor:g})",
    "rescale_to_0_1": "subtract the cropped image's minimum, divide by maximum - minimum (at least {divisor:g})",
    "rgb_to_0_1": "divide by 255; values must lie within 0..255",
    "none": "leave it as it is",
}
MASKED = (
    "; mean and deviation are of the pixels where any channel of the cropped image is not 0 (holes of that mask filled, as "
    "scipy.ndimage.binary_fill_holes; all pixels if none is), only these are changed, the others stay as they are"
)


def describe(
    plan: Plan, configuration: Configuration, profile: str, networks: Sequence[GraphFile], selection: Selection | None = None
) -> InferenceDescription:
    """The description of a configuration that a profile has been applied to.

    Args:
        plan: of the model.
        configuration: one without a previous stage.
        profile: its name.
        networks: the files, one per fold.
        selection: what was found best for this configuration, if anything was.
    """
    steps = selection.postprocessing if selection is not None else ()
    trust = selection.trust if selection is not None else None
    preparation = configuration.preparation
    return InferenceDescription(
        made_with=f"autoseg {__version__}",
        configuration=configuration.name,
        profile=profile,
        rank=plan.rank,
        networks=tuple(networks),
        in_order=(*IN_ORDER, LAST) if steps else IN_ORDER,
        axes=_axes(plan, configuration),
        crop=CropRule(to_nonzero=preparation.crop_to_nonzero, rule=_crop_rule(preparation.crop_to_nonzero)),
        channels=tuple(
            ChannelRule(index=index, name=name, normalization=how, rule=_normalisation_rule(how))
            for index, (name, how) in enumerate(zip(plan.channels, preparation.normalization, strict=True))
        ),
        resampling=_resampling(configuration),
        windows=_windows(configuration),
        mirroring=MirrorRule(axes=configuration.inference.mirror_axes, rule=_mirror_rule(configuration.inference.mirror_axes)),
        ensemble_rule=ENSEMBLE,
        decision=_decision(plan),
        postprocessing=steps,
        postprocessing_rule=POSTPROCESSED if steps else "",
        temperature=1.0 if trust is None else trust.temperature,
    )


def _axes(plan: Plan, configuration: Configuration) -> AxesRule:
    preparation, order = configuration.preparation, AXES[plan.rank]
    rule = f"Spatial axes are ({', '.join(order)}): x runs along a row of the file, as in SimpleITK.GetArrayFromImage."
    if plan.rank == 3:
        rule += " (nibabel's arrays are (x, y, z): transpose them.)"
    if preparation.canonical_orientation:
        rule += (
            " By permuting and flipping axes only, without interpolation, bring the volume to LPS in DICOM's terms: with growing index x "
            "runs to the patient's left, y to posterior, z to superior (nibabel's code LPS for the axes x, y, z). An oblique volume "
            "takes the nearest such orientation."
        )
    if preparation.transpose != tuple(range(plan.rank)):
        rule += (
            f" Then new axis i is axis transpose[i]; from here on the axes are {[order[axis] for axis in preparation.transpose]}."
        )
    orientation = "LPS" if preparation.canonical_orientation else None
    return AxesRule(order=order, orientation=orientation, transpose=preparation.transpose, rule=rule)  # type: ignore[arg-type]


def _crop_rule(to_nonzero: bool) -> str:
    if not to_nonzero:
        return "Nothing is cropped."
    return "Cut to the smallest box outside of which every channel is exactly 0. An image that is 0 throughout is not cropped."


def _normalisation_rule(how: Normalization) -> str:
    rule = NORMALISED[how.scheme].format(divisor=SMALLEST_DIVISOR)
    return (rule[0].upper() + rule[1:]) + (MASKED if how.use_mask else "") + "."


def _resampling(configuration: Configuration) -> ResamplingRule:
    preparation = configuration.preparation
    smoothed = (
        " An axis that shrinks is smoothed first with a Gaussian of sigma = (old / new - 1) / 2 pixels, cut at 4 sigma, edges repeated."
        if preparation.antialias
        else ""
    )
    return ResamplingRule(
        spacing_mm=preparation.spacing_mm,
        image_order=preparation.image_order,
        antialias=preparation.antialias,
        separate_axis_above=SEPARATE_ABOVE,
        separate_axis_order=0,
        logits_order=1,
        size_rule=_size_rule(configuration),
        image_rule=f"The image: {RESAMPLED[preparation.image_order]}.{smoothed} An axis that keeps its size stays as it is.",
        separate_axis_rule=(
            f"In 3D, if the largest spacing of the grid that is left is more than {SEPARATE_ABOVE:g} times its smallest, the axis with the largest "
            "is resampled apart; else the same question is asked of the grid that is gone to. (To the network's grid the image's "
            "spacing is left, on the way back that of the network's grid.) If several axes share the largest spacing, none is "
            f"apart. The other two axes are resampled first, each plane by itself, then the one apart by {RESAMPLED[0]}."
        ),
        logits_rule=f"Logits of every output: {RESAMPLED[1]}; the axis apart as told above.",
    )


def _size_rule(configuration: Configuration) -> str:
    spacing = configuration.preparation.spacing_mm
    if spacing is None:
        return "Nothing is resampled: the network works on the image's own grid."
    kept = " An axis whose spacing_mm is null keeps its size." if None in spacing else ""
    pictures = " The spacing must be known in mm. A PNG, JPEG or TIFF mostly does not tell it: ask for it, and do not guess."
    return (
        "spacing_mm counts axes as they are after `axes`. The new size of an axis is round(own spacing / spacing_mm * size of the crop), "
        f"halves to even, at least 1.{kept}{pictures if configuration.network.rank == 2 and configuration.slice_axis is None else ''}"
    )


def _windows(configuration: Configuration) -> WindowRule:
    along = configuration.slice_axis
    sliced = (
        f" The network is two-dimensional: it sees the planes along axis {along} one by one, and the rules hold for the other two axes."
        if along is not None
        else ""
    )
    return WindowRule(
        patch_size=configuration.training.patch_size,
        step_fraction=configuration.inference.step_fraction,
        gaussian_sigma_fraction=GAUSSIAN_SIGMA_FRACTION,
        slice_axis=along,
        padding_rule=(
            "An axis that is shorter than the patch is padded with zeros (after normalisation) to the patch: missing // 2 in front, the rest "
            f"behind. The padding is cut off the logits again.{sliced}"
        ),
        step_rule=(
            "Along each axis n = ceil((size - patch) / (patch * step_fraction)) + 1 tiles, the first at 0; tile i begins at "
            "round((size - patch) * i / (n - 1)), halves to even."
        ),
        weight_rule=(
            "Every pixel of a tile counts with the product over the axes of exp(-0.5 * ((i - patch // 2) / (gaussian_sigma_fraction * patch))^2); "
            "the logits of a pixel are the weighted mean over the tiles that show it."
        ),
    )


def _mirror_rule(axes: Sequence[int]) -> str:
    if not axes:
        return "No copies: every tile is seen once."
    return (
        f"Every tile is seen {2 ** len(axes)} times: once for each subset of the axes (counted within the patch), flipped along those of "
        "the subset. The logits are flipped back and averaged."
    )


def _decision(plan: Plan) -> DecisionRule:
    if plan.regions:
        outputs = tuple(LabelRule(output=index, name=one.name, value=one.output_value) for index, one in enumerate(plan.targets))
        rule = "Begin with background_value. In the order of `outputs`, paint `value` wherever that output's logit is above 0."
        return DecisionRule(kind="regions", background_value=0, outputs=outputs, rule=rule)
    labels = tuple(LabelRule(output=one.values[0], name=one.name, value=one.output_value) for one in plan.targets)
    outputs = (LabelRule(output=0, name="background", value=0), *labels)
    rule = "A pixel gets the `value` of the output whose logit is largest; the first of several that are equal."
    return DecisionRule(kind="argmax", background_value=0, outputs=outputs, rule=rule)
