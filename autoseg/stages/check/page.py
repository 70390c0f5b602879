"""The findings as a page to look through. It needs no network and no script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from autoseg.layouts.base import listed
from autoseg.records import CheckFinding, CheckReport
from autoseg.stages.check.facts import counted

PAGE = "index.html"
PICTURES = "pictures"
SHOWN_CASES = 40  # names in one finding
TITLES = {"error": "Errors", "warning": "Warnings", "note": "Notes"}
STYLE = (
    "body{font-family:sans-serif;max-width:84em;margin:1em auto;padding:0 1em;color:#222;background:#fff}"
    "section{border-top:1px solid #ccc;padding:.5em 0 1em}figure{display:inline-block;margin:.3em 1em .3em 0;vertical-align:top}"
    "figcaption,.cases{color:#555;font-size:85%;overflow-wrap:anywhere}img{max-width:100%;height:auto}"
)


def page_of(report: CheckReport) -> str:
    """The whole page; pictures lie beside it, as the findings name them."""
    lines = [
        "<!DOCTYPE html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>Check of {escape(report.dataset)}</title>',
        f"<style>{STYLE}</style></head><body>",
        f"<h1>Check of {escape(report.dataset)}</h1>",
        f"<p>{escape(told_summary(report))}</p>",
        f"<p>Files of the data set lie in <code>{escape(report.root)}</code>. Nothing was changed.</p>",
        *(f"<p>{escape(note)}</p>" for note in report.read),
    ]
    for severity, title in TITLES.items():
        found = [one for one in report.findings if one.severity == severity]
        if found:
            lines.append(f"<h2>{title}: {len(found)}</h2>")
            lines += [line for kind, members in by_kind(found).items() for line in _section(kind, members)]
    if not report.findings:
        lines.append("<p>Nothing was found.</p>")
    lines.append("</body></html>")
    return "\n".join(lines) + "\n"


def told_summary(report: CheckReport) -> str:
    """How much was looked at, and what came of it."""
    what = f"{counted(report.cases, 'case')} of {counted(report.subjects, 'subject')}, {report.labelled} with a label, read as {report.layout}"
    return f"{what}: {counted(report.errors, 'error')}, {counted(report.warnings, 'warning')}, {counted(report.notes, 'note')}"


def by_kind(findings: Sequence[CheckFinding]) -> dict[str, list[CheckFinding]]:
    """Findings of one kind together, in the order in which kinds appear."""
    groups: dict[str, list[CheckFinding]] = {}
    for one in findings:
        groups.setdefault(one.kind, []).append(one)
    return groups


def _section(kind: str, findings: Sequence[CheckFinding]) -> list[str]:
    lines = [f"<section><h3>{escape(kind)}: {len(findings)}</h3>"]
    for one in findings:
        more = f" and {len(one.cases) - SHOWN_CASES} more" if len(one.cases) > SHOWN_CASES else ""
        cases = ", ".join(one.cases[:SHOWN_CASES]) + more
        fixable = " (a repaired copy does not have it: --fix OUT)" if one.fixable else ""
        lines.append(f"<p>{escape(one.told + fixable)}</p>")
        if cases:
            lines.append(f'<p class="cases">{escape(cases)}</p>')
        for name, file in one.pictures.items():
            link = escape(quote(file))
            lines.append(
                f'<figure><a href="{link}"><img src="{link}" loading="lazy" alt="{escape(name)}"></a><figcaption>{escape(name)}</figcaption></figure>'
            )
    lines.append("</section>")
    return lines


def told_cases(findings: Sequence[CheckFinding]) -> str:
    """The first cases of several findings, and how many more."""
    return listed(dict.fromkeys(name for one in findings for name in one.cases))
