"""A mail taken apart as the providers do it: with the standard library's own reader of mail, and for good mail only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import getaddresses


@dataclass(frozen=True, slots=True)
class Attached:
    """A file in a mail."""

    name: str
    content_type: str
    content: bytes
    content_id: str
    """Without angle brackets; empty where there is none."""


@dataclass(slots=True)
class Parts:
    """What a mail consists of."""

    decoded: list[tuple[str, str]]
    """The headers as people read them."""
    head: bytes
    """The header block, without the empty line behind it."""
    text: tuple[bytes, str] | None = None
    """The body in its own charset, and which that is."""
    html: tuple[bytes, str] | None = None
    attached: list[Attached] = field(default_factory=list)

    def header(self, name: str) -> str:
        """Return the first header of that name, decoded; empty where there is none."""
        return next((value for key, value in self.decoded if key.lower() == name), "")

    def people(self, name: str) -> list[tuple[str, str]]:
        """Return the names and addresses in a header."""
        return getaddresses([self.header(name)])


def take_apart(raw: bytes) -> Parts:
    """Take a mail apart."""
    message = message_from_bytes(raw, policy=policy.default)
    head = raw.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    parts = Parts([(name, str(value)) for name, value in message.items()], head)
    assert isinstance(message, EmailMessage)
    for part in _leaves(message):
        _add(parts, part)
    return parts


def _leaves(message: EmailMessage) -> Iterator[EmailMessage]:
    """Yield the parts that have content; an attached mail is one."""
    if message.get_content_maintype() != "multipart":
        yield message
        return
    for part in message.iter_parts():
        assert isinstance(part, EmailMessage)
        yield from _leaves(part)


def _add(parts: Parts, part: EmailMessage) -> None:
    kind = part.get_content_type()
    is_body = part.get_content_disposition() != "attachment" and part.get_filename() is None
    if is_body and kind in ("text/plain", "text/html"):
        payload = part.get_payload(decode=True)
        body = (payload if isinstance(payload, bytes) else b"", part.get_content_charset("us-ascii"))
        if kind == "text/html":
            parts.html = parts.html or body
        else:
            parts.text = parts.text or body
        return
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):  # an attached mail
        inner = part.get_payload(0)
        content = inner.as_bytes(policy=policy.SMTP) if isinstance(inner, EmailMessage) else b""
    name = part.get_filename() or "untitled"
    parts.attached.append(Attached(name, kind, content, str(part.get("Content-ID") or "").strip("<> ")))


def as_text(body: tuple[bytes, str] | None) -> str:
    """Return a body as text."""
    return "" if body is None else body[0].decode(body[1], "replace")
