"""What the tests of this channel share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from channels.http import Http
from channels.messenger.channel import MessengerChannel
from channels.messenger.test_doubles import build
from channels.meta.test_doubles import GraphServer


@pytest.fixture
async def graph() -> AsyncIterator[GraphServer]:
    """A stand-in for the Graph API."""
    async with GraphServer() as server:
        yield server


@pytest.fixture
def channel(http: Http, graph: GraphServer) -> MessengerChannel:
    """A channel with one page, whose API is the stand-in."""
    return build(http, api_base=graph.url)
