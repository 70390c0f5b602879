"""Faults of a plan that the types of its fields cannot see: sizes, names and numbers that do not go together.

A plan edited by hand may have faults of both kinds. So that one message lists them all, what can be read of it is put together
as far as it goes, and each check looks at what is there.
"""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from autoseg.records.augmentation import AugmentationSpec
from autoseg.records.base import Part
from autoseg.records.plan import Configuration, InferenceSpec, NetworkSpec, Plan, Preparation, TrainingSpec
from autoseg.records.plan_checks import CHECKS, PLAN_CHECKS

M = TypeVar("M", bound=BaseModel)
SECTIONS: dict[str, type[Part]] = {
    "preparation": Preparation,
    "network": NetworkSpec,
    "training": TrainingSpec,
    "augmentation": AugmentationSpec,
    "inference": InferenceSpec,
}


def plan_faults(plan: Plan) -> list[str]:
    """Every such fault of a plan whose fields are valid, as `path: what is wrong, and the cure`."""
    return _faults(plan, whole=True)


def faults_of_readable_parts(content: Any) -> list[str]:
    """Those of a plan's JSON content in which other faults were found already: of all that can be read nevertheless."""
    held = content.get("configurations") if isinstance(content, dict) else None
    configurations = {name: _readable_configuration(value) for name, value in held.items()} if isinstance(held, dict) else {}
    return _faults(_readable(Plan, content, configurations=configurations), whole=False)


def _faults(plan: Plan, *, whole: bool) -> list[str]:
    faults: list[str] = []
    for check in PLAN_CHECKS:
        with nullcontext() if whole else suppress(AttributeError):  # of a part that cannot be read
            faults.extend(check(plan))
    for name, configuration in plan.configurations.items():
        for check_one in CHECKS:
            with nullcontext() if whole else suppress(AttributeError):
                faults.extend(f"configurations.{name}.{fault}" for fault in check_one(plan, configuration))
    return faults


def _readable_configuration(content: Any) -> Configuration:
    held = content if isinstance(content, dict) else {}
    return _readable(Configuration, held, **{name: _readable(model, held.get(name)) for name, model in SECTIONS.items()})


def _readable(model: type[M], content: Any, **known: object) -> M:
    """A record of those fields that can be read, and of `known` ones; asking for another field is an AttributeError."""
    values, held = dict(known), content if isinstance(content, dict) else {}
    for name, field in model.model_fields.items():
        if name in known:
            continue
        if name not in held:
            if not field.is_required():
                values[name] = field.get_default()
            continue
        kind: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
        with suppress(ValidationError):
            values[name] = TypeAdapter(kind, config=_config(kind)).validate_python(held[name])
    return model.model_construct(set(values), **values)


def _config(kind: Any) -> ConfigDict | None:
    """As records have it; a record brings its own."""
    return None if isinstance(kind, type) and issubclass(kind, BaseModel) else ConfigDict(allow_inf_nan=False)
