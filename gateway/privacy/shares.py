"""What of a request that was kept whole is one person's, and what is everybody else's.

Meta posts the events of up to a thousand people at once. Whose an event is says its channel's own reading; of what
nobody can read, the fields that hold an address and nothing else. A number among somebody else's words makes nothing
theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from channels.abilities import ParsesInWorker
from channels.base import Channel, Event, Parsed, Request, Status
from channels.errors import PayloadError
from gateway.media import MediaStore
from gateway.privacy.naming import Names
from gateway.privacy.pruning import TEXTS, Pruning
from gateway.reader import Readers
from gateway.roster import Roster
from gateway.storage.tables import RejectedWebhook

PARSE_TIMEOUT_S = 10.0
SEARCH_TIMEOUT_S = 60.0
IN_A_PROCESS = 128 * 1024
"""Bytes from which on a search is worth the way to another process."""
WHO = ("sender", "recipient", "new_sender", "identity")
"""Where events name the customer."""
MAX_FIELDS = 1000


@dataclass(frozen=True, slots=True)
class Share:
    """One request, divided."""

    theirs: bytes
    """What is the person's; empty where nothing is."""
    rest: Request | None
    """The request without it: the same one where nothing is theirs, None where nothing else is in it."""


class Shares:
    """Divides requests between one person and everybody else."""

    def __init__(self, roster: Roster, readers: Readers, names: Names) -> None:
        self._roster = roster
        self._readers = readers
        self._names = names

    async def of(self, channel_name: str, request: Request) -> Share:
        """Divide a request that came for a channel."""
        request = await asyncio.to_thread(_in_memory, request)
        if not await self.may_name(_bytes_of(request)):
            return Share(b"", request)
        channel = self._roster.get(channel_name)
        parsed = None if channel is None else await self._parse(channel, request)
        return await asyncio.to_thread(self._divide, channel, request, parsed)

    async def may_name(self, data: bytes) -> bool:
        """Tell whether some bytes name the person at all.

        Large ones are read in another process: while ``re`` goes through megabytes, no thread of this one runs.
        """
        if len(data) > IN_A_PROCESS:
            with contextlib.suppress(PayloadError):  # it broke, and here it will not
                return await self._readers.run(self._names.in_bytes, data, timeout_s=SEARCH_TIMEOUT_S)
        return await asyncio.to_thread(self._names.in_bytes, data)

    async def _parse(self, channel: Channel, request: Request) -> Parsed | None:
        """Read a request as its channel does; None where that cannot be."""
        if not isinstance(channel, ParsesInWorker):
            return await asyncio.to_thread(_parse, channel, request)
        try:
            return await self._readers.run(channel.parse_in_worker, request, timeout_s=PARSE_TIMEOUT_S)
        except PayloadError:
            return None

    def _divide(self, channel: Channel | None, request: Request, parsed: Parsed | None) -> Share:
        pruning = None
        if not isinstance(channel, ParsesInWorker):  # what such a channel is sent is one message each
            pruning = Pruning.of(request.body, self._names.has)
        if pruning is not None:
            share = self._prune(channel, request, parsed, pruning)
            if share.theirs:
                return share
        theirs, others = self._sorted(parsed)
        if others or not (theirs or (pruning is None and self._has_field(request))):
            return Share(b"", request)
        return Share(_bytes_of(request), None)

    def _prune(self, channel: Channel | None, request: Request, parsed: Parsed | None, pruning: Pruning) -> Share:
        _, others = self._sorted(parsed)

        def others_keep_theirs(body: bytes | None) -> bool:
            if channel is None or parsed is None:
                return True
            left = None if body is None else _parse(channel, replace(request, body=body))
            return self._sorted(left)[1] == others

        pruning.run(others_keep_theirs)
        if not pruning.dropped:
            return Share(b"", request)
        if pruning.body is None:
            return Share(_bytes_of(request), None)
        rest = replace(request, body=pruning.body)
        left = None if channel is None else _parse(channel, rest)
        is_bare = left is not None and not left.events and left.unreadable is None
        return Share(json.dumps(pruning.dropped, ensure_ascii=False).encode(), None if is_bare else rest)

    def _sorted(self, parsed: Parsed | None) -> tuple[list[Event], list[Event]]:
        """Return the person's events and the others'; a report on a message that we do not know is nobody's."""
        theirs: list[Event] = []
        others: list[Event] = []
        for event in () if parsed is None else parsed.events:
            names = [str(name) for name in _names_of(event) if name]
            if any(map(self._names.has, names)):
                theirs.append(event)
            elif not isinstance(event, Status):
                others.append(event)
        return theirs, others

    def _has_field(self, request: Request) -> bool:
        """Tell whether a field of the request is one of the person's names; without fields, whether it names them."""
        fields = dict(_form_of(request))
        if not fields:
            return self._names.in_bytes(_bytes_of(request))
        return any(self._names.has(value) for name, value in fields.items() if name.lower() not in TEXTS)


def _names_of(event: Event) -> Iterator[str | None]:
    names = ("external_id", "delivery_id") if isinstance(event, Status) else WHO
    return (getattr(event, name, None) for name in names)


def _parse(channel: Channel, request: Request) -> Parsed | None:
    try:
        return channel.parse(request)
    except Exception:  # noqa: BLE001  why it cannot be read was said when it came
        return None


def _form_of(request: Request) -> Iterator[tuple[str, str]]:
    """Return the fields of a form, and of the query of its address."""
    texts = [request.target.partition("?")[2]]
    if "form-urlencoded" in (request.header("Content-Type") or "form-urlencoded"):
        texts.append(request.body.decode("utf-8", "replace"))
    for text in texts:
        if "=" in text and not text.lstrip().startswith(("{", "[")):
            try:
                yield from parse_qsl(text, strict_parsing=True, max_num_fields=MAX_FIELDS)
            except ValueError:
                continue


def request_of(row: RejectedWebhook, files: MediaStore) -> Request:
    """Return the request that a row keeps; a long body is in a file."""
    headers = tuple((name, value) for name, value in row.headers or ())
    file = None if row.body_sha256 is None else files.path(row.body_sha256)
    return Request(row.method, row.target, headers, row.body, file)


def _in_memory(request: Request) -> Request:
    try:
        return request.in_memory()
    except FileNotFoundError:  # its body is gone: what is left is its headers
        return replace(request, file=None)


def _bytes_of(request: Request) -> bytes:
    """Return all that a request says."""
    head = [request.target, *(f"{name}: {value}" for name, value in request.headers)]
    return "\n".join([*head, "", ""]).encode("utf-8", "surrogatepass") + request.body
