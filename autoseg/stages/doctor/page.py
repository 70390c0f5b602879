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


def save_page(diagnosis: Diagnosis, dataset: Dataset, root: Path, page: Path) -> None:
    """Write the page of the cases that have a picture, in order, atomically.

    Args:
        diagnosis: with pictures.
        dataset: tells where images and labels lie.
        root: folder that pictures and masks are relative to.
        page: file to write; links are relative to its folder.
    """
    shown = [case for case in diagnosis.cases if case.picture is not None]
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8"><title>Labels to look at first</title>',
        f"<style>{STYLE}</style></head><body>",
        f"<h1>Labels of {escape(dataset.name)} to look at first</h1>",
        f"<p>{escape(told_summary(diagnosis))}</p>",
        "<p>What is told here is where a network that had not seen a case disagrees with its label, more than it expects to. "
        "Networks err, too: whether a label is at fault, decides who looks at it. No file of the data set was changed.</p>",
    ]
    for case in shown:
        lines += _section(case, dataset, root, page.parent)
    if below := further_down(diagnosis):
        lines.append(f"<section><h2>Further down, with islands, holes or stray values: {len(below)}</h2><ul>")
        lines += [_listed(case, dataset, page.parent) for case in below]
        lines.append("</ul></section>")
    if diagnosis.not_judged:
        lines.append(f"<section><h2>Not judged: {len(diagnosis.not_judged)}</h2><ul>")
        lines += [f"<li>{escape(one.id)}: {escape(one.reason)}</li>" for one in diagnosis.not_judged]
        lines.append("</ul></section>")
    lines.append("</body></html>")
    write_text(page, "\n".join(lines) + "\n")


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
    files = [("image", dataset.path(file)) for file in case.images]
    files += [("label", dataset.path(case.label)), ("mask of the network", root / case.mask)]
    listed = "<br>".join(f'{what}: <a href="{_link(path, folder)}"><code>{escape(str(path))}</code></a>' for what, path in files)
    return [
        f"<section><h2>{escape(told_title(case))}</h2>",
        *([f"<ul>{''.join(f'<li>{escape(finding.told)}</li>' for finding in case.findings)}</ul>"] if case.findings else []),
        f"<p>{escape(told_agreement(case))}</p>",
        f'<a href="{picture}"><img src="{picture}" loading="lazy" alt="{escape(case.id)}"></a>',
        f'<p class="files">{listed}</p></section>',
    ]


def _listed(case: CaseDiagnosis, dataset: Dataset, folder: Path) -> str:
    told = "; ".join(finding.told for finding in case.findings if finding.kind in OF_THE_LABEL)
    label = dataset.path(case.label)
    return f'<li>{escape(told_title(case))}: {escape(told)}. <a href="{_link(label, folder)}"><code>{escape(str(label))}</code></a></li>'


def _link(path: Path, folder: Path) -> str:
    """Relative to the page, so that a copied folder still works; absolute where there is no way (other drives of Windows)."""
    try:
        return escape(quote(Path(os.path.relpath(path, folder)).as_posix()))
    except ValueError:
        return escape(path.absolute().as_uri())


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
