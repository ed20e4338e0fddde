"""``${NAME}``, ``${NAME:-default}``, ``${file:PATH}`` and ``$$`` inside the strings of a configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

READ_ENV = "set -a; . ./.env; set +a"
# Two characters for private use stand around a number while YAML reads the file.
_OPEN, _CLOSE = "\ue000", "\ue001"
_REFERENCE = re.compile(r"\$?\$\{[^}\n]*\}|\$\$")
_HIDDEN = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Unresolved(Exception):
    """A reference leads nowhere; the text says why and what to do."""


class References:
    """The references of one file, taken out before YAML reads it.

    In ``{keys: [${API_KEY}]}`` their braces would otherwise be YAML's own.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._sources: list[str] = []

    def hide(self, text: str) -> str:
        """Put a mark in the place of each reference; lines stay where they are."""
        return _REFERENCE.sub(self._mark, text.replace(_OPEN, "").replace(_CLOSE, ""))

    def show(self, text: str) -> str:
        """Put the references back as they were written."""
        return _HIDDEN.sub(lambda mark: self._sources[int(mark[1])], text)

    def expand(self, text: str) -> str | None:
        """Put values in the place of the marks; None where nothing but empty values was there.

        Raises:
            Unresolved: a variable or a file is missing, or a reference is not written as one.
        """
        if "${" in text:
            raise Unresolved("a ${ has no } on its line; close it, or write $$ for a dollar sign")
        expanded = _HIDDEN.sub(lambda mark: self._value(self._sources[int(mark[1])]), text)
        return None if text and not expanded else expanded

    def _mark(self, match: re.Match[str]) -> str:
        self._sources.append(match[0])
        return f"{_OPEN}{len(self._sources) - 1}{_CLOSE}"

    def _value(self, source: str) -> str:
        if source.startswith("$$"):
            return source[1:]
        inner = source[2:-1]
        if inner.startswith("file:"):
            return _content(Path(inner.removeprefix("file:")))
        name, separator, default = inner.partition(":-")
        if not _NAME.fullmatch(name) or "${" in default:
            raise Unresolved("write ${NAME}, ${NAME:-default} or ${file:PATH}; references do not nest")
        value = self._environ.get(name, "") or default
        if not value and not separator:
            # An empty variable counts as missing: .env files and compose hand on what nobody has filled in.
            raise Unresolved(
                f"the environment variable {name} is not set or is empty; set it, or read .env: {READ_ENV}"
            )
        return value


def _content(path: Path) -> str:
    try:
        content = path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise Unresolved(f"the file {path} cannot be read ({error.strerror}); make it, or correct the path") from None
    except UnicodeDecodeError:
        raise Unresolved(f"the file {path} is not UTF-8 text; write it as text") from None
    if not content:
        raise Unresolved(f"the file {path} is empty; put the value into it")
    return content
