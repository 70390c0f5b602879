"""What `select` found out about a model, as sentences for its card."""

from __future__ import annotations

from collections.abc import Iterator

from autoseg.records import Proportion, SelectionReport, TrustReport


def told_selection(report: SelectionReport) -> tuple[str, ...]:
    """How the model is applied, how well what it tells of its masks held out of fold, and what a vote of folds brings."""
    found = report.selection
    steps = "; ".join(step.told for step in found.postprocessing) or "no postprocessing"
    folds = "; ".join(f"{name}: folds {', '.join(judged)}" for name, judged in found.judged.items())
    way = f"{' and '.join(found.configurations)}, profile {found.profile}, {steps}"
    sentences = [f"Applied as was found best on {report.cases} cases of {report.subjects} subjects out of fold ({folds}): {way}."]
    sentences += [
        f"On {one.cases} cases of {one.subjects} subjects that no fold had seen, the mean Dice is {one.candidate_dice:.3f} with "
        f"{one.candidate}, {one.baseline_dice:.3f} with {one.baseline}."
        for one in report.judgements
        if one.question == report.ENSEMBLE
    ]
    if report.trust is not None:
        sentences += _told_trust(report.trust, None if found.trust is None else found.trust.review_off)
    return tuple(sentences)


def _told_trust(report: TrustReport, off: str | None) -> Iterator[str]:
    if off is not None:
        yield off
    elif report.good_flagged is not None:
        good = f"a Dice of {report.good_dice:.2f}" + (f", and {report.good_mm:g} mm of HC" if report.good_mm else "")
        found = "" if report.bad_found is None else f" and {_share(report.bad_found)} of the others"
        yield f"Flagged for review out of fold were {_share(report.good_flagged)} of the masks that reach {good}{found}."
    told = [one for one in report.intervals if one.coverage is not None]
    if told:
        held = ", ".join(
            f"{one.structure} {one.measure.replace('_', ' ')} {_share(one.coverage)}" for one in told if one.coverage is not None
        )
        yield f"The 95 % intervals of measures held the truth, out of fold: {held}."


def _share(found: Proportion) -> str:
    return f"{100 * found.share:.1f} % of {found.total:g} ({100 * found.low:.1f} to {100 * found.high:.1f})"
