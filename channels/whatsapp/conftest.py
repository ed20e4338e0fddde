"""What the tests of this channel share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from channels.http import Http
from channels.meta.test_doubles import GraphServer
from channels.whatsapp.channel import WhatsAppChannel
from channels.whatsapp.test_doubles import build


@pytest.fixture
async def graph() -> AsyncIterator[GraphServer]:
    """A stand-in for the Graph API."""
    async with GraphServer() as server:
        yield server


@pytest.fixture
def channel(http: Http, graph: GraphServer) -> WhatsAppChannel:
    """A channel with one number, whose API is the stand-in."""
    return build(http, api_base=graph.url)
