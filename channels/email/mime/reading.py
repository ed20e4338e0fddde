"""From raw bytes to a :class:`~channels.email.mail.Mail`. Pure."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from channels.email.mail import Mail, Part
from channels.email.mime.bodies import Body, read_body
from channels.email.mime.choosing import HTML
from channels.email.mime.defects import Defect, Defects
from channels.email.mime.fields import Block, read_block, read_headers
from channels.email.mime.params import media_type, read_structured
from channels.email.mime.structure import Node, read_tree
from channels.errors import PayloadError

_NOTHING = b"\0 \t\r\n"

# What we keep and do not open, by content type.
_CLOSED = {
    "multipart/encrypted": Defect.ENCRYPTED,  # RFC 1847
    "application/pgp-encrypted": Defect.ENCRYPTED,  # RFC 3156
    "multipart/signed": Defect.SIGNED,
    "application/ms-tnef": Defect.TNEF,
    "application/vnd.ms-tnef": Defect.TNEF,
    "message/external-body": Defect.ELSEWHERE,  # RFC 2046, 5.2.3
    "message/partial": Defect.ELSEWHERE,
}
_SMIME = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})  # RFC 8551, 3.2
# What a report has in it, where it does not say what it is.
_REPORTS = {
    "message/delivery-status": "delivery-status",  # RFC 3464
    "message/global-delivery-status": "delivery-status",  # RFC 6533
    "message/feedback-report": "feedback-report",  # RFC 5965
    "message/disposition-notification": "disposition-notification",  # RFC 8098
}


def read_mail(raw: bytes) -> Mail:
    """Read a message. What is wrong with it is in its defects.

    Raises:
        PayloadError: it is empty.
    """
    defects = Defects()
    data = _lines(raw, defects)
    block = _headers(data, defects)
    root = read_tree(data, block, defects)
    body = read_body(root, defects)
    _note_closed(root, defects)
    return Mail(
        headers=read_headers(block),
        text=body.text,
        html=body.html,
        parts=tuple(_parts(root, body, defects)),
        content_type=root.content_type,
        report_type=_report_type(root),
        defects=tuple(defects),
    )


def read_head(raw: bytes) -> Mail:
    """Read the headers of a message alone, whatever follows them.

    Raises:
        PayloadError: it is empty.
    """
    defects = Defects()
    block = _headers(_lines(raw, defects), defects)
    declared = block.first(b"content-type")
    content_type = media_type(declared) or "text/plain"
    is_report = content_type == "multipart/report"
    return Mail(
        headers=read_headers(block),
        content_type=content_type,
        report_type=read_structured(declared).params.get("report-type", "").lower() or None if is_report else None,
        defects=tuple(defects),
    )


def _lines(raw: bytes, defects: Defects) -> bytes:
    r"""Return a message whose lines end with ``\n``, or with that behind ``\r``, and that begins with its headers.

    Raises:
        PayloadError: nothing is in it.
    """
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        defects.add(Defect.UTF16)
        raw = raw.decode("utf-16", "replace").encode()
    data = raw.removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n")
    if not data.strip(_NOTHING):
        raise PayloadError("the mail is empty")
    if b"\n" not in data and b"\r" in data:
        defects.add(Defect.MAC_LINES)
        data = data.replace(b"\r", b"\n")
    return data


def _headers(data: bytes, defects: Defects) -> Block:
    block = read_block(data, 0, len(data), defects)
    if not block.fields:
        defects.add(Defect.NO_HEADERS)
    return block


def _parts(root: Node, body: Body, defects: Defects) -> Iterator[Part]:
    for node in root.walk():
        if not node.number or node.number in body.used:
            continue
        content = node.content(defects)
        yield Part(
            number=node.number,
            content_type=node.content_type,
            content=content,
            name=_name_of_words(node) if node.number in body.left_out else node.name,
            content_id=node.content_id,
            is_inline=node.content_id is not None and node.content_id in body.shown,
        )


def _name_of_words(node: Node) -> str:
    """Name a text that is a file because it is too long to be shown."""
    return node.name or ("message.html" if node.content_type in HTML else "message.txt")


def _note_closed(root: Node, defects: Defects) -> None:
    for node in root.walk():
        if node.content_type in _SMIME:
            is_signed = node.params.get("smime-type", "").lower() == "signed-data"
            defects.add(Defect.SIGNED if is_signed else Defect.ENCRYPTED)
        elif node.content_type in _CLOSED:
            defects.add(_CLOSED[node.content_type])
        elif (node.name or "").lower() == "winmail.dat":
            defects.add(Defect.TNEF)


def _report_type(root: Node) -> str | None:
    """Return what a report reports, also where a list or a gateway has put it into another multipart."""
    report = next((node for node in root.walk() if node.content_type == "multipart/report"), None)
    if report is None:
        return None
    declared = report.params.get("report-type", "").strip().lower()
    return declared or next((_REPORTS[c.content_type] for c in report.children if c.content_type in _REPORTS), None)
