"""What the tests of all channels share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from channels.http import Http


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    """An open client that may visit no private address."""
    async with Http() as client:
        yield client
