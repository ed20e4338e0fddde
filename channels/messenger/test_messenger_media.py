"""Fetching the files that customers send."""

from __future__ import annotations

import pytest

from channels.abilities import Media
from channels.errors import MediaLater, MediaRefused
from channels.http import Http
from channels.messenger.channel import MessengerChannel
from channels.messenger.media import _is_metas
from channels.meta.test_doubles import GraphServer

BASE = "https://graph.facebook.com"


async def test_a_file_is_fetched_without_credentials(channel: MessengerChannel, graph: GraphServer) -> None:
    """Its address is signed and enough; the type is told without its parameters."""
    graph.on("GET", "/files/1", b"pixels", headers={"Content-Type": "Image/PNG; x=y"})

    assert await channel.fetch_media(f"{graph.url}/files/1", 10) == Media(b"pixels", "image/png")
    assert "Authorization" not in graph.calls[0].headers


ADDRESSES = {
    "https://scontent.xx.fbcdn.net/a.jpg?oh=1": True,
    "https://cdn.fbsbx.com/a.pdf": True,
    "https://lookaside.facebook.com/x": True,
    "https://FBCDN.net/a": True,
    f"{BASE}/files/1": True,
    "http://scontent.xx.fbcdn.net/a.jpg": False,
    "https://evilfbcdn.net/a": False,
    "https://fbcdn.net.evil.example/a": False,
    "https://fbcdn.net@evil.example/a": False,
    "https://graph.facebook.com.evil.example/a": False,
    "https://127.0.0.1/a": False,
    "https://[/a": False,
    "data:image/png;base64,AA": False,
    "": False,
}


@pytest.mark.parametrize(("url", "expected"), ADDRESSES.items())
def test_only_metas_storage_is_visited(url: str, expected: bool) -> None:
    """A webhook that somebody has forged, or a share of a stranger's page, leads nowhere else."""

    assert _is_metas(url, BASE) is expected


async def test_an_address_elsewhere_is_refused(channel: MessengerChannel, graph: GraphServer, http: Http) -> None:
    """Even one that the configuration allows for something else."""
    async with GraphServer() as other:
        http.allow_origin(other.url)
        other.on("GET", "/1", b"pixels", headers={"Content-Type": "image/png"})

        with pytest.raises(MediaRefused, match="Meta's storage"):
            await channel.fetch_media(f"{other.url}/1", 10)
        assert other.calls == []


@pytest.mark.parametrize(
    "content_type",
    ["audio/mp4", "application/pdf", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"],
)
async def test_what_phones_and_offices_send_is_taken(
    channel: MessengerChannel, graph: GraphServer, content_type: str
) -> None:
    """Pictures, sound, films, text and documents."""
    graph.on("GET", "/files/1", b"x", headers={"Content-Type": content_type})

    assert (await channel.fetch_media(f"{graph.url}/files/1", 10)).content_type == content_type


@pytest.mark.parametrize("content_type", ["application/x-msdownload", "application/zip", "", "imagepng"])
async def test_a_file_of_another_type_is_refused(
    channel: MessengerChannel, graph: GraphServer, content_type: str
) -> None:
    """Programs and archives are not what somebody shows a business."""
    graph.on("GET", "/files/1", b"MZ", headers={"Content-Type": content_type})

    with pytest.raises(MediaRefused, match="type"):
        await channel.fetch_media(f"{graph.url}/files/1", 10)


async def test_a_file_that_is_too_large_is_refused(channel: MessengerChannel, graph: GraphServer) -> None:
    """The cap is the caller's."""
    graph.on("GET", "/files/1", b"x" * 11, headers={"Content-Type": "image/png"})

    with pytest.raises(MediaRefused, match="10 bytes"):
        await channel.fetch_media(f"{graph.url}/files/1", 10)


async def test_a_file_that_is_not_there_yet_is_asked_for_again(channel: MessengerChannel, graph: GraphServer) -> None:
    """A webhook can be faster than Meta's own storage."""
    graph.on("GET", "/files/1", b"", status=404)

    with pytest.raises(MediaLater):
        await channel.fetch_media(f"{graph.url}/files/1", 10)
