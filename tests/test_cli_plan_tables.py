"""Prose, bill and comparison, read back as text from records with hand-made numbers."""

from __future__ import annotations

import io

from rich.console import Console, RenderableType

from autoseg.cli_plan_tables import bill_report, compare_report, explain_report
from autoseg.records import Decision
from autoseg.stages.plan.bill import Bill
from autoseg.stages.plan.compare import Comparison, Difference, Reasons, Section

from .test_cli_tables import _plan_outcome, _row


def _text(parts: list[RenderableType], width: int = 160) -> str:
    console = Console(file=io.StringIO(), width=width)
    for part in parts:
        console.print(part, markup=False, highlight=False, soft_wrap=isinstance(part, str))
    return console.file.getvalue()  # type: ignore[attr-defined]


def _decision(name: str, rule: str, alternative: str) -> Decision:
    return Decision(name=name, choice="96x96", rule=rule, reason="It fits [8 GB].", numbers={"n": 8}, alternative=alternative)


def test_a_rule_is_told_once_and_no_alternative_where_there_was_none() -> None:
    outcome = _plan_outcome()
    decisions = (
        _decision("patch", "ours: this", "more: --memory."),
        _decision("batch_dice", "ours: this", "none; there is one."),
        _decision("cascade", "ours: that", "less: --memory."),
    )
    configuration = outcome.plan.configurations["2d"].model_copy(update={"decisions": decisions})
    plan = outcome.plan.model_copy(update={"configurations": {"2d": configuration}})
    text = _text(explain_report(plan, outcome.dataset, outcome.fingerprint, outcome.splits))
    lines = [line.strip() for line in text.split("The network\n")[1].splitlines() if line.strip()]
    assert lines[:6] == [
        "Patch: 96x96. It fits [8 GB].",
        "Rule: ours: this.",
        "Instead: more: --memory.",
        "Batch dice: 96x96. It fits [8 GB].",
        "Cascade: 96x96. It fits [8 GB].",
        "Rule: ours: that.",
    ]
    assert "none; there is one" not in text


def _bill(name: str, **changes: object) -> Bill:
    values: dict[str, object] = {
        "configuration": name,
        "n_folds": 5,
        "epochs": 1000,
        "steps": 250_000,
        "step_seconds": 0.25,
        "startup_seconds": 15.0,
        "training_seconds": 62_500.0,
        "validation_seconds": 300.0,
        "all_folds_seconds": 314_000.0,
        "time_basis": "measured",
        "peak_bytes": 7.7e9,
        "memory_basis": "typical",
        "prepared_bytes": 2.5e9,
        "weights_bytes": 124_000_000,
        "state_bytes": 124_000_000,
    }
    return Bill(**(values | changes))  # type: ignore[arg-type]


def test_bill() -> None:
    outcome = _plan_outcome()
    text = _text(bill_report({"2d": _bill("2d")}, outcome.plan, outcome.machine), width=80)
    assert _row(text, "epochs") == ["epochs x steps", "1,000 x 250"]
    assert _row(text, "steps") == ["steps", "250,000"]
    assert _row(text, "a step") == ["a step", "0.25 s"]
    assert _row(text, "training a fold") == ["training a fold", "17.4 h"]
    assert _row(text, "its validation") == ["its validation", "5 min"]
    assert _row(text, "a fold") == ["a fold, with its start", "17.4 h"]
    assert _row(text, "all 5 folds") == ["all 5 folds", "3.63 days"]
    assert _row(text, "speed taken from") == ["speed taken from", "this network"]
    assert _row(text, "memory of a step") == ["memory of a step", "7.7 GB"]
    assert _row(text, "memory taken from") == ["memory taken from", "an estimate"]
    assert _row(text, "disk: prepared") == ["disk: prepared cases", "2.5 GB"]
    assert _row(text, "disk: a trained") == ["disk: a trained fold", "124 MB"]
    assert _row(text, "disk: all") == ["disk: all folds, at most", "3.24 GB"], "2.5 + 5 x 0.124 + 0.124"
    assert "typical for such a device" not in text


def test_bill_says_what_is_typical_and_what_comes_before() -> None:
    outcome = _plan_outcome()
    bills = {
        "3d_lowres": _bill("3d_lowres", time_basis="typical"),
        "3d_cascade_fullres": _bill("3d_cascade_fullres", stage_before="3d_lowres", stage_before_seconds=7200.0),
    }
    text = _text(bill_report(bills, outcome.plan, outcome.machine), width=80)
    assert "all folds of 3d_lowres are trained first (2 h, counted above)" in " ".join(text.split())
    assert "typical for such a device" in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_comparison() -> None:
    section = Section("2d", (Difference("training.epochs", "4", "8"),), (Reasons("length", "An hour [fits].", ""),))
    text = _text(compare_report(Comparison((section,), ("3d_fullres",), ()), "a", "b"), width=80)
    assert _row(text, "training.epochs") == ["training.epochs", "4", "8"]
    assert "Only A has 3d_fullres." in text and "Only B" not in text
    assert "length, A: An hour [fits]." in text
    assert "length, B: not decided there." in text
    assert _text(compare_report(Comparison((), (), ()), "a", "b")) == "The plans do not differ: a, b\n"
