"""The demo's platforms: a stand-in for each on this machine, a customers' side of each, and the accounts there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aiohttp import web

from gateway.config import BusinessConfig, Config
from gateway.sandbox.control import Control, Line
from gateway.sandbox.mail.line import MailLine
from gateway.sandbox.mail.providers import Poster, Raw
from gateway.sandbox.mail.smtp import MailServer
from gateway.sandbox.meta import MetaStandIn
from gateway.sandbox.openai import API_KEY, OpenAIStandIn
from gateway.sandbox.twilio import TwilioStandIn

HOST = "127.0.0.1"
SMS, MESSENGER, WHATSAPP, EMAIL = "sms", "messenger", "whatsapp", "email"
"""The channels."""
NUMBER = "+15550100001"
ACCOUNT_SID = f"AC{0:032}"
AUTH_TOKEN = "sandbox-auth-token"  # noqa: S105  # of an account that exists nowhere
PAGE, PHONE_NUMBER_ID = "100000000000001", "100000000000002"
APP_SECRET, VERIFY_TOKEN, META_TOKEN = "sandbox-app-secret", "sandbox-verify", "sandbox-token"  # the same
ADDRESS, MAIL_SECRET, BORDER_HOST = "help@example.com", "sandbox-mail-secret", "mx.example.com"
BUSINESS = {
    "name": "Lakeside Plumbing",
    "phone": NUMBER,
    "timezone": "America/Detroit",
    "hours": {**dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), "08:00-17:00"), "sat": "09:00-12:00"},
    "services": [{"name": "Inspection", "minutes": 60}, {"name": "Repair", "minutes": 120}],
    "faq": [{"question": "Do you work on gas boilers?", "answer": "Yes, on all gas boilers up to 50 kW."}],
}
DATABASE = "frontdesk.db"
STAND_IN_GRACE_S = 1.0


@dataclass(frozen=True, slots=True)
class Platforms:
    """The stand-ins, as they run."""

    url: str
    """Theirs and the back door's."""
    smtp_port: int
    lines: Mapping[str, Line]
    """The customers' side of each channel."""
    control: Control


@asynccontextmanager
async def open_platforms(gateway_url: str) -> AsyncIterator[Platforms]:
    """Start the stand-ins for a gateway that is, or will be, at an address; stop them in reverse order.

    Raises:
        OSError: this machine gives no port.
    """
    async with AsyncExitStack() as stack:
        twilio, meta = _twilio(gateway_url), _meta(gateway_url)
        stack.push_async_callback(twilio.close)
        stack.push_async_callback(meta.close)
        mail = await stack.enter_async_context(_mail(f"{gateway_url}/webhooks/{EMAIL}"))
        lines: dict[str, Line] = {SMS: twilio, MESSENGER: meta.messenger, WHATSAPP: meta.whatsapp, EMAIL: mail}
        control = Control(lines, str(BUSINESS["name"]), unreported=(EMAIL,))
        openai = OpenAIStandIn(BusinessConfig.model_validate(BUSINESS))
        routes = [*twilio.routes(), *openai.routes(), *control.routes(), *meta.routes()]
        twilio.url = meta.url = url = await stack.enter_async_context(_serving(routes))
        yield Platforms(url, mail.server.port, lines, control)


def _twilio(gateway_url: str) -> TwilioStandIn:
    webhook_url = f"{gateway_url}/webhooks/{SMS}#rc=5&rp=all"
    return TwilioStandIn(ACCOUNT_SID, AUTH_TOKEN, number=NUMBER, webhook_url=webhook_url)


def _meta(gateway_url: str) -> MetaStandIn:
    return MetaStandIn(
        APP_SECRET,
        verify_token=VERIFY_TOKEN,
        pages={PAGE: META_TOKEN},
        numbers={PHONE_NUMBER_ID: META_TOKEN},
        messenger_url=f"{gateway_url}/webhooks/{MESSENGER}",
        whatsapp_url=f"{gateway_url}/webhooks/{WHATSAPP}",
    )


@asynccontextmanager
async def _mail(webhook_url: str) -> AsyncIterator[MailLine]:
    """Open a mail server, and the provider that posts what customers write."""
    server, provider, poster = MailServer(), Raw(MAIL_SECRET), Poster(webhook_url)
    async with server.serving():
        try:
            yield MailLine(ADDRESS, server, partial(poster.deliver, provider), vouched_for_by=BORDER_HOST)
        finally:
            await poster.close()


@asynccontextmanager
async def _serving(routes: Sequence[web.RouteDef]) -> AsyncIterator[str]:
    """Serve on a free port of this machine's own address, which is given."""
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=STAND_IN_GRACE_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def demo_config(folder: Path, port: int, platforms: Platforms) -> Config:
    """Build the demo's configuration: what an owner would write, with the stand-ins' address for the platforms'."""
    sandbox_url = platforms.url
    return Config.model_validate(
        {
            "server": {"host": HOST, "port": port, "public_url": f"http://{HOST}:{port}"},
            "database": {"url": f"sqlite:///{folder / DATABASE}"},
            "data": {"dir": str(folder)},
            "assistant": {"api_key": API_KEY, "base_url": f"{sandbox_url}/v1", "api": "responses"},
            "business": BUSINESS,
            "channels": {
                SMS: {
                    "type": "twilio",
                    "account_sid": ACCOUNT_SID,
                    "auth_token": AUTH_TOKEN,
                    "from": NUMBER,
                    "api_base": sandbox_url,
                },
                MESSENGER: {
                    "type": "messenger",
                    "page_id": PAGE,
                    "page_access_token": META_TOKEN,
                    **_meta_app(sandbox_url),
                },
                WHATSAPP: {
                    "type": "whatsapp",
                    "phone_number_id": PHONE_NUMBER_ID,
                    "access_token": META_TOKEN,
                    **_meta_app(sandbox_url),
                },
                EMAIL: {
                    "type": "email",
                    "address": ADDRESS,
                    "name": BUSINESS["name"],
                    "inbound": {"provider": "raw", "secret": MAIL_SECRET},
                    "smtp": {"host": HOST, "port": platforms.smtp_port, "security": "none"},
                    "trust": {"authserv_id": BORDER_HOST},
                    "coalesce_s": 1,  # by mail, half a minute is usual
                },
            },
        }
    )


def _meta_app(sandbox_url: str) -> dict[str, str]:
    return {"app_secret": APP_SECRET, "verify_token": VERIFY_TOKEN, "api_base": sandbox_url}
