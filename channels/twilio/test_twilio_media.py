"""Fetching the files that customers send."""

from __future__ import annotations

import pytest

from channels.abilities import Media
from channels.errors import MediaLater, MediaRefused
from channels.http import Http
from channels.twilio.channel import TwilioChannel
from channels.twilio.test_doubles import ACCOUNT_PATH, TwilioServer

FILE = f"{ACCOUNT_PATH}/Messages/MM1/Media/ME1"


async def test_a_file_is_fetched_with_the_accounts_credentials(channel: TwilioChannel, twilio: TwilioServer) -> None:
    """Twilio's API wants them; the type is told without its parameters."""
    twilio.on("GET", FILE, b"pixels", headers={"Content-Type": "Image/PNG; x=y"})

    assert await channel.fetch_media(f"{twilio.url}{FILE}", 10) == Media(b"pixels", "image/png")
    assert twilio.calls[0].headers["Authorization"].startswith("Basic ")


async def test_the_storage_behind_gets_no_credentials(http: Http, channel: TwilioChannel, twilio: TwilioServer) -> None:
    """Twilio redirects to a signed address elsewhere, which is enough."""
    async with TwilioServer() as storage:
        http.allow_origin(storage.url)
        storage.on("GET", "/signed", b"pixels", headers={"Content-Type": "image/png"})
        twilio.on("GET", FILE, b"", status=307, headers={"Location": f"{storage.url}/signed?key=1"})

        assert (await channel.fetch_media(f"{twilio.url}{FILE}", 10)).content == b"pixels"
        assert "Authorization" not in storage.calls[0].headers


async def test_a_redirected_platform_has_the_media_too(channel: TwilioChannel, twilio: TwilioServer) -> None:
    """With another ``api_base``, an address at Twilio's API means that one."""
    twilio.on("GET", FILE, b"BEGIN:VCARD", headers={"Content-Type": "text/vcard"})

    assert (await channel.fetch_media(f"https://api.twilio.com{FILE}", 20)).content_type == "text/vcard"


@pytest.mark.parametrize(
    "content_type", ["application/x-msdownload", "application/zip", "", "imagepng", "application/octet-stream"]
)
async def test_a_file_of_another_type_is_refused(
    channel: TwilioChannel, twilio: TwilioServer, content_type: str
) -> None:
    """Pictures, sound, films, text and PDF are what a customer sends."""
    twilio.on("GET", FILE, b"MZ", headers={"Content-Type": content_type})

    with pytest.raises(MediaRefused, match="type"):
        await channel.fetch_media(f"{twilio.url}{FILE}", 10)


async def test_a_file_that_is_too_large_is_refused(channel: TwilioChannel, twilio: TwilioServer) -> None:
    """The cap is the caller's."""
    twilio.on("GET", FILE, b"x" * 11, headers={"Content-Type": "image/png"})

    with pytest.raises(MediaRefused, match="10 bytes"):
        await channel.fetch_media(f"{twilio.url}{FILE}", 10)


async def test_a_file_that_is_not_there_yet_is_asked_for_again(channel: TwilioChannel, twilio: TwilioServer) -> None:
    """A webhook can be faster than Twilio's own storage."""

    with pytest.raises(MediaLater):
        await channel.fetch_media(f"{twilio.url}{FILE}", 10)
