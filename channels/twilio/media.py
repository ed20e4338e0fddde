"""The files that customers send: at Twilio, behind the account's credentials, and then at a storage without them."""

from __future__ import annotations

from channels.abilities import Media
from channels.errors import MediaRefused
from channels.http import Http
from channels.twilio.settings import API, TwilioSettings

# What a phone sends: www.twilio.com/docs/messaging/guides/accepted-mime-types, read 2026-11.
TYPES = ("image/", "audio/", "video/", "text/", "application/pdf")
TIMEOUT_S = 20.0


async def fetch_media(http: Http, settings: TwilioSettings, url: str, max_bytes: int) -> Media:
    """Download a file with the account's credentials, which go to Twilio's API alone.

    Raises:
        MediaLater: it is not there yet.
        MediaRefused: it is too large, of a type that we do not take, or elsewhere.
    """
    response = await http.fetch(
        _at_base(url, settings.api_base),
        headers={"Authorization": settings.authorization},
        credentials_origins=(settings.api_base,),
        max_bytes=max_bytes,
        timeout_s=TIMEOUT_S,
    )
    content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not content_type.startswith(TYPES):
        raise MediaRefused(f"a file of type {content_type or 'unknown'}")
    return Media(response.body, content_type)


def _at_base(url: str, api_base: str) -> str:
    """Return where a file of Twilio's API is: ``api_base`` redirects all of the platform, media too."""
    return api_base + url.removeprefix(API) if url.startswith(f"{API}/") else url
