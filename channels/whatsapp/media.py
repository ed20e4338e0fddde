"""The files that customers send: Meta tells for an id where the file is, for five minutes and only with the token.

developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media, read 2026-11.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass

from channels.abilities import Media
from channels.errors import MediaLater, MediaRefused, Refused, SendError
from channels.http import Http
from channels.meta.graph import Graph
from channels.meta.media import TAKEN
from channels.meta.webhooks import a_text
from channels.whatsapp.settings import WhatsAppSettings
from channels.whatsapp.words import MEDIA

STORAGE = "https://lookaside.fbsbx.com"
"""Where files are; it wants the token, which goes nowhere else but to the API."""
TIMEOUT_S = 20.0

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass(frozen=True, slots=True)
class _Place:
    url: str
    content_type: str
    sha256: str
    size: int | None


async def fetch_media(http: Http, graph: Graph, settings: WhatsAppSettings, url: str, max_bytes: int) -> Media:
    """Download the file that an address of ours stands for.

    Raises:
        MediaLater: it is not there yet.
        MediaRefused: it is too large, of a type that we do not take, gone, or no file of WhatsApp's.
    """
    media_id = url.removeprefix(MEDIA)
    if not url.startswith(MEDIA) or not _ID.fullmatch(media_id):
        raise MediaRefused("not a file of WhatsApp's")
    try:
        return await _fetch(http, graph, settings, media_id, max_bytes)
    except MediaLater:  # the place may have closed in the meantime: Meta says to ask for the id again
        return await _fetch(http, graph, settings, media_id, max_bytes)


async def _fetch(http: Http, graph: Graph, settings: WhatsAppSettings, media_id: str, max_bytes: int) -> Media:
    place = await _find(graph, settings.phone_number_id, media_id)
    if place.size is not None and place.size > max_bytes:
        raise MediaRefused(f"larger than {max_bytes} bytes")
    response = await http.fetch(
        place.url,
        headers={"Authorization": f"Bearer {settings.access_token.get_secret_value()}"},
        credentials_origins=(settings.api_base, STORAGE),
        max_bytes=max_bytes,
        timeout_s=TIMEOUT_S,
    )
    content_type = place.content_type or _type_of(response.headers.get("Content-Type", ""))
    if not content_type.startswith(TAKEN):
        raise MediaRefused(f"a file of type {content_type or 'unknown'}")
    if place.sha256 and place.sha256 not in _digests(response.body):
        raise MediaLater("the file is not what Meta says it is")
    return Media(response.body, content_type)


async def _find(graph: Graph, phone_number_id: str, media_id: str) -> _Place:
    """Ask where a file is, and what it should be."""
    try:
        told = await graph.get(media_id, phone_number_id=phone_number_id)
    except Refused as error:
        raise MediaRefused(f"Meta does not have it: {error}") from error
    except SendError as error:  # a rejected token too: it may be renewed before the file is gone
        raise MediaLater(f"Meta does not tell where it is: {error}") from error
    size = a_text(told.get("file_size"))
    return _Place(
        a_text(told.get("url")),
        _type_of(a_text(told.get("mime_type"))),
        a_text(told.get("sha256")),
        int(size) if size.isascii() and size.isdigit() and len(size) < 16 else None,
    )


def _type_of(header: str) -> str:
    return header.partition(";")[0].strip().lower()


def _digests(content: bytes) -> tuple[str, str]:
    """Return a file's digest as the API has been seen to write it: hexadecimal, and Base64 as in webhooks."""
    digest = hashlib.sha256(content).digest()
    return digest.hex(), base64.b64encode(digest).decode("ascii")
