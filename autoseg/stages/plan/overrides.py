"""Changes that the user makes to a plan: `key=value`, where the key is a field of a configuration.

`training.batch_size=4` changes every configuration, `2d.training.batch_size=4` one. Lists are written with commas
(`network.features=16,32,64`), lists of lists as JSON (`network.strides=[[1,1],[2,2]]`), nothing as `none`.
Nothing else is derived anew: what is set is what is trained, and the plan says that it was set. Exceptions are `network.family`,
for which the plan is made from the start, and `training.optimizer`, which brings its rate, momentum and weight decay along.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any, cast, get_args

from pydantic.fields import FieldInfo

from autoseg.errors import PlanError
from autoseg.records import Decision, Part, Plan
from autoseg.records.plan import NetworkFamily, Number, Optimizer
from autoseg.records.plan_faults import SECTIONS
from autoseg.stages.plan.decisions import set_by_user
from autoseg.stages.plan.recipe import RECIPES
from autoseg.stages.plan.saying import decide

FAMILY, OPTIMIZER, TIME = "network.family", "training.optimizer", "training.time_budget_seconds"
MIRRORED = ("inference", "mirror_axes")
JsonObject = dict[str, Any]  # of a plan, before it is checked
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def taken_family(overrides: tuple[str, ...]) -> tuple[NetworkFamily | None, tuple[str, ...]]:
    """The kind of network that `network.family=NAME` asks for, and the other overrides.

    It is decided on before planning, since depth, patch, memory and time follow from it.

    Raises:
        PlanError: no such kind, or it is asked for in one configuration only: a plan compares grids and patches of one kind.
    """
    family: NetworkFamily | None = None
    rest, faults = [], []
    for text in overrides:
        key, _, value = (part.strip() for part in text.partition("="))
        if key.endswith(f".{FAMILY}"):
            faults.append(f"--set {text}: all configurations have one kind of network; set {FAMILY}={value}")
        elif key != FAMILY:
            rest.append(text)
        elif value in get_args(NetworkFamily):
            family = cast("NetworkFamily", value)
        else:
            faults.append(f"--set {text}: there is no such network; choose {', '.join(get_args(NetworkFamily))}")
    if faults:
        raise PlanError("\n".join([*faults, *_unknown_keys(rest)]))
    return family, tuple(rest)


def asked_optimizers(overrides: tuple[str, ...]) -> dict[str, Optimizer]:
    """The optimisers that `[configuration.]training.optimizer=NAME` asks for, by configuration; under an empty name for all.

    Planning counts on them. Names that do not exist are left to `apply_overrides`, which tells of all faults at once.
    """
    found: dict[str, Optimizer] = {}
    for text in overrides:
        key, _, value = (part.strip() for part in text.partition("="))
        if (key == OPTIMIZER or key.endswith(f".{OPTIMIZER}")) and value in RECIPES:
            found[key.removesuffix(OPTIMIZER).removesuffix(".")] = value
    return found


def apply_overrides(plan: Plan, overrides: tuple[str, ...]) -> Plan:
    """The plan with all changes made, each recorded as a decision.

    Raises:
        PlanError: keys that do not exist, values of another type, or a result that cannot be trained; all are listed.
    """
    content = plan.model_dump(mode="json")
    configurations: dict[str, JsonObject] = content["configurations"]
    faults: list[str] = []
    mirrors_set: set[str] = set()
    for text in sorted(overrides, key=lambda text: OPTIMIZER not in text):  # its numbers first, what is set beside it on top
        try:
            name, path, value = _parsed(text, plan.configurations)
        except PlanError as error:
            faults.append(str(error))
            continue
        for target in (name,) if name else tuple(configurations):
            held = configurations[target]
            if path == ("training", "optimizer") and held["training"]["optimizer"] == value:
                continue  # planned so, as `asked_optimizers` had told
            decisions = [_set(held, path, value)]
            if path == ("training", "optimizer") and value in RECIPES:
                held["training"] |= RECIPES[value].model_dump()
            if path == ("training", "epochs") and not any("time_budget_seconds" in other for other in overrides):
                decisions += _free_of_time(held["training"])
            held["decisions"] += [decision.model_dump(mode="json") for decision in decisions]
            mirrors_set |= {target} if path == MIRRORED else set()
    for name, held in configurations.items():
        if name not in mirrors_set:
            held["decisions"] += [decision.model_dump(mode="json") for decision in _mirrored_as_trained(held)]
    faults += [fault.removeprefix("configurations.") for fault in Plan.faults_in(content)]
    if faults:
        raise PlanError("\n".join(faults))
    return Plan.model_validate(content)


def refuse_unknown_keys(overrides: tuple[str, ...]) -> None:
    """What can be told of overrides before there is a plan.

    Raises:
        PlanError: keys that no plan has; all are listed.
    """
    if faults := _unknown_keys(overrides):
        raise PlanError("\n".join(faults))


def _unknown_keys(overrides: Sequence[str]) -> list[str]:
    faults = []
    for text in overrides:
        name = text.partition(".")[0]
        try:
            _parsed(text, () if name in SECTIONS else (name,))  # whether the plan has that configuration is not known yet
        except PlanError as error:
            faults.append(str(error))
    return faults


def _parsed(text: str, configurations: Collection[str]) -> tuple[str | None, tuple[str, ...], str]:
    """Configuration (None: all), path of the field from its section on, and value of one override."""
    key, equals, value = text.partition("=")
    parts = key.strip().split(".")
    if not equals:
        raise PlanError(f"--set {text}: expected key=value, as in training.batch_size=4")
    name = parts.pop(0) if parts[0] in configurations else None
    if parts and parts[0] not in SECTIONS and len(parts) > 2:
        raise PlanError(f"--set {text}: there is no configuration {parts[0]!r}; this plan has {', '.join(configurations)}")
    if len(parts) < 2 or parts[0] not in SECTIONS:
        raise PlanError(f"--set {text}: expected [configuration.]section.field, where section is one of {', '.join(SECTIONS)}")
    if parts == ["augmentation", "preset"]:
        raise PlanError(f"--set {text}: this is a name only; plan with --augmentation {value.strip() or 'NAME'}")
    _field(text, parts)
    return name, tuple(parts), value.strip()


def _field(text: str, path: Sequence[str]) -> FieldInfo:
    """What the record says of a field, through all parts on the way.

    Raises:
        PlanError: there is no such field, or it has fields of its own.
    """
    part, found = SECTIONS[path[0]], None
    for depth, name in enumerate(path[1:], start=1):
        if name not in part.model_fields:
            where = ".".join(path[:depth])
            raise PlanError(f"--set {text}: {where} has no field {name!r}; it has {', '.join(part.model_fields)}")
        found = part.model_fields[name]
        kind, last = found.annotation, depth == len(path) - 1
        if isinstance(kind, type) and issubclass(kind, Part):
            part = kind
            if last:
                raise PlanError(f"--set {text}: set one field of {'.'.join(path)}: {', '.join(part.model_fields)}")
        elif not last:
            raise PlanError(f"--set {text}: {'.'.join(path[: depth + 1])} has no fields; give it a value")
    assert found is not None  # a path has two names at least
    return found


def _set(configuration: JsonObject, path: tuple[str, ...], value: str) -> Decision:
    """Set a field in a configuration's JSON; the decision that tells of it."""
    held = configuration
    for name in path[:-1]:
        held = held[name]
    before, kind = held[path[-1]], str(_field("", path).annotation)
    held[path[-1]] = _value(value, is_list="tuple" in kind, says_none="'none'" in kind)
    return set_by_user(".".join(path), value, json.dumps(before))


