"""Fetching the files that customers send."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from channels.abilities import Media
from channels.errors import MediaLater, MediaRefused
from channels.http import Http
from channels.meta.test_doubles import GraphServer
from channels.whatsapp.channel import WhatsAppChannel
from channels.whatsapp.test_doubles import NUMBER, TOKEN, error

FILE = "whatsapp-media:9001"
PLACE = "/v26.0/9001"
STORED = "/whatsapp_business/attachments/"
SHA256 = hashlib.sha256(b"pixels")


def is_at(graph: GraphServer, url: str | None = None, **changes: Any) -> dict[str, Any]:
    """Make what the API tells about a file."""
    told = {"messaging_product": "whatsapp", "url": url or f"{graph.url}{STORED}?mid=9001", "mime_type": "image/png"}
    return told | {"sha256": SHA256.hexdigest(), "file_size": 6, "id": "9001"} | changes


async def test_a_file_is_found_by_its_id_and_fetched_with_the_token(
    channel: WhatsAppChannel, graph: GraphServer
) -> None:
    """The API tells where it is for five minutes, and what it is."""
    graph.on("GET", PLACE, is_at(graph))
    graph.on("GET", STORED, b"pixels", headers={"Content-Type": "application/octet-stream"})

    assert await channel.fetch_media(FILE, 10) == Media(b"pixels", "image/png")
    assert [(call.path, dict(call.query)) for call in graph.calls] == [
        (PLACE, {"phone_number_id": NUMBER}),
        (STORED, {"mid": "9001"}),
    ]
    assert {call.headers["Authorization"] for call in graph.calls} == {f"Bearer {TOKEN}"}


async def test_the_token_goes_to_metas_hosts_only(channel: WhatsAppChannel, graph: GraphServer, http: Http) -> None:
    """Wherever the API says that a file is."""
    async with GraphServer() as elsewhere:
        http.allow_origin(elsewhere.url)
        elsewhere.on("GET", "/9001", b"pixels")
        graph.on("GET", PLACE, is_at(graph, f"{elsewhere.url}/9001"))

        assert (await channel.fetch_media(FILE, 10)).content == b"pixels"
        assert "Authorization" not in elsewhere.calls[0].headers


@pytest.mark.parametrize(
    ("told", "content_type", "expected"),
    [
        ({"mime_type": "audio/ogg; codecs=opus"}, "", "audio/ogg"),
        ({"mime_type": None}, "Image/JPEG; x=y", "image/jpeg"),
        ({"sha256": base64.b64encode(SHA256.digest()).decode()}, "", "image/png"),
        ({"sha256": None, "file_size": "6"}, "", "image/png"),
        ({"mime_type": "application/vnd.oasis.opendocument.text", "file_size": "²"}, "", None),
    ],
)
async def test_what_the_api_tells_may_vary(
    channel: WhatsAppChannel, graph: GraphServer, told: dict[str, Any], content_type: str, expected: str | None
) -> None:
    """A digest in hexadecimal or Base64, a size in words, a type with parameters, or none of them."""
    graph.on("GET", PLACE, is_at(graph, **told))
    graph.on("GET", STORED, b"pixels", headers={"Content-Type": content_type})

    assert (await channel.fetch_media(FILE, 10)).content_type == (expected or told["mime_type"])


async def test_a_place_that_has_closed_is_asked_for_once_more(channel: WhatsAppChannel, graph: GraphServer) -> None:
    """Five minutes may have gone by; the id is good for a week."""
    graph.on("GET", PLACE, is_at(graph, f"{graph.url}/closed"))
    graph.then_on("GET", PLACE, is_at(graph))
    graph.on("GET", "/closed", b"", status=404)
    graph.on("GET", STORED, b"pixels")

    assert (await channel.fetch_media(FILE, 10)).content == b"pixels"
    assert [call.path for call in graph.calls] == [PLACE, "/closed", PLACE, STORED]


LATER: dict[str, tuple[tuple[int, Any], tuple[int, bytes]]] = {
    "a place that stays closed": ((200, {}), (404, b"")),
    "a storage out of order": ((200, {}), (500, b"")),
    "other bytes": ((200, {}), (200, b"pixel?")),
    "an API out of order": ((503, b""), (200, b"pixels")),
    "a token that is rejected": ((401, error(190)), (200, b"pixels")),
    "an unreadable answer": ((200, b"<html>"), (200, b"pixels")),
}


@pytest.mark.parametrize("what", LATER)
async def test_a_file_that_is_not_there_yet_is_asked_for_again(
    channel: WhatsAppChannel, graph: GraphServer, what: str
) -> None:
    """It stays at Meta for a week, in which a token may be renewed too."""
    (place_status, place), (status, content) = LATER[what]
    graph.on("GET", PLACE, is_at(graph) if place == {} else place, status=place_status)
    graph.on("GET", STORED, content, status=status)

    with pytest.raises(MediaLater):
        await channel.fetch_media(FILE, 10)


@pytest.mark.parametrize(
    ("told", "match"),
    [
        ({"file_size": 11}, "10 bytes"),
        ({"mime_type": "application/x-msdownload"}, "type"),
        ({"mime_type": "application/zip"}, "type"),
        ({"mime_type": None}, "type"),
        ({"url": None}, "not an address"),
        ({"url": "http://169.254.169.254/latest"}, "HTTPS"),
    ],
)
async def test_a_file_that_we_do_not_take_is_refused(
    channel: WhatsAppChannel, graph: GraphServer, told: dict[str, Any], match: str
) -> None:
    """Too large, of another type, or nowhere."""
    graph.on("GET", PLACE, is_at(graph) | told)
    graph.on("GET", STORED, b"pixels", headers={"Content-Type": "application/octet-stream"})

    with pytest.raises(MediaRefused, match=match):
        await channel.fetch_media(FILE, 10)


async def test_a_file_that_is_larger_than_told_is_refused(channel: WhatsAppChannel, graph: GraphServer) -> None:
    """The cap is the caller's."""
    graph.on("GET", PLACE, is_at(graph))
    graph.on("GET", STORED, b"x" * 11)

    with pytest.raises(MediaRefused, match="10 bytes"):
        await channel.fetch_media(FILE, 10)


async def test_a_file_that_is_gone_is_refused(channel: WhatsAppChannel, graph: GraphServer) -> None:
    """After a week, or after somebody has deleted it."""
    graph.on("GET", PLACE, error(100, "Unsupported get request", error_subcode=33), status=400)

    with pytest.raises(MediaRefused, match="Unsupported get request"):
        await channel.fetch_media(FILE, 10)


@pytest.mark.parametrize("url", ["https://x.example/a.png", "whatsapp-media:", "whatsapp-media:../me", "9001", ""])
async def test_what_is_no_file_of_whatsapps_is_not_asked_for(
    channel: WhatsAppChannel, graph: GraphServer, url: str
) -> None:
    """An id is letters and digits, and leads nowhere else in the API."""
    with pytest.raises(MediaRefused, match="not a file of WhatsApp's"):
        await channel.fetch_media(url, 10)

    assert graph.calls == []
