"""What a request holds: read in the loop or, where its channel calls that hostile, in a process; its files are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import structlog

from channels.abilities import ParsesInWorker
from channels.base import Attachment, Channel, Inbound, Parsed, Request
from channels.errors import PayloadError
from gateway.media import MediaStore
from gateway.reader import Readers, ReadersBusy
from gateway.storage import Accept, Incoming, KeptFile, Rejected
from gateway.storage.tables import ORIGINAL

log = structlog.get_logger(__name__)

PARSE_TIMEOUT_S = 10.0
VOUCH_TIMEOUT_S = 4.0
IN_ROW_BYTES = 256 * 1024
"""A longer body would hold up the database, and the loop while it is written as JSON."""
ORIGINAL_TYPE = "message/rfc822"


class Contents:
    """Reads requests, and puts the files that came along with messages where those that are fetched are put."""

    def __init__(self, readers: Readers, files: MediaStore, vouchers: Readers | None = None) -> None:
        self._readers = readers
        self._vouchers = vouchers or readers
        """Processes of their own: what they wait for is in strangers' hands."""
        self._files = files

    async def parse(self, channel: Channel, request: Request) -> Parsed:
        """Return what a request tells.

        Raises:
            PayloadError: it cannot be read, or not in time.
            ReadersBusy: nobody can read it now.
        """
        if not isinstance(channel, ParsesInWorker):
            return channel.parse(request)
        parsed = await self._readers.run(channel.parse_in_worker, request, timeout_s=PARSE_TIMEOUT_S)
        if channel.vouch_in_worker is None or not channel.needs_vouching(parsed):
            return parsed
        return channel.vouched(parsed, await self._vouch(channel, channel.vouch_in_worker, request))

    async def _vouch(self, channel: Channel, vouch: Callable[[Request], Any], request: Request) -> Any:
        """Ask about a sender, unless those who ask are waiting for somebody else's name server already."""
        if self._vouchers.is_busy:
            log.warning("sender_not_vouched_for", channel=channel.name, reason="busy")
            return None
        try:
            return await self._vouchers.run(vouch, request, timeout_s=VOUCH_TIMEOUT_S)
        except (PayloadError, ReadersBusy) as error:  # that is no reason not to take it
            log.warning("sender_not_vouched_for", channel=channel.name, reason=str(error))
            return None

    async def keep(self, operation: Accept) -> Accept:
        """Put away what an operation carries beside its words; it is on disk when this returns.

        Raises:
            OSError: the disk does not take it.
        """
        rejected = [await self._whole(row) for row in operation.rejected]
        events = [await self._unload(incoming) for incoming in operation.events]
        return replace(operation, events=tuple(events), rejected=tuple(rejected))

    async def _whole(self, row: Rejected) -> Rejected:
        """Put a request's body where it is kept: in its row, or, where it is long, in a file of its own."""
        if row.request.file is None and len(row.request.body) <= IN_ROW_BYTES:
            return row
        bare = replace(row.request, body=b"", file=None)
        try:
            body = await asyncio.to_thread(row.request.content)
        except FileNotFoundError:  # who sent it was never told that we had it, and sends it again
            return replace(row, request=bare)
        if len(body) <= IN_ROW_BYTES:
            return replace(row, request=replace(bare, body=body))
        return replace(row, request=bare, body_sha256=await self._files.put(body))

    async def _unload(self, incoming: Incoming) -> Incoming:
        event = incoming.event
        if not isinstance(event, Inbound) or not _came_along(event):
            return incoming
        files = [
            await self._put(position, attachment.content, attachment)
            for position, attachment in enumerate(event.attachments)
            if attachment.content is not None
        ]
        if event.original is not None:
            named = Attachment(f"mid:{event.external_id.strip('<>')}", ORIGINAL_TYPE, "original.eml")
            files.append(await self._put(ORIGINAL, event.original, named))
        bare = tuple(replace(attachment, content=None) for attachment in event.attachments)
        return replace(incoming, event=replace(event, attachments=bare, original=None), files=tuple(files))

    async def _put(self, position: int, content: bytes, named: Attachment) -> KeptFile:
        sha256 = await self._files.put(content)
        return KeptFile(position, named.url, named.content_type, named.name, sha256, len(content))


def _came_along(event: Inbound) -> Sequence[bytes]:
    brought = [attachment.content for attachment in event.attachments if attachment.content is not None]
    return brought if event.original is None else [*brought, event.original]
