"""The files that customers send: fetched once, kept under the hash of their bytes in ``data.dir``."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile

import structlog

from channels.abilities import FetchesMedia
from channels.abilities import Media as Fetched
from channels.errors import MediaLater, MediaRefused
from channels.http import Http
from gateway.clock import Clock
from gateway.roster import Roster
from gateway.segment import sync_folder
from gateway.storage import SettleAttachment, Storage, StoredAttachment

log = structlog.get_logger(__name__)

MAX_BYTES = 20 * 1024 * 1024
"""Twilio's WhatsApp and RCS media end at 16 MB, its MMS at 5 MB
(www.twilio.com/docs/messaging/guides/accepted-mime-types, read 2026-11)."""
AT_ONCE = 4
"""Files in memory at the same time; a customer may send a dozen messages of ten files each."""
MAX_ATTEMPTS = 6
FETCH_TIMEOUT_S = 15.0
RETRY_S = 5.0  # a webhook can be faster than the platform's own storage


class MediaStore:
    """Bytes by their SHA-256."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, sha256: str) -> Path:
        """Return where the bytes of this hash are kept."""
        return self._folder / sha256[:2] / sha256

    async def put(self, content: bytes) -> str:
        """Keep bytes and return their hash; the same bytes are kept once, and survive a power cut."""
        return await asyncio.to_thread(self._put, content)

    def _put(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        path = self.path(sha256)
        if not path.exists():
            _make_folder(path.parent)
            # A name of its own: several customers may send the same picture at once.
            with NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).replace(path)
        sync_folder(path.parent)  # also where somebody else has just put it there, who may not have come to this yet
        return sha256

    async def read(self, sha256: str) -> bytes:
        """Return the bytes of this hash.

        Raises:
            FileNotFoundError: they are not here.
        """
        return await asyncio.to_thread(self.path(sha256).read_bytes)


class Media:
    """Fetches what messages point at."""

    def __init__(self, storage: Storage, roster: Roster, store: MediaStore, http: Http, clock: Clock) -> None:
        self._storage = storage
        self._roster = roster
        self.store = store
        self._http = http
        self._clock = clock
        self._room = asyncio.Semaphore(AT_ONCE)

    async def fetch(
        self, channel_name: str | None, attachments: Iterable[StoredAttachment]
    ) -> dict[int, StoredAttachment]:
        """Fetch pending files of one channel, or of a conversation without one; returns what became of each, by id."""
        pending = [attachment for attachment in attachments if attachment.status == "pending"]
        settled = await asyncio.gather(*(self._fetch(channel_name, attachment, 0) for attachment in pending))
        return {attachment.id: attachment for attachment in settled}

    async def fetch_pending_forever(self, every_s: float = 5.0) -> None:
        """Fetch what no turn has fetched: files sent to a person, or not available at first."""
        while True:
            for row, channel_name in await self._storage.pending_attachments(self._clock(), self._roster.names):
                attachment = StoredAttachment(row.id or 0, row.url, row.content_type, row.name, row.status, None)
                await self._fetch(channel_name, attachment, row.attempts)
            await asyncio.sleep(every_s)

    async def _fetch(self, channel_name: str | None, attachment: StoredAttachment, attempts: int) -> StoredAttachment:
        try:
            async with self._room:
                media = await self._download(channel_name, attachment.url)
                sha256 = await self.store.put(media.content)
            settled = SettleAttachment(attachment.id, "stored", media.content_type, sha256, size=len(media.content))
        except MediaRefused as error:
            settled = SettleAttachment(attachment.id, "refused", error=str(error))
        except MediaLater as error:
            settled = self._later(attachment, attempts, str(error))
        except Exception as error:  # a file that nobody expected fails neither its turn nor the files behind it
            log.exception("attachment_broke", attachment_id=attachment.id)
            settled = self._later(attachment, attempts, type(error).__name__)
        await self._storage.run(settled)
        log.info("attachment_settled", attachment_id=attachment.id, status=settled.status)
        content_type = settled.content_type or attachment.content_type
        return StoredAttachment(
            attachment.id, attachment.url, content_type, attachment.name, settled.status, settled.sha256
        )

    async def _download(self, channel_name: str | None, url: str) -> Fetched:
        if channel_name is not None:
            channel = self._roster.get(channel_name)
            if isinstance(channel, FetchesMedia):
                return await channel.fetch_media(url, MAX_BYTES)
            raise MediaRefused("the channel cannot fetch media")
        if url.startswith("data:"):
            return _inline(url)
        response = await self._http.fetch(
            url, headers={}, credentials_origins=(), max_bytes=MAX_BYTES, timeout_s=FETCH_TIMEOUT_S
        )
        content_type = response.headers.get("Content-Type", "application/octet-stream").partition(";")[0].strip()
        if not content_type.startswith("image/"):
            raise MediaRefused("not an image")
        return Fetched(response.body, content_type)

    def _later(self, attachment: StoredAttachment, attempts: int, error: str) -> SettleAttachment:
        if attempts + 1 >= MAX_ATTEMPTS:
            return SettleAttachment(attachment.id, "failed", error=error)
        wait = timedelta(seconds=RETRY_S * 2**attempts)
        return SettleAttachment(attachment.id, "pending", error=error, next_attempt_at=self._clock() + wait)


def _make_folder(folder: Path) -> None:
    """Make a folder and what it lies in for their owner's eyes only, where they are not there yet."""
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
        sync_folder(missing.parent)


def _inline(url: str) -> Fetched:
    """Read a ``data:`` URL (RFC 2397) that carries an image as base64."""
    head, _, data = url.partition(",")
    content_type = head.removeprefix("data:").removesuffix(";base64")
    if not head.endswith(";base64") or not content_type.startswith("image/") or len(data) > MAX_BYTES * 4 // 3:
        raise MediaRefused("not a base64 image, or too large")
    try:
        return Fetched(base64.b64decode(data, validate=True), content_type)
    except ValueError as error:
        raise MediaRefused("not valid base64") from error
