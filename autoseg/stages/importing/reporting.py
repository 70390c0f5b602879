"""What came of an import, for people and programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from autoseg.annotations.decoding import Naming
from autoseg.annotations.painting import Overlap
from autoseg.errors import Fault
from autoseg.layouts import LAYOUTS
from autoseg.records import Covered, FailedCase, ImportedLabel, ImportReport
from autoseg.stages.importing.labels import told_unknown
from autoseg.stages.importing.writing import MOST_OF_RIM, Written


def report_of(
    source: str,
    kind: str,
    written: Sequence[Written],
    names: Naming,
    overlap: Overlap,
    *,
    subjects: Mapping[str, str],
    faults: Iterable[Fault],
    notes: Sequence[str],
) -> ImportReport:
    """What came of an import, for people and programs."""
    done = [one for one in written if one.error is None]
    covered: Counter[tuple[str, str]] = Counter()
    for one in done:
        covered.update(one.covered)
    failed = [FailedCase(id=fault.case, reason=fault.message) for fault in faults]
    failed += [FailedCase(id=one.id, reason=one.error) for one in written if one.error is not None]
    strangers = told_unknown({one.id: one.unknown for one in written if one.unknown})
    structures = names.structures()
    absent = [name for name in structures if not any(one.by_label.get(name) for one in done)]
    cure = "" if kind in LAYOUTS else "; --only takes some of them"  # which layouts refuse
    told_absent = [f"{len(absent)} of {len(structures)} structures are in no image{cure}"] if absent else []
    return ImportReport(
        source=source,
        kind=kind,
        cases=len(done),
        subjects=len({subjects[one.id] for one in done}),
        empty=sum(not one.pixels for one in done),
        labels=tuple(
            ImportedLabel(
                name=name,
                cases=sum(one.by_label.get(name, 0) > 0 for one in done),
                pixels=sum(one.by_label.get(name, 0) for one in done),
            )
            for name in names.structures()
        ),
        overlap="regions" if names.unions else overlap,
        covered=tuple(Covered(below=below, above=above, pixels=pixels) for (below, above), pixels in covered.most_common()),
        failed=tuple(failed),
        notes=(
            *notes,
            *_told_rim(done),
            *_told_joined(done),
            *_told_once(done),
            *([strangers] if strangers else []),
            *told_absent,
        ),
    )


def _told_rim(done: Sequence[Written]) -> list[str]:
    """Structures that fill the rim of nearly all pictures."""
    times = Counter(name for one in done for name in one.rim)
    cure = "if it is the background, say so with --structure background=VALUE, or leave it out with --only"
    return [
        f"{name} fills the rim of {number} of {len(done)} images; {cure}"
        for name, number in times.items()
        if number >= max(2, MOST_OF_RIM * len(done))
    ]


def _told_joined(done: Sequence[Written]) -> list[str]:
    """Structures whose masks are label maps of several values."""
    most: dict[str, int] = {}
    for one in done:
        most |= {name: max(values, most.get(name, 0)) for name, values in one.joined.items()}
    times = Counter(name for one in done for name in one.joined)
    cure = "if they are structures of their own, give the pattern without a name, and --structure NAME=VALUE for each"
    return [
        f"masks of {name} hold up to {most[name]} values in {times[name]} images, all of which are inside; {cure}"
        for name in most
    ]


def _told_once(done: Iterable[Written]) -> list[str]:
    """Notes of cases, each with the number of its cases and one of them."""
    by_note: dict[str, list[str]] = {}
    for one in done:
        if one.note is not None:
            by_note.setdefault(one.note, []).append(one.id)
    return [f"{len(ids)} cases, such as {ids[0]}: {note}" for note, ids in by_note.items()]