def _free_of_time(training: dict[str, Json]) -> list[Decision]:
    """A number of epochs that was asked for is trained, whatever time it takes."""
    seconds = training["time_budget_seconds"]
    if not isinstance(seconds, (int, float)):
        return []
    training["time_budget_seconds"] = None
    decision = decide(
        TIME,
        "none",
        rule="ours: a training ends with its time or with its epochs, not with both",
        reason="You set the number of epochs, so the length is no longer amended to end after {seconds:time}.",
        numbers={"seconds": seconds},
        alternative="keep the time: plan with --time-budget, and leave training.epochs alone.",
    )
    return [decision]


def _mirrored_as_trained(configuration: JsonObject) -> list[Decision]:
    """Predictions average over no copy that is mirrored in a way which training does not show; nothing where a value cannot be read."""
    trained, probability = configuration["training"]["mirror_axes"], configuration["augmentation"]["mirroring"]["probability"]
    mirrored = configuration["inference"]["mirror_axes"]
    if not isinstance(trained, list) or not isinstance(mirrored, list) or not isinstance(probability, (int, float)):
        return []
    kept = [axis for axis in mirrored if probability > 0 and axis in trained]
    if kept == mirrored:
        return []
    configuration["inference"]["mirror_axes"] = kept
    numbers: dict[str, Number] = {
        "kept": tuple(kept),
        "lost": tuple(axis for axis in mirrored if axis not in kept),
        "before": tuple(mirrored),
        "name": configuration["name"],
    }
    decision = decide(
        ".".join(MIRRORED),
        "{kept:list}" if kept else "none",
        rule="ours: predictions are averaged over copies mirrored along axes that training mirrors",
        reason="As you set it, training does not mirror along {lost:list}, so the network would not know such images.",
        numbers=numbers,
        alternative="{before:list}, as it was: --set {name}.inference.mirror_axes={before:list}.",
    )
    return [decision]


def _value(text: str, *, is_list: bool, says_none: bool = False) -> Json:
    """JSON where it is, else a comma list, else the text itself for the field's type to judge.

    `says_none`: the word is a value of the field itself.
    """
    if text.casefold() == "none" and not is_list and not says_none:
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
