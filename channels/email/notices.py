"""The machine-readable part of a report: groups of fields (RFC 3464, section 2.1; RFC 5965, section 3). Pure."""

from __future__ import annotations

from collections.abc import Mapping

Fields = Mapping[str, str]
"""Names in lower case; of a name that stands twice in a group, the first."""

_MAX_GROUPS = 200
_MAX_VALUE = 4096  # characters: a server's words go on over many lines, but not for ever


def read_fields(text: str) -> tuple[Fields, ...]:
    """Return the groups that empty lines divide; lines that are no fields are passed over."""
    groups: list[dict[str, str]] = [{}]
    name = ""
    for line in text.splitlines():
        if not line.strip():
            if groups[-1]:
                groups.append({})
            name = ""
        elif line[0] in " \t":
            if name and len(groups[-1][name]) < _MAX_VALUE:
                groups[-1][name] += " " + line.strip()
        else:
            name = _add(groups[-1], line)
        if len(groups) > _MAX_GROUPS:
            break
    return tuple(group for group in groups if group)


def _add(group: dict[str, str], line: str) -> str:
    """Add a field; return its name, or nothing where what continues it is not wanted."""
    name, colon, value = line.partition(":")
    name = name.strip().lower()
    if not colon or not name or name in group:
        return ""
    group[name] = value.strip()
    return name
