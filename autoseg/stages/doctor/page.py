"""The doctor's findings as a page to look through, and as a table. The page needs no network and no script."""

from __future__ import annotations

import csv
import io
import os
from html import escape
from pathlib import Path
from urllib.parse import quote

from autoseg.records import CaseDiagnosis, Dataset, Diagnosis, write_text
from autoseg.stages.doctor.words import OF_THE_LABEL, further_down, told_agreement, told_summary, told_title

CSV_HEADER = (
    "rank",
    "case",
    "subject",
    "fold",
    "suspicion",
    "softmin",
    "structure",
    "structure_suspicion",
    "label_pixels",
    "model_pixels",
    "dice",
    "expected_dice",
    "confident",
    "distance",
    "findings",
)
PAGE = "index.html"
STYLE = (
    "body{font-family:sans-serif;max-width:84em;margin:1em auto;padding:0 1em;color:#222;background:#fff}"
    "section{border-top:1px solid #ccc;padding:.5em 0 1em}img{max-width:100%;height:auto}"
    "code{overflow-wrap:anywhere}.files{color:#555;font-size:85%}"
)


def page_of(diagnosis: Diagnosis, dataset: Dataset, root: Path, folder: Path) -> str:
    """The page of the cases that have a picture, in order.

    Args:
        diagnosis: with pictures.
        dataset: tells where images and labels lie.
        root: folder that pictures and masks are relative to.
        folder: that the page will lie in; links are relative to it.
    """
    shown = [case for case in diagnosis.cases if case.picture is not None]
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8"><title>Labels to look at first</title>',
        f"<style>{STYLE}</style></head><body>",
        f"<h1>Labels of {escape(dataset.name)} to look at first</h1>",
        f"<p>{escape(told_summary(diagnosis))}</p>",
        "<p>Each case was predicted by a network that had not seen it. First come the labels that differ from its mask by more than the "
        "network expects to be wrong. Networks err, too: look at the picture before a label is changed. Nothing was changed so far.</p>",
        *(f"<p><strong>{escape(note)}</strong></p>" for note in diagnosis.notes),
        f"<p>Files of the data set lie in <code>{escape(dataset.root)}</code>, those of the network in <code>{escape(str(root))}</code>.</p>",
    ]
    for case in shown:
        lines += _section(case, dataset, root, folder)
    if below := further_down(diagnosis):
        lines.append(f"<section><h2>Further down, with islands, holes or stray values: {len(below)}</h2><ul>")
        lines += [_listed(case, dataset, folder) for case in below]
        lines.append("</ul></section>")
    if diagnosis.not_judged:
        lines.append(f"<section><h2>Not judged: {len(diagnosis.not_judged)}</h2><ul>")
        lines += [f"<li>{escape(one.id)}: {escape(one.reason)}</li>" for one in diagnosis.not_judged]
        lines.append("</ul></section>")
    lines.append("</body></html>")
    return "\n".join(lines) + "\n"


def save_csv(diagnosis: Diagnosis, path: Path) -> None:
    """One row per case and structure, written atomically; an empty cell is a figure that is not defined."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for case in diagnosis.cases:
        findings = "; ".join(finding.told for finding in case.findings)
        for name, one in case.structures.items():
            whole = (case.rank, case.id, case.subject, case.fold, _cell(case.suspicion), _cell(case.softmin), name)
            figures = (one.dice, one.expected_dice, one.confident, one.distance)
            sizes = (one.label_pixels, one.model_pixels)
            writer.writerow([*whole, _cell(one.suspicion), *sizes, *(_cell(figure) for figure in figures), findings])
    write_text(path, text.getvalue())


def _section(case: CaseDiagnosis, dataset: Dataset, root: Path, folder: Path) -> list[str]:
    picture = _link(root / str(case.picture), folder)
    files = [("image", file, dataset.path(file)) for file in case.images]
    files += [("label", case.label, dataset.path(case.label)), ("mask of the network", case.mask, root / case.mask)]
    listed = "<br>".join(f'{what}: <a href="{_link(path, folder)}"><code>{escape(name)}</code></a>' for what, name, path in files)
    return [
        f"<section><h2>{escape(told_title(case))}</h2>",
        *([f"<ul>{''.join(f'<li>{escape(finding.told)}</li>' for finding in case.findings)}</ul>"] if case.findings else []),
        f"<p>{escape(told_agreement(case))}</p>",
        f'<a href="{picture}"><img src="{picture}" loading="lazy" alt="{escape(case.id)}"></a>',
        f'<p class="files">{listed}</p></section>',
    ]


def _listed(case: CaseDiagnosis, dataset: Dataset, folder: Path) -> str:
    told = "; ".join(finding.told for finding in case.findings if finding.kind in OF_THE_LABEL)
    link = _link(dataset.path(case.label), folder)
    return f'<li>{escape(told_title(case))}: {escape(told)}. <a href="{link}"><code>{escape(case.label)}</code></a></li>'


def _link(path: Path, folder: Path) -> str:
    """Relative to the page, so that a copied folder still works; absolute where there is no way (other drives of Windows)."""
    try:
        return escape(quote(Path(os.path.relpath(path, folder)).as_posix()))
    except ValueError:
        return escape(path.absolute().as_uri())


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
