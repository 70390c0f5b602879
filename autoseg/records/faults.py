"""Faults that the types of a record's fields find, put into sentences a person can act on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

LONGEST_VALUE = 60  # characters of a value that a sentence repeats
SENTENCES = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be an object, {...}",
    "finite_number": "must be a finite number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "model_type": "must be an object, {...}",
    "model_attributes_type": "must be an object, {...}",
    "string_type": "must be a text",
    "tuple_type": "must be a list, [...]",
}
Path = tuple[int | str, ...]


def field_faults(record: type[BaseModel], error: ValidationError) -> list[str]:
    """Every fault as `path: what is wrong`, with the value that was found and what would be right."""
    return [f"{'.'.join(map(str, fault['loc'])) or 'file'}: {_sentence(record, fault)}" for fault in error.errors()]


def _sentence(record: type[BaseModel], fault: Any) -> str:
    path: Path = fault["loc"]
    if fault["type"] == "missing":
        return "is missing"
    if fault["type"] == "extra_forbidden":
        return _unknown_key(record, path)
    value = json.dumps(fault["input"], default=str)
    found = f", not {value if len(value) <= LONGEST_VALUE else value[:LONGEST_VALUE] + '...'}"
    if fault["type"] == "literal_error":
        return f"must be one of {fault['ctx']['expected']}{found}"
    return SENTENCES.get(fault["type"], fault["msg"]) + found


def _unknown_key(record: type[BaseModel], path: Path) -> str:
    held = next(iter(_models_at(record, path[:-1])), None)
    if held is None:
        return "is not known here"
    names = list(held.model_fields)
    near = get_close_matches(str(path[-1]), names, n=1)
    return f"is not known here; did you mean {near[0]}?" if near else f"is not known here; there are {', '.join(names)}"


def _models_at(annotation: Any, path: Sequence[int | str]) -> Iterator[type[BaseModel]]:
    """The records that may stand at a path; tags of unions, which pydantic puts into paths, lead nowhere."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not path:
            yield annotation
        elif path[0] in annotation.model_fields:
            yield from _models_at(annotation.model_fields[str(path[0])].annotation, path[1:])
        return
    within = get_origin(annotation)
    for inner in () if within is Literal else get_args(annotation):
        yield from _models_at(inner, path[1:] if within in (dict, tuple) and path else path)
