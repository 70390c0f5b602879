"""An object inside a JSON file that others wrote: what is taken from it is checked, and every fault is noted with file and key."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from autoseg.errors import Fault

JsonObject = dict[str, Any]  # of a file, before it is checked
LONGEST_VALUE = 60  # characters of a value that a sentence repeats
REQUIRED = object()


@dataclass(frozen=True)
class JsonPart:
    """An object, where it stands, and the faults found so far, which all parts of a file share.

    Args:
        content: the object.
        file: the file's name in faults.
        place: the key of the object in the file, with a dot at its end; empty for the file itself.
        faults: where faults go.
        names: names of keys in the file, where they differ from those asked for.
    """

    content: Mapping[str, Any]
    file: str
    place: str = ""
    faults: list[Fault] = field(default_factory=list)
    names: Mapping[str, str] = field(default_factory=dict)

    def fault(self, key: str, sentence: str) -> None:
        """Note what is wrong with the value of a key."""
        self.faults.append(Fault(self.file, f"{self.place}{self.names.get(key, key)}: {sentence}"))

    def take(self, key: str, kind: Any, what: str, default: Any = REQUIRED) -> Any:
        """The value of a key as JSON of this type (lists become tuples); None, and a fault, where it is missing or another.

        Args:
            key: as asked for.
            kind: a type that pydantic knows.
            what: the type in words, for the fault.
            default: for a missing key; without one that is a fault.
        """
        if key not in self.content:
            if default is REQUIRED:
                self.fault(key, f"is missing; expected {what}")
                return None
            return default
        value = self.content[key]
        try:
            return _adapter(kind).validate_json(json.dumps(value), strict=True)
        except ValidationError:
            self.fault(key, f"expected {what}, found {shown(value)}")
            return None

    def must_be(self, key: str, value: object, allowed: Iterable[object], sentence: str) -> None:
        """A fault where a value is none of those allowed: `expected A or B, found C; sentence`."""
        allowed = list(allowed)
        if not any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in allowed):
            self.fault(key, f"expected {' or '.join(map(shown, allowed))}, found {shown(value)}; {sentence}")

    def part(self, key: str, what: str) -> JsonPart:
        """The object under a key; an empty one, and a fault, where there is none."""
        found: JsonObject | None = self.take(key, JsonObject, what)
        return JsonPart(found or {}, self.file, f"{self.place}{self.names.get(key, key)}.", self.faults)


def shown(value: object) -> str:
    """A value as it stands in JSON, shortened."""
    text = json.dumps(value, default=str)
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "..."


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
