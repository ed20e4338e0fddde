"""What the tests of this channel share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from channels.http import Http
from channels.twilio.channel import TwilioChannel
from channels.twilio.test_doubles import TwilioServer, build


@pytest.fixture
async def twilio() -> AsyncIterator[TwilioServer]:
    """A stand-in for Twilio's REST API."""
    async with TwilioServer() as server:
        yield server


@pytest.fixture
def channel(http: Http, twilio: TwilioServer) -> TwilioChannel:
    """A channel with one number, whose API is the stand-in."""
    return build(http, api_base=twilio.url)
