"""What is wrong with a configuration, in lines that an owner can act on and that never hold a secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

_HIDDEN = "[hidden]"
_SHORTEST_SECRET = 6  # a shorter text is a word such as "on", and hiding it would tear the sentence apart

# pydantic's error type -> our words; https://docs.pydantic.dev/latest/errors/validation_errors/ (pydantic 2.14)
_WORDS = {
    "missing": "missing; add it",
    "extra_forbidden": "unknown key; check its spelling, or remove it",
    "string_type": "must be text; put it in quotes",
    "model_type": "must be a section with keys of its own; indent them below it",
    "model_attributes_type": "must be a section with keys of its own; indent them below it",
    "mapping_type": "must be a section with keys of its own; indent them below it",
    "dict_type": "must be a section with keys of its own; indent them below it",
    "tuple_type": "must be a list; write [one, two], or a line with a dash for each",
    "list_type": "must be a list; write [one, two], or a line with a dash for each",
    "path_not_directory": "is not an existing folder; make it, or write null",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and what to do about it."""

    path: str
    """The key's place, such as ``channels.sms.auth_token``; the file's name where no key is to blame."""
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


class ConfigError(Exception):
    """The configuration does not hold; one line for each problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: Sequence[Problem] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def problems_of(error: ValidationError, prefix: tuple[str | int, ...] = ()) -> list[Problem]:
    """Say a validation's errors in our words; ``prefix`` is the path of what was validated."""
    return [Problem(dotted((*prefix, *details["loc"])), _text(details)) for details in error.errors(include_url=False)]


def dotted(path: Iterable[str | int]) -> str:
    """Write a path as ``business.services.0.minutes``."""
    # pydantic marks an error in a mapping's key itself with the step "[key]".
    return ".".join(str(step) for step in path if step != "[key]") or "config.yaml"


def _text(details: Mapping[str, Any]) -> str:
    kind = details["type"]
    if kind in _WORDS:
        return _WORDS[kind]
    if kind in {"string_too_short", "too_short"} and details.get("ctx", {}).get("min_length") == 1:
        return "must not be empty; fill it in"
    message = str(details["msg"])
    if kind != "value_error":  # pydantic's own words quote no input
        return re.sub(r"^[A-Z][a-z]+ should", "must", message)
    return _without(message.removeprefix("Value error, "), details.get("input"))


def _without(message: str, given: Any) -> str:
    """Hide every text of the input from a message: a validator may quote what it refuses, and that may be a secret."""
    for text in sorted(_texts(given), key=len, reverse=True):
        if len(text) >= _SHORTEST_SECRET:
            message = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", _HIDDEN, message)
    return message


def _texts(given: Any) -> Iterator[str]:
    if isinstance(given, str):
        yield given
    elif isinstance(given, Mapping):
        for value in given.values():
            yield from _texts(value)
    elif isinstance(given, Sequence):
        for value in given:
            yield from _texts(value)
