"""The files that customers send: at Meta's storage, under addresses that are signed and need no credentials."""

from __future__ import annotations

from urllib.parse import urlsplit

from channels.abilities import Media
from channels.errors import MediaRefused
from channels.http import Http
from channels.meta.media import TAKEN

# scontent.xx.fbcdn.net, cdn.fbsbx.com, lookaside.facebook.com: .../webhook-events/messages, read 2026-11.
HOSTS = ("fbcdn.net", "fbsbx.com", "facebook.com")
TIMEOUT_S = 20.0


async def fetch_media(http: Http, api_base: str, url: str, max_bytes: int) -> Media:
    """Download a file from Meta's storage, or from where ``api_base`` has redirected the platform.

    Raises:
        MediaLater: it is not there yet.
        MediaRefused: it is too large, of a type that we do not take, or elsewhere.
    """
    if not _is_metas(url, api_base):
        raise MediaRefused("not an address of Meta's storage")
    response = await http.fetch(url, headers={}, credentials_origins=(), max_bytes=max_bytes, timeout_s=TIMEOUT_S)
    content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not content_type.startswith(TAKEN):
        raise MediaRefused(f"a file of type {content_type or 'unknown'}")
    return Media(response.body, content_type)


def _is_metas(url: str, api_base: str) -> bool:
    if url.startswith(f"{api_base}/"):
        return True
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    host = (parts.hostname or "").lower()
    return parts.scheme == "https" and any(host == known or host.endswith(f".{known}") for known in HOSTS)
