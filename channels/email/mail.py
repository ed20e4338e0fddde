"""One message that has been read: clean text and plain parts, whatever its bytes were."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """A file that came with a message."""

    number: int
    """Its place among the message's parts, from 1."""
    content_type: str
    """In lower case, without parameters; ``application/octet-stream`` where it is none."""
    content: bytes
    name: str | None = None
    """A bare file name, without a path or control characters."""
    content_id: str | None = None
    """Without its angle brackets (RFC 2392); the text may show the file by it."""
    is_inline: bool = False
    """Whether the HTML shows it: it is named there, whatever its disposition says."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One address of a header."""

    address: str
    """In lower case; checked to look like one."""
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Mail:
    """A message."""

    headers: tuple[tuple[str, str], ...]
    """The top headers in their order: names in lower case, values decoded, unfolded and without control characters."""
    text: str = ""
    """The whole readable text, quotes and all; ``\\n`` ends its lines. Empty where there is only HTML."""
    html: str = ""
    """The HTML as it came, decoded; empty where there is none."""
    parts: tuple[Part, ...] = ()
    """Files and pictures. An attached message is one of them, and so are the parts of a report."""
    content_type: str = "text/plain"
    """Of the message as a whole, in lower case."""
    report_type: str | None = None
    """``delivery-status``, ``feedback-report``, ``disposition-notification`` of a ``multipart/report`` (RFC 6522)."""
    defects: tuple[str, ...] = ()
    """What had to be guessed or left out, in our words."""

    def header(self, name: str) -> str | None:
        """Return the first header of that name, which is given in lower case, or None."""
        return next((value for key, value in self.headers if key == name), None)

    def headers_named(self, name: str) -> tuple[str, ...]:
        """Return every header of that name, which is given in lower case, topmost first."""
        return tuple(value for key, value in self.headers if key == name)
