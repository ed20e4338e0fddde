"""An instant model and an instant platform in a process of their own, and the bare handler that stores nothing.

``python -m benchmarks.stubs platform|bare`` prints the port that it listens on and serves until killed.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys

import uvloop
from aiohttp import web

from benchmarks.load import ACCOUNT, NUMBER, PUBLIC_URL, TOKEN

_NUMBERS = itertools.count(1)


async def respond(request: web.Request) -> web.Response:
    """Answer a Responses call at once."""
    await request.read()
    n = next(_NUMBERS)
    body = {
        "id": f"resp_{n}",
        "object": "response",
        "created_at": 1763800000,
        "status": "completed",
        "model": "gpt-6-luna",
        "output": [
            {
                "id": f"msg_{n}",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "We are open until five.", "annotations": []}],
            }
        ],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 100,
            "output_tokens": 8,
            "total_tokens": 108,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }
    return web.json_response(body)


async def create_message(request: web.Request) -> web.Response:
    """Accept a message at once."""
    form = await request.post()
    body = {
        "sid": f"SM{next(_NUMBERS):032x}",
        "status": "queued",
        "to": form["To"],
        "from": form.get("From"),
        "body": form.get("Body"),
        "num_segments": "1",
        "num_media": "0",
        "error_code": None,
        "error_message": None,
        "date_created": "Tue, 24 Nov 2026 12:00:00 +0000",
        "account_sid": ACCOUNT,
        "direction": "outbound-api",
        "api_version": "2010-04-01",
    }
    return web.Response(status=201, text=json.dumps(body), content_type="application/json")


async def list_messages(_: web.Request) -> web.Response:
    """List nothing: polls find no message that a webhook did not bring."""
    return web.json_response({"messages": [], "next_page_uri": None, "page": 0, "page_size": 50})


def platform() -> web.Application:
    """Build the instant model and platform."""
    app = web.Application()
    app.router.add_post("/v1/responses", respond)
    app.router.add_post(f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json", create_message)
    app.router.add_get(f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json", list_messages)
    return app


def bare() -> web.Application:
    """Build the bare handler: it verifies and parses the same body with the same code, and stores nothing."""
    from channels.base import ChannelContext, Request
    from channels.http import Http
    from channels.twilio.channel import TwilioChannel

    settings = {"account_sid": ACCOUNT, "auth_token": TOKEN, "from": NUMBER}
    channel = TwilioChannel.build(settings, ChannelContext("sms", f"{PUBLIC_URL}/webhooks/sms", Http()))

    async def handle(request: web.Request) -> web.Response:
        body = await request.read()
        ours = Request(request.method, request.raw_path, tuple(request.headers.items()), body)
        await channel.verify(ours)
        reply = channel.parse(ours).reply
        return web.Response(status=reply.status, text=reply.body, content_type=reply.content_type)

    app = web.Application()
    app.router.add_post("/webhooks/sms", handle)
    return app


APPS = {"platform": platform, "bare": bare}


async def serve(app: web.Application) -> None:
    """Serve on a free port, and say which."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(APPS[sys.argv[1]]()))
