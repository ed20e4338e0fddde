"""The YAML of a configuration as plain values: every key a text that stands once, every value what it looks like."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from gateway.config.errors import ConfigError, Problem, dotted
from gateway.config.references import References, Unresolved

Place = tuple[str | int, ...]

_YAML = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """Reads plain words nearly as YAML 1.2's core schema does.

    YAML 1.1, which PyYAML speaks, turns +15550100001 into a number, 22:30 into 1350 and ``on`` into true; even 1.2
    takes the plus sign away from a phone number, and 0123 its nought, so those two stay text here.
    """

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own name for its class-wide table


# https://yaml.org/spec/1.2.2/#1032-tag-resolution, without signs, octal and hexadecimal numbers, infinity and NaN
for _name, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^-?(?:0|[1-9][0-9]*)$", list("-0123456789")),
    ("float", r"^-?(?:0|[1-9][0-9]*)\.[0-9]+$", list("-0123456789")),
):
    _Loader.add_implicit_resolver(_YAML + _name, re.compile(_pattern), _first)

_SCALARS: Mapping[str, Callable[[str], Any]] = {
    f"{_YAML}str": str,
    f"{_YAML}null": lambda _: None,
    f"{_YAML}bool": lambda text: text.lower() == "true",
    f"{_YAML}int": int,
    f"{_YAML}float": float,
}


def read(text: str, source: str, references: References) -> Any:
    """Return the file's values, with references still hidden in the strings.

    ``source`` is what the file is called in an error.

    Raises:
        ConfigError: it is not YAML, a key stands twice, or a tag asks for more than plain values.
    """
    try:
        node = yaml.compose(references.hide(text), Loader=_Loader)
        problems: list[Problem] = []
        value = _value(node, (), problems, references) if node is not None else None
    except yaml.MarkedYAMLError as error:
        raise ConfigError([Problem(_place(error, source), f"{_reason(error)}; correct the YAML")]) from None
    except yaml.YAMLError:
        raise ConfigError([Problem(source, "holds characters that YAML does not allow; remove them")]) from None
    except RecursionError:
        raise ConfigError([Problem(source, "an alias refers to itself; write the value out")]) from None
    if problems:
        raise ConfigError(problems)
    return value


def expand(value: Any, path: Place, references: References, problems: list[Problem]) -> Any:
    """Return a value with all references in it replaced; what leads nowhere becomes a problem and None."""
    if isinstance(value, str):
        try:
            return references.expand(value)
        except Unresolved as error:
            problems.append(Problem(dotted(path), str(error)))
            return None
    if isinstance(value, list):
        return [expand(item, (*path, index), references, problems) for index, item in enumerate(value)]
    if isinstance(value, dict):
        return {key: expand(item, (*path, key), references, problems) for key, item in value.items()}
    return value


def _value(node: yaml.Node, path: Place, problems: list[Problem], references: References) -> Any:
    if isinstance(node, yaml.MappingNode) and node.tag == f"{_YAML}map":
        return _mapping(node, path, problems, references)
    if isinstance(node, yaml.SequenceNode) and node.tag == f"{_YAML}seq":
        return [_value(item, (*path, index), problems, references) for index, item in enumerate(node.value)]
    try:
        return _SCALARS[node.tag](node.value)
    except (KeyError, TypeError, ValueError):
        problems.append(Problem(dotted(path), "has a YAML tag that means nothing here; remove it"))
        return None


def _mapping(node: yaml.MappingNode, path: Place, problems: list[Problem], references: References) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            problems.append(Problem(dotted(path), f"has a key that is no word (line {_line(key_node)}); correct it"))
            continue
        key = references.show(key_node.value)
        if key in values:
            problems.append(Problem(dotted((*path, key)), f"stands twice (line {_line(key_node)}); remove one"))
        values[key] = _value(value_node, (*path, key), problems, references)
    return values


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _place(error: yaml.MarkedYAMLError, source: str) -> str:
    mark = error.problem_mark or error.context_mark
    return source if mark is None else f"{source} line {mark.line + 1}"


def _reason(error: yaml.MarkedYAMLError) -> str:
    """Say PyYAML's reason with its signs and token names, and without what it quotes: that may be a secret."""
    return re.sub(r"'(?!<[a-z ]+>'|.{1,2}')[^']*'|\"[^\"]*\"", "…", error.problem or "is not YAML")
