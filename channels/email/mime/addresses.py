"""Addresses and message ids in headers, in linear time, whatever stands there."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

from channels.email.mail import Mailbox
from channels.email.mime.charsets import clean_line
from channels.email.mime.lexing import Kind, pieces
from channels.email.mime.limits import MAX_ADDRESS_CHARACTERS, MAX_MESSAGE_IDS
from channels.email.mime.words import decode_words

_ATOM = r"[\w!#$%&'*+/=?^`{|}~-]"  # RFC 5322, 3.2.3 and RFC 6532, 3.2
# Some Japanese carriers gave out addresses with dots side by side, and before the @.
_LOCAL = re.compile(rf"{_ATOM}+(?:\.+{_ATOM}+)*\.?")
_DOMAIN = re.compile(r"(?:[a-z0-9_][a-z0-9_-]{0,62}\.)*[a-z0-9][a-z0-9-]{0,62}|\[(?:ipv6:)?[0-9a-f:.]{2,45}\]")
_AROUND = re.compile(r"\s*([@.])\s*")
_MAX_RAW_ADDRESS = 400  # characters, with white space and a route; looked at no further
_QUOTES = str.maketrans('"()', "   ")
_MESSAGE_ID = re.compile(r"<([^<>\s]{1,250})>")
_BARE_ID = re.compile(r"[^<>\s,;\"()@]{1,200}@[^<>\s,;\"()@]{1,200}")


def read_addresses(value: str) -> tuple[Mailbox, ...]:
    """Return the mailboxes of a header in their order, those of groups among them; what is none is left out.

    ``value`` is decoded as :attr:`Mail.headers <channels.email.mail.Mail.headers>` has it. Where it can be read in
    several ways, all addresses that somebody could see in it are returned, so that nobody can hide one behind another.
    """
    found = tuple(_mailboxes(value))
    if found or "@" not in value or ("<" in value and _is_balanced(value)):
        return found
    # A quote or a parenthesis that never ends has swallowed them, or there is nothing but a quoted one.
    return tuple(_mailboxes(value.translate(_QUOTES)))


def message_ids(value: str) -> tuple[str, ...]:
    """Return the ids of a Message-ID, In-Reply-To or References header in their order, once each, without brackets.

    Where nothing is in brackets, what looks like an id all the same.
    """
    found = _MESSAGE_ID.findall(value) or _BARE_ID.findall(value)
    return tuple(dict.fromkeys(found))[:MAX_MESSAGE_IDS]


@dataclass(slots=True)
class _Entry:
    """What stands between two separators."""

    name: list[str] = field(default_factory=list)
    bare: list[str] = field(default_factory=list)
    """What may be an address without brackets."""
    angles: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)

    def take(self, kind: Kind, text: str) -> None:
        match kind:
            case Kind.ANGLE:
                self.angles.append(text)
            case Kind.COMMENT:
                self.comments.append(text)
            case Kind.QUOTED:
                self.name.append(text)
                self.bare.append(text if _LOCAL.fullmatch(text) else " ")  # "customer"@example.com, needlessly quoted
            case _:
                self.name.append(text)
                self.bare.append(text)

    def mailboxes(self, before: str) -> Iterator[Mailbox]:
        """Yield what is in brackets, or else what looks like an address; ``before`` begins the name."""
        bracketed = [address for angle in self.angles if (address := _address(angle)) is not None]
        if bracketed:
            name = _name(before + "".join(self.name)) or _name(" ".join(self.comments))
            yield from (Mailbox(address, name if name != address else None) for address in bracketed)
            return
        words = _spaced("".join(self.bare)).split()
        addresses = {word: address for word in words if (address := _address(word)) is not None}
        rest = " ".join(word for word in words if word not in addresses) if addresses else ""
        yield from (Mailbox(address, _name(" ".join(self.comments)) or _name(rest)) for address in addresses.values())


def _mailboxes(value: str) -> Iterator[Mailbox]:
    entry, before = _Entry(), ""
    for kind, text in (*pieces(value), (Kind.SPECIAL, ",")):
        if kind is not Kind.SPECIAL:
            entry.take(kind, text)
            continue
        found = tuple(entry.mailboxes(before))
        yield from found
        is_comma_in_name = text == "," and not found
        before = f"{''.join(entry.name).strip()}, " if is_comma_in_name and any(entry.name) else ""
        entry = _Entry()


def _is_balanced(value: str) -> bool:
    return value.count('"') % 2 == 0 and value.count("(") == value.count(")")


def _spaced(text: str) -> str:
    """Return a short text without the white space that an address may have in it (RFC 5322, 4.4)."""
    return _AROUND.sub(r"\1", text) if "@" in text and len(text) <= _MAX_RAW_ADDRESS else text


def _name(text: str) -> str | None:
    return " ".join(clean_line(decode_words(text)).split()).strip(" '\"<>") or None


def _address(text: str) -> str | None:
    """Return an address in lower case with its domain in ASCII, or None where it does not look like one."""
    if "@" not in text or len(text) > _MAX_RAW_ADDRESS:
        return None
    text = _spaced(text.strip(" \t'")).removeprefix("mailto:")
    if text.startswith("@"):  # a route, which nobody follows (RFC 5322, 4.4)
        text = text.partition(":")[2]
    local, _, domain = text.rpartition("@")
    local = unicodedata.normalize("NFC", local.strip('"')).lower()
    name = _ascii_domain(domain.rstrip("."))
    if name is None or not _LOCAL.fullmatch(local) or len(local) + len(name) >= MAX_ADDRESS_CHARACTERS:
        return None
    return f"{local}@{name}"


def _ascii_domain(domain: str) -> str | None:
    if not domain.isascii():
        import idna  # its tables are large, and most mail needs none

        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except UnicodeError:
            return None
    return domain.lower() if _DOMAIN.fullmatch(domain.lower()) else None
