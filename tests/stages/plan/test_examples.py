"""The examples of the default preset under `plans/examples`: facts and machine in, what is planned out.

After a change of the rules that is meant: `python tests/stages/plan/test_examples.py` writes the new plans; look at the diff.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from autoseg.records import MachineProfile
from autoseg.stages.plan import PlanInputs, PlanOptions, load_preset, plan_configurations

FILE = Path(__file__).resolve().parents[3] / "plans" / "examples" / "default.json"
EXAMPLES: dict[str, Any] = json.loads(FILE.read_text())


def planned(example: dict[str, Any]) -> dict[str, Any]:
    """What a reader wants to know of every configuration, as JSON."""
    inputs = TypeAdapter(PlanInputs).validate_python(example["facts"])
    options = TypeAdapter(PlanOptions).validate_python(example["options"])
    machine = MachineProfile.model_validate(EXAMPLES["machines"][example["machine"]])
    result = {}
    for name, found in plan_configurations(inputs, machine, options, load_preset(options.preset)).items():
        spacing = found.preparation.spacing_mm
        result[name] = {
            "spacing_mm": None if spacing is None else [None if value is None else round(value, 4) for value in spacing],
            "median_shape": list(found.median_shape),
            "patch_size": list(found.training.patch_size),
            "batch_size": found.training.batch_size,
            "features": list(found.network.features),
            "optimizer": found.training.optimizer,
            "epochs": found.training.epochs,
            "steps_per_epoch": found.training.steps_per_epoch,
            "mirrored": bool(found.inference.mirror_axes),
        }
    return result


@pytest.mark.parametrize("name", EXAMPLES["examples"])
def test_example(name: str) -> None:
    example = EXAMPLES["examples"][name]
    assert planned(example) == example["plan"]


def write() -> None:
    """Bring the file up to date, one line per fact."""
    for example in EXAMPLES["examples"].values():
        example["plan"] = planned(example)
    lines = [f' "about": {json.dumps(EXAMPLES["about"])}']
    for section in ("machines", "examples"):
        entries = []
        for name, entry in EXAMPLES[section].items():
            body = ",\n".join(f"   {json.dumps(key)}: {json.dumps(value)}" for key, value in entry.items())
            entries.append(f"  {json.dumps(name)}: {{\n{body}\n  }}")
        lines.append(f' "{section}": {{\n' + ",\n".join(entries) + "\n }")
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    write()
