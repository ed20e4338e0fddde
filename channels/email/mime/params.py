"""Structured headers of a part: a value with parameters (RFC 2045, 5.1), also cut up and encoded (RFC 2231)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import unquote_to_bytes

from channels.email.mime.charsets import clean_line, decode
from channels.email.mime.limits import MAX_NAME_CHARACTERS
from channels.email.mime.words import decode_words

# No step back (``++``, ``*+``): linear on whatever stands there. A quoted value may lack its end.
_PARAMETER = re.compile(
    r';\s*+([^\s=;"*]{1,60})(?:\*(\d{1,3}))?(\*)?\s*+=\s*+(?:"((?:[^"\\]++|\\.)*+)|([^;]*+))', re.DOTALL
)
# Only these two are escaped: Windows programs write paths with single backslashes.
_ESCAPED = re.compile(r'\\(["\\])')
_TYPE = re.compile(r"\s*+([\w!#$&^.+-]{1,80})\s*+/\s*+([\w!#$&^.+-]{1,100})", re.ASCII)
_SHORT_TYPES = {"text": "text/plain", "plain": "text/plain", "html": "text/html"}
# Windows refuses the first of these, and eyes miss the rest.
_NOT_IN_NAMES = re.compile(r'[<>:"|?*\u200b-\u200f\u2060-\u2064\ufeff]')
# learn.microsoft.com/windows/win32/fileio/naming-a-file, "Naming conventions", read 2026-11
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Structured:
    """A header's value and its parameters."""

    value: str = ""
    """In lower case."""
    params: Mapping[str, str] = field(default_factory=dict)


Segment = tuple[int | None, bool, str]
"""Its number, whether it is percent-encoded, and its text (RFC 2231, 3 and 4)."""


def read_structured(value: str | None) -> Structured:
    """Read ``text/plain; charset=utf-8`` and its like; of repeated parameters the first counts."""
    if value is None:
        return Structured()
    main = value.partition(";")[0]
    if "=" in main:  # a parameter alone, without a value before it
        main, value = "", ";" + value
    segments: dict[str, list[Segment]] = {}
    for name, number, extended, quoted, bare in _PARAMETER.findall(value):
        text = _ESCAPED.sub(r"\1", quoted) if quoted else bare.strip()
        segments.setdefault(name.lower(), []).append((int(number) if number else None, bool(extended), text))
    return Structured(main.strip().lower(), {name: _joined(found) for name, found in segments.items()})


def _joined(segments: list[Segment]) -> str:
    """Return a parameter's value: the encoded one rather than the plain one beside it (RFC 6266, 4.3, says so too)."""
    whole = next((text for number, extended, text in segments if number is None and extended), None)
    if whole is not None:
        return _unescaped([(True, whole)])
    numbered = sorted((s for s in segments if s[0] is not None), key=lambda segment: segment[0] or 0)
    if numbered:
        return _unescaped([(extended, text) for _, extended, text in numbered])
    return segments[0][2]


def _unescaped(segments: Iterable[tuple[bool, str]]) -> str:
    """Join segments; the first names the character set, if any of them is encoded."""
    data = bytearray()
    charset: str | None = None
    for place, (extended, text) in enumerate(segments):
        if extended and place == 0 and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        data += unquote_to_bytes(text) if extended else text.encode("utf-8", "surrogatepass")
    return decode(bytes(data), charset)[0]


def media_type(value: str | None) -> str | None:
    """Return a content type in lower case without parameters, or None where there is none that can be read."""
    match = _TYPE.match(value or "")
    if match:
        return f"{match[1]}/{match[2]}".lower()
    return _SHORT_TYPES.get((value or "").partition(";")[0].strip().lower())


def safe_name(value: str | None) -> str | None:
    """Return a bare file name that harms nobody, or None where nothing is left of it."""
    name = unicodedata.normalize("NFC", clean_line(decode_words(value or "")))
    name = _NOT_IN_NAMES.sub("", re.split(r"[/\\]", name)[-1]).strip(" .")
    if _RESERVED.match(name):
        name = f"_{name}"
    return _shortened(name) or None


def _shortened(name: str) -> str:
    """Cut a long name before its ending."""
    if len(name) <= MAX_NAME_CHARACTERS:
        return name
    ending = PurePosixPath(name).suffix[:20]
    return name[: MAX_NAME_CHARACTERS - len(ending)].rstrip(" .") + ending
