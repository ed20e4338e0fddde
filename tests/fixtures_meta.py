"""Meta's stand-in, served, with a door that it posts to and somebody who calls it."""

from __future__ import annotations

import pytest
from aiohttp import ClientSession, web

from gateway.sandbox.meta import MetaStandIn
from tests.meta_world import (
    NUMBER,
    NUMBER_TOKEN,
    OTHER_NUMBER,
    OTHER_NUMBER_TOKEN,
    OTHER_PAGE,
    OTHER_PAGE_TOKEN,
    PAGE,
    PAGE_TOKEN,
    SECRET,
    WORD,
    Client,
    Door,
    Hands,
)


@pytest.fixture
async def door(aiohttp_server):
    made = Door()
    app = web.Application(client_max_size=4 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", made.take)
    server = await aiohttp_server(app)
    made.url = str(server.make_url("")).rstrip("/")
    return made


@pytest.fixture
def clock():
    return Hands()


@pytest.fixture
async def meta(aiohttp_server, door, clock):
    stand_in = MetaStandIn(
        SECRET,
        verify_token=WORD,
        pages={PAGE: PAGE_TOKEN, OTHER_PAGE: OTHER_PAGE_TOKEN},
        numbers={NUMBER: NUMBER_TOKEN, OTHER_NUMBER: OTHER_NUMBER_TOKEN},
        display_numbers={NUMBER: "15550100001"},
        business_accounts={OTHER_NUMBER: "102290129340399"},
        messenger_url=f"{door.url}/webhooks/messenger",
        whatsapp_url=lambda: f"{door.url}/webhooks/whatsapp",
        clock=clock,
    )
    stand_in.callback_delay_s = 0
    stand_in.webhooks.pause_s = 0
    server = await aiohttp_server(stand_in.app())
    stand_in.url = str(server.make_url("")).rstrip("/")
    return stand_in


@pytest.fixture
async def client(meta):
    async with ClientSession() as session:
        yield Client(session, meta.url)
