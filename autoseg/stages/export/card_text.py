"""A model card as a page: data, validation, what it is for and where its limits are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from autoseg.records import FULL, Extent, ModelCard, ValidationFigures
from autoseg.stages.export.card import missing_folds

AXES = {2: ("y", "x"), 3: ("z", "y", "x")}
NOT_KNOWN = "not known"


def card_text(card: ModelCard, use: str, sections: Mapping[str, Sequence[str]] | None = None) -> str:
    """The card in Markdown.

    Args:
        card: its facts.
        use: how the file that it lies in is used, a paragraph or a code block.
        sections: further ones, lines by heading.
    """
    lines = [f"# {card.data}: {', '.join(one.name for one in card.structures)}", ""]
    lines += [
        f"A network that segments {card.rank}D images, made with {card.made_with} (configuration `{card.configuration}`).",
        "",
    ]
    parts: dict[str, Sequence[str]] = {
        "How to use it": [use],
        "Data": list(_data(card)),
        "Structures": list(_structures(card)),
        "Validation": list(_validation(card)),
        **({"What its masks are worth": [f"- {sentence}" for sentence in card.selection]} if card.selection else {}),
        "Intended use and limits": list(_limits(card)),
        **(sections or {}),
    }
    for heading, content in parts.items():
        lines += [f"## {heading}", "", *content, ""]
    return "\n".join(lines).rstrip() + "\n"


def _data(card: ModelCard) -> Iterator[str]:
    yield f"- Data set: {card.data}"
    subjects = "not told apart by subject" if card.subjects is None else f"{card.subjects} subjects"
    yield f"- Cases: {NOT_KNOWN if card.cases is None else f'{card.cases} with labels, {subjects}'}"
    if card.held_out:
        yield f"- Kept out of every fold: {card.held_out} of them"
    yield f"- Channels: {', '.join(card.channels)}"
    yield f"- Size in pixels ({', '.join(AXES[card.rank])}): {_range(card.shape)}"
    yield f"- Spacing in mm ({', '.join(AXES[card.rank])}): {_range(card.spacing_mm)}"
    if card.without_spacing:
        yield f"- Cases of unknown spacing: {card.without_spacing}"
    if card.orientations:
        yield f"- Orientation as stored (DICOM terms): {', '.join(f'{name} ({count})' for name, count in card.orientations.items())}"
    for key, text in card.source.items():
        yield f"- The data set's own {key}: {' '.join(text.split())}"
    if not any(key.casefold() in ("licence", "license") for key in card.source):
        yield "- Licence of the data: not stated with them; ask whoever made them before you pass this model on"


def _structures(card: ModelCard) -> Iterator[str]:
    yield "| structure | value in a mask | present in |"
    yield "|---|---|---|"
    for one in card.structures:
        value = "computed from the others" if one.output_value is None else str(one.output_value)
        present = NOT_KNOWN if one.present is None else f"{one.present} of {card.cases} cases"
        yield f"| {one.name} | {value} | {present} |"
    yield "| background | 0 | |"
    if card.regions:
        yield ""
        yield "Structures overlap: a mask shows them painted in this order, later ones over earlier ones."


def _validation(card: ModelCard) -> Iterator[str]:
    if not card.validation:
        yield "None: no fold of this model has scores here. Measure it on labelled images of your own before you rely on it."
        return
    folds = f"fold {card.validated[0]}" if len(card.validated) == 1 else f"folds {', '.join(card.validated)}"
    together = " Each case was predicted by one network: several together were not measured." if len(card.folds) > 1 else ""
    yield f"Of {folds}, on cases that the network was not trained on.{together}"
    yield ""
    with_circumference = any(one.circumference_mae_mm is not None for one in card.validation)
    header = ["structure", "cases", "missed", "false alarms", "Dice", "95 % interval", "HD95 mm", "ASSD mm"]
    header += ["circumference error mm"] if with_circumference else []
    yield f"| {' | '.join(header)} |"
    yield "|" + "---|" * len(header)
    for one in card.validation:
        yield f"| {' | '.join(_row(one, with_circumference))} |"
    yield ""
    yield (
        "Means run over the cases in which the structure is present; a missed one counts with Dice 0. "
        "False alarms are cases without the structure in which some was predicted."
    )


def _row(one: ValidationFigures, with_circumference: bool) -> list[str]:
    interval = "-" if one.dice_interval is None else " to ".join(f"{end:.3f}" for end in one.dice_interval)
    cells = [one.structure, str(one.cases), str(one.missed), str(one.false_alarms), _figure(one.dice, 3), interval]
    cells += [_figure(one.hd95_mm, 2), _figure(one.assd_mm, 2)]
    return [*cells, _figure(one.circumference_mae_mm, 2)] if with_circumference else cells


def _limits(card: ModelCard) -> Iterator[str]:
    yield (
        "For research and development. This is not a medical device: it is not cleared or certified for diagnosis, treatment or any "
        "other clinical decision, and a person who can judge them must look at its masks."
    )
    yield ""
    missing = missing_folds(card)
    if missing:
        yield f"- Folds that are missing: {', '.join(missing)} of {card.folds_planned}. Those that are here: {', '.join(card.folds)}."
    else:
        yield f"- Networks: {', '.join('one trained on all cases' if fold == FULL else f'fold {fold}' for fold in card.folds)}."
    if set(card.validated) != set(card.folds) and card.validation:
        without = [fold for fold in card.folds if fold not in card.validated]
        if without:
            yield f"- No score is known of: {', '.join(without)}."
    if card.spacing_mm is None and card.shape is None:
        yield "- What the training images were like is not known here, so neither is where the model stops working."
        return
    axes = ", ".join(AXES[card.rank])
    yield f"- It has seen spacings of {_bounds(card.spacing_mm)} mm and sizes of {_bounds(card.shape)} pixels ({axes}). Beyond, nothing is known."
    for channel, seen in zip(card.channels, card.intensities, strict=False):
        yield (
            f"- Intensities of {channel} within the structures: mean {seen.mean:.4g}, standard deviation {seen.std:.4g}, "
            f"99 % between {seen.percentile_00_5:.4g} and {seen.percentile_99_5:.4g}. Images from other devices or settings may differ."
        )
    yield "- Its data are of certain devices, sites and people; on others it may do worse, which the figures above do not show."


def _range(extent: Extent | None) -> str:
    if extent is None:
        return NOT_KNOWN
    if extent.smallest == extent.largest:
        return f"{_numbers(extent.median)} in all cases"
    return f"median {_numbers(extent.median)}, from {_numbers(extent.smallest)} to {_numbers(extent.largest)}"


def _bounds(extent: Extent | None) -> str:
    if extent is None:
        return NOT_KNOWN
    ends = (_numbers(extent.smallest), _numbers(extent.largest))
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def _numbers(values: Sequence[float]) -> str:
    return " x ".join(f"{value:.4g}" for value in values)


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
