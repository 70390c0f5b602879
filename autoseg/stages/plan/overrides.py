"""Changes that the user makes to a plan: `key=value`, where the key is a field of a configuration.

`training.batch_size=4` changes every configuration, `2d.training.batch_size=4` one. Lists are written with commas
(`network.features=16,32,64`), lists of lists as JSON (`network.strides=[[1,1],[2,2]]`), nothing as `none`.
Nothing else is derived anew: what is set is what is trained, and the plan says that it was set.
"""

from __future__ import annotations

import json
from typing import get_args

from pydantic import BaseModel, ValidationError

from autoseg.errors import PlanError
from autoseg.records import Configuration, Decision, InferenceSpec, NetworkSpec, Preparation, TrainingSpec
from autoseg.stages.plan.check import configuration_faults

SECTIONS: dict[str, type[BaseModel]] = {
    "preparation": Preparation,
    "network": NetworkSpec,
    "training": TrainingSpec,
    "inference": InferenceSpec,
}
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def apply_overrides(configurations: dict[str, Configuration], overrides: tuple[str, ...]) -> dict[str, Configuration]:
    """The configurations with all changes made, each recorded as a decision.

    Raises:
        PlanError: keys that do not exist, values of another type, or a result that cannot be trained; all are listed.
    """
    changes: dict[str, list[tuple[str, str, str]]] = {name: [] for name in configurations}
    faults: list[str] = []
    for text in overrides:
        try:
            name, section, field, value = _parsed(text, configurations)
        except PlanError as error:
            faults.append(str(error))
            continue
        for target in (name,) if name else tuple(configurations):
            changes[target].append((section, field, value))
    result = {}
    for name, configuration in configurations.items():
        result[name], found = _changed(configuration, changes[name])
        faults += found
    if faults:
        raise PlanError("\n".join(faults))
    return result


def _parsed(text: str, configurations: dict[str, Configuration]) -> tuple[str | None, str, str, str]:
    """Configuration (None: all), section, field and value of one override."""
    key, equals, value = text.partition("=")
    parts = key.strip().split(".")
    if not equals:
        raise PlanError(f"--set {text}: expected key=value, as in training.batch_size=4")
    name = parts.pop(0) if parts[0] in configurations else None
    if len(parts) == 3:
        raise PlanError(f"--set {text}: there is no configuration {parts[0]!r}; this plan has {', '.join(configurations)}")
    if len(parts) != 2 or parts[0] not in SECTIONS:
        raise PlanError(f"--set {text}: expected [configuration.]section.field, where section is one of {', '.join(SECTIONS)}")
    section, field = parts
    if field not in SECTIONS[section].model_fields:
        raise PlanError(f"--set {text}: {section} has no field {field!r}; it has {', '.join(SECTIONS[section].model_fields)}")
    return name, section, field, value.strip()


def _changed(configuration: Configuration, changes: list[tuple[str, str, str]]) -> tuple[Configuration, list[str]]:
    if not changes:
        return configuration, []
    data, decisions = configuration.model_dump(mode="json"), list(configuration.decisions)
    for section, field, value in changes:
        before = data[section][field]
        data[section][field] = _value(value, is_list="tuple" in str(SECTIONS[section].model_fields[field].annotation))
        reason = f"set by the user; the rules chose {json.dumps(before)}, and nothing else was derived anew from the change"
        decisions.append(Decision(name=f"{section}.{field}", choice=value, reason=reason, alternative=json.dumps(before)))
    try:
        changed = Configuration.model_validate({**data, "decisions": decisions})
    except ValidationError as error:
        found = error.errors()
        return configuration, [_sentence(configuration.name, fault["loc"], fault["msg"], fault["input"]) for fault in found]
    return changed, [f"{configuration.name}.{fault}" for fault in configuration_faults(changed)]


def _value(text: str, *, is_list: bool) -> Json:
    """JSON where it is, else a comma list, else the text itself for the field's type to judge."""
    if text.casefold() == "none" and not is_list:
        return None
    try:
        value: Json = json.loads(text)
    except json.JSONDecodeError:
        value = text
    if not is_list or isinstance(value, list):
        return value
    if text.casefold() == "none" or not text:
        return [] if not text else None
    return [_value(part.strip(), is_list=False) for part in text.split(",")]


def _sentence(configuration: str, path: tuple[int | str, ...], message: str, value: object) -> str:
    field = SECTIONS[str(path[0])].model_fields.get(str(path[1])) if path[0] in SECTIONS and len(path) > 1 else None
    choices = [str(choice) for choice in get_args(field.annotation)] if field and "Literal" in str(field.annotation) else []
    cure = f" (one of {', '.join(choices)})" if choices else ""
    return f"{configuration}.{'.'.join(map(str, path))}: {message}{cure}, got {value!r}"
