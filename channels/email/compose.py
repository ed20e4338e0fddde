"""A mail of ours as bytes (RFC 5322): the same arguments give the same bytes, and no text can add a header. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import format_datetime
from mimetypes import guess_extension
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from channels.abilities import Media
from channels.base import Answered, Outbound
from channels.email.references import References
from channels.email.settings import EmailSettings
from channels.email.wire import (
    bare_name,
    clean,
    file_part,
    header,
    mailbox,
    multipart,
    on_the_wire,
    text_part,
    unstructured,
)
from channels.email.wording import subject_of, words_of
from channels.errors import Refused

LINK_OVER_BYTES = 7_000_000
"""Of all files together: in base64 they are 9.6 MB, and Postfix takes 10 MB where nobody has set anything else."""
INSTANCE = "X-Frontdesk-Instance"
INVITE = "invite.ics"

_MAX_REFERENCES = 20  # the first and the last 19: RFC 5322 has no limit, some relays do
_ID = re.compile(r"[!-;=?-~]{1,250}")  # printable ASCII without angle brackets
_ID_IN_TEXT = re.compile(r"<([!-;=?-~]{1,250})>")
_METHOD = re.compile(r"^METHOD:[ \t]*([A-Za-z-]{1,20})[ \t]*$", re.MULTILINE | re.IGNORECASE)
_HTTPS = re.compile(r"https://[!-;=?-~]{1,900}", re.IGNORECASE)


def compose(
    outbound: Outbound,
    answered: Answered | None,
    settings: EmailSettings,
    *,
    now: datetime,
    files: Mapping[str, Media],
    unsubscribe_url: str | None = None,
    link_over_bytes: int = LINK_OVER_BYTES,
) -> bytes:
    """Return the mail that a delivery is.

    ``files`` are the attachments that could be fetched, by their addresses. They are attached as long as they have at
    most ``link_over_bytes`` together; the others become links, and what has no address of its own is attached anyway.
    ``unsubscribe_url`` is where one click stops what we begin (RFC 8058).

    Raises:
        Refused: the recipient's address is none, or a file is nowhere.
        ValueError: the delivery's id is no UUID.
    """
    recipient = on_the_wire(outbound.recipient)
    attached, links = _shared_out(outbound.content.attachment_urls, files, link_over_bytes)
    text = "\n\n".join(filter(None, (outbound.content.text.strip(), "\n".join(links))))
    references = References(settings.signing_key, settings.address)
    body = _body(outbound, text, answered, [(name, files[url]) for name, url in attached], references)
    headers = [
        ("Date", format_datetime(now)),
        ("From", mailbox(settings.address, settings.name)),
        ("To", recipient),
        ("Subject", unstructured(subject_of(answered, outbound.content.subject or settings.name or settings.address))),
        *_threading(outbound, answered, references, settings),
        *_manners(outbound, answered, references),
        *(_unsubscribing(settings.address, unsubscribe_url) if outbound.silent_s is None else ()),
        ("MIME-Version", "1.0"),
    ]
    return b"".join(header(name, value) for name, value in headers) + body


# --- headers ---


def _threading(
    outbound: Outbound, answered: Answered | None, references: References, settings: EmailSettings
) -> list[tuple[str, str]]:
    headers = [("Message-ID", f"<{references.message_id(outbound.delivery_id)}>")]
    parent = _parent(answered)
    if answered is not None and parent is not None:
        headers.append(("In-Reply-To", f"<{parent}>"))
        headers.append(("References", "\r\n ".join(f"<{id_}>" for id_ in _ancestors(answered.metadata, parent))))
    if settings.plus_addressing:
        address = references.reply_address(outbound.delivery_id, outbound.recipient)
        if address is not None:
            headers.append(("Reply-To", mailbox(address, settings.name)))
    return headers


def _parent(answered: Answered | None) -> str | None:
    """Return the Message-ID of the mail that is answered; one that came without is known by a hash, without an @.

    Another mail under the same Message-ID has a mark behind it in our database.
    """
    found = None if answered is None else _ID_IN_TEXT.match(answered.external_id)
    return found[1] if found is not None and "@" in found[1] else None


def _ancestors(metadata: Mapping[str, Any], parent: str) -> list[str]:
    """Return the thread so far (RFC 5322, section 3.6.4), each id once, ending in the parent."""
    earlier = _ids(metadata.get("references")) or _ids(metadata.get("in_reply_to"))[:1]
    ids = [id_ for id_ in dict.fromkeys(earlier) if id_ != parent] + [parent]
    return ids if len(ids) <= _MAX_REFERENCES else [ids[0], *ids[1 - _MAX_REFERENCES :]]


def _ids(value: Any) -> list[str]:
    """Read Message-IDs with or without their brackets: a list of them, or a header."""
    if isinstance(value, str):
        return _ID_IN_TEXT.findall(value) or [id_ for id_ in value.split() if _ID.fullmatch(id_)]
    if not isinstance(value, Sequence):
        return []
    bare = (str(id_).strip().removeprefix("<").removesuffix(">") for id_ in value)
    return [id_ for id_ in bare if _ID.fullmatch(id_)]


def _manners(outbound: Outbound, answered: Answered | None, references: References) -> list[tuple[str, str]]:
    """Tell other machines what this is, so that none of them answers it (RFC 3834, section 5)."""
    ours = (INSTANCE, references.instance)
    if outbound.by_person:
        return [ours]
    automatic = "auto-generated" if answered is None else "auto-replied"
    # Not "All": Exchange would send no bounces either (MS-OXCMAIL, section 2.2.3.2.14).
    return [ours, ("Auto-Submitted", automatic), ("X-Auto-Response-Suppress", "OOF, AutoReply")]


def _unsubscribing(address: str, url: str | None) -> list[tuple[str, str]]:
    mailto = f"<mailto:{quote(address, safe='@')}?subject=unsubscribe&body=unsubscribe>"
    if url is None or not _HTTPS.fullmatch(url):
        return [("List-Unsubscribe", mailto)]
    return [
        ("List-Unsubscribe", f"<{url}>,\r\n {mailto}"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ]


# --- the body ---


def _body(
    outbound: Outbound,
    text: str,
    answered: Answered | None,
    files: Sequence[tuple[str, Media]],
    references: References,
) -> bytes:
    words = words_of(text, answered, outbound.recipient, references.message_id(outbound.delivery_id))
    alternatives = [text_part(words.text, "text/plain"), text_part(words.html, "text/html")]
    attachments = [file_part(file.content, file.content_type, name) for name, file in files]
    if outbound.content.calendar:
        # Twice, as calendar programs send it: Outlook looks among the alternatives, others at the attachments.
        calendar = clean(outbound.content.calendar).strip() + "\n"
        alternatives.append(text_part(calendar, f'text/calendar; method={_method(calendar)};\r\n name="{INVITE}"'))
        attachments.append(file_part(calendar.replace("\n", "\r\n").encode(), "application/ics", INVITE))
    said = multipart("alternative", alternatives, _boundary(outbound.delivery_id, 1))
    return multipart("mixed", [said, *attachments], _boundary(outbound.delivery_id, 2)) if attachments else said


def _method(calendar: str) -> str:
    found = _METHOD.search(calendar)
    return found[1].upper() if found else "PUBLISH"


def _boundary(delivery_id: str, number: int) -> str:
    return f"=_{hashlib.sha256(delivery_id.encode()).hexdigest()[:32]}_{number}"


def _shared_out(
    urls: Sequence[str], files: Mapping[str, Media], link_over_bytes: int
) -> tuple[list[tuple[str, str]], list[str]]:
    """Return what is attached, by name and address, and lines that lead to everything else."""
    attached: list[tuple[str, str]] = []
    links: list[str] = []
    room = link_over_bytes
    for url in urls:
        is_link = url.lower().startswith(("http://", "https://"))
        size = len(files[url].content) if url in files else None
        if size is not None and (size <= room or not is_link):
            room -= size
            attached.append((_name(url, files[url].content_type), url))
        elif is_link:
            links.append(f"{_name(url, '')}: {url}")
        else:
            raise Refused("a file has neither content nor an address for a link", code="unreadable_file")
    return attached, links


def _name(url: str, content_type: str) -> str:
    try:
        path = "" if url.startswith("data:") else urlsplit(url).path
    except ValueError:  # it is no address
        path = ""
    name = bare_name(unquote(path.rpartition("/")[2]))
    return name if "." in name else name + (guess_extension(content_type) or "")
