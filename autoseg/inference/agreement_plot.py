"""Bland and Altman's plot of one or several measures: the difference to the truth over the mean of both, with bias and limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.writing import whole_file

MOST_PANELS = 12
COLUMNS = 3
PANEL_INCHES = (4.6, 3.6)
BANDS = "95 % intervals of bias and limits"
DOTS, LINE, BAND = "#0072b2", "#d55e00", "#e69f00"  # Okabe & Ito (2008)


@dataclass(frozen=True)
class Panel:
    """One measure: `measured` and `true` of the same cases, in `unit`; limits None where there are too few cases."""

    title: str
    unit: str
    measured: tuple[float, ...]
    true: tuple[float, ...]
    bias: float
    limits: tuple[float, float] | None
    bands: tuple[tuple[float, float], ...] = ()  # intervals of bias and limits


def save_bland_altman(path: Path, panels: Sequence[Panel]) -> None:
    """Write a PNG, atomically, with a panel for each of the first twelve measures."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = panels[:MOST_PANELS]
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(PANEL_INCHES[0] * columns, PANEL_INCHES[1] * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for number, panel in enumerate(panels, start=1):
        axes = figure.add_subplot(rows, columns, number)
        means = [(a + b) / 2 for a, b in zip(panel.measured, panel.true, strict=True)]
        differences = [a - b for a, b in zip(panel.measured, panel.true, strict=True)]
        for place, (low, high) in enumerate(panel.bands):
            axes.axhspan(low, high, color=BAND, alpha=0.25, linewidth=0, label=BANDS if place == 0 else None)
        axes.axhline(0, color="0.75", linewidth=0.8)
        axes.scatter(means, differences, s=14, color=DOTS, alpha=0.75, linewidths=0)
        axes.axhline(panel.bias, color=LINE, linewidth=1.4, label=f"bias {panel.bias:+.2f}")
        for side, limit in zip(("lower", "upper"), panel.limits or (), strict=False):
            axes.axhline(limit, color=LINE, linewidth=1.2, linestyle="--", label=f"{side} limit {limit:+.2f}")
        axes.set_title(f"{panel.title}, {len(means)} cases", fontsize=10)
        axes.set_xlabel(f"mean of measured and true, {panel.unit}", fontsize=9)
        axes.set_ylabel(f"measured minus true, {panel.unit}", fontsize=9)
        axes.tick_params(labelsize=8)
        axes.legend(fontsize=7, loc="best", framealpha=0.8)
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
