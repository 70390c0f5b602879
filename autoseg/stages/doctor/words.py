"""Sentences that the pictures, the page and the terminal share."""

from __future__ import annotations

from autoseg.records import CaseDiagnosis, Diagnosis, FindingKind

OF_THE_LABEL: tuple[FindingKind, ...] = (
    "islands",
    "holes",
    "stray value",
)  # faults that do not show in how much a network disagrees
REMARKABLE = 3.0  # suspicion, in robust standard deviations, that few labels without a fault reach


def told_title(diagnosis: CaseDiagnosis) -> str:
    """Place, case, and how suspicious it is."""
    return f"{diagnosis.rank}. {diagnosis.id}: suspicion {diagnosis.suspicion:.1f}"


def told_agreement(diagnosis: CaseDiagnosis) -> str:
    """The structures' Dice with the network, and what it expects of itself."""
    parts = [
        f"{name} {one.dice:.2f} (network expects {one.expected_dice:.2f})"
        for name, one in diagnosis.structures.items()
        if one.suspicion is not None
    ]
    return f"Dice of label and network: {', '.join(parts)}" if parts else "neither label nor network has a structure"


def told_findings(diagnosis: CaseDiagnosis) -> str:
    """What may be wrong; where nothing was found, whether label and network disagree more than they do elsewhere."""
    if diagnosis.findings:
        return "; ".join(finding.told for finding in diagnosis.findings)
    return "disagrees more than others" if diagnosis.suspicion >= REMARKABLE else "nothing stands out"


def told_summary(diagnosis: Diagnosis) -> str:
    """How many cases were judged, and by what."""
    cases, folds = len(diagnosis.cases), len(diagnosis.folds)
    told = f"{cases} labels were judged by {folds} fold{'s' if folds != 1 else ''} of {diagnosis.configuration} ({diagnosis.profile})"
    return f"{told}, each by the one that had not seen it; {len(diagnosis.not_judged)} could not be judged"


def further_down(diagnosis: Diagnosis) -> list[CaseDiagnosis]:
    """Cases without a picture whose labels have islands, holes or stray values: too small to disagree much, and faults all the same."""
    return [
        case
        for case in diagnosis.cases
        if case.picture is None and any(finding.kind in OF_THE_LABEL for finding in case.findings)
    ]
