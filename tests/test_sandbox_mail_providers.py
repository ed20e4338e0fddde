"""The stand-ins for mail providers: what they post is taken by the transports, and only where it is genuine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from itertools import count
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from channels.base import Parsed, Request
from channels.email.envelope import Envelope, Verdict
from channels.email.mime import read_mail
from channels.email.settings import (
    Inbound,
    MailgunInbound,
    PostmarkInbound,
    RawInbound,
    SendGridInbound,
    SesInbound,
)
from channels.email.transports import Transport, open_transport
from channels.errors import RetryLater, SignatureError
from channels.http import Http
from gateway.sandbox.mail.providers import Arrived, Outcome, Poster, Provider, Raw
from gateway.sandbox.mail.providers_forms import Mailgun, SendGrid
from gateway.sandbox.mail.providers_json import Postmark, Ses, Sns

LOGIN = ("mail", "a-päss:word")
KINDS = (
    "raw",
    "sendgrid raw",
    "sendgrid parsed",
    "sendgrid login",
    "mailgun raw",
    "mailgun parsed",
    "postmark raw",
    "postmark parsed",
    "ses base64",
    "ses utf8",
    "ses version 1",
)
PARSED = {"sendgrid parsed", "mailgun parsed", "postmark parsed"}


def mail() -> bytes:
    """Write a mail with everything in it."""
    message = EmailMessage()
    message["From"] = "Customer <customer@example.org>"
    message["To"] = "Help <help+token@example.com>"
    message["Subject"] = "Grüße"
    message["Message-ID"] = "<1@example.org>"
    message["References"] = "<a@example.com> <b@example.com>"
    message.set_content("Is it free? Grüße\n")
    message.add_alternative('<p>Is it free? <img src="cid:dot@example.org"></p>\n', subtype="html")
    message.add_attachment(
        b"\x89PNG" * 50, maintype="image", subtype="png", filename="dot.png", cid="<dot@example.org>"
    )
    message.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename="Größe.pdf")
    return message.as_bytes().replace(b"\n", b"\r\n")


def plain() -> bytes:
    """Write a mail of one line."""
    head = b"From: customer@example.org\r\nTo: help@example.com\r\nSubject: Hi\r\nMessage-ID: <2@example.org>\r\n"
    return head + b"\r\nHi\r\n"


def forwarded() -> bytes:
    """Write a mail with another one in it."""
    message = EmailMessage()
    message["From"] = "customer@example.org"
    message["To"] = "help@example.com"
    message["Subject"] = "Fwd: Hi"
    message["Message-ID"] = "<3@example.org>"
    message.set_content("<p>See below</p>", subtype="html")
    message.add_attachment(message_from_bytes(plain(), policy=policy.SMTP), filename="hi.eml")
    return message.as_bytes(policy=policy.SMTP)


ARRIVED = Arrived(mail(), "customer@example.org", ("help+token@example.com",))


@dataclass
class World:
    """A provider, a door with the transport for it, and what came through."""

    provider: Provider
    transport: Transport
    poster: Poster
    sns: Sns
    statuses: list[int]
    """What the door answers next, in place of the truth."""
    requests: list[Request]

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        given = Request(request.method, request.raw_path, tuple(request.headers.items()), body)
        if self.statuses:
            return web.Response(status=self.statuses.pop(0))
        try:
            self.transport.admit(replace(given, body=b""))
            await self.transport.verify(given)
        except SignatureError:
            return web.Response(status=self.transport.refusal.status)
        except RetryLater:
            return web.Response(status=503)
        self.requests.append(given)
        return web.Response(status=self.transport.accepted.status)

    def envelope(self) -> Envelope:
        unwrapped = self.transport.unwrap(self.requests[-1])
        assert isinstance(unwrapped, Envelope)
        return unwrapped


def pair(kind: str, sns: Sns) -> tuple[Provider, Inbound]:
    """Make a provider and the section of the configuration that lets it in."""
    name, _, mode = kind.partition(" ")
    if name == "sendgrid":
        login = LOGIN if mode == "login" else None
        provider: Any = SendGrid(send_raw=mode != "parsed", is_signed=mode != "login", login=login)
        if login:
            return provider, SendGridInbound(provider="sendgrid", username=LOGIN[0], password=LOGIN[1])
        return provider, SendGridInbound(provider="sendgrid", public_key=provider.public_key)
    if name == "mailgun":
        provider = Mailgun(send_raw=mode == "raw")
        return provider, MailgunInbound(provider="mailgun", signing_key=provider.signing_key)
    if name == "postmark":
        provider = Postmark(send_raw=mode == "raw", login=LOGIN)
        return provider, PostmarkInbound(provider="postmark", username=LOGIN[0], password=LOGIN[1])
    if name == "ses":
        provider = Ses(sns, version=mode[-1] if "version" in mode else "2", encoding=mode.partition(" ")[0].upper())
        return provider, SesInbound(provider="ses", topic_arns=(provider.topic,), api_base=sns.url)
    provider = Raw()
    return provider, RawInbound(provider="raw", secret=provider.secret)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def sns() -> AsyncIterator[Sns]:
    """SNS's own host, served."""
    made = Sns()
    async with TestServer(made.app()) as server:
        made.url = str(server.make_url("")).rstrip("/")
        yield made


@pytest.fixture
async def world(kind: str, sns: Sns) -> AsyncIterator[World]:
    provider, section = pair(kind, sns)
    app = web.Application(client_max_size=2**26)

    async def answer(request: web.Request) -> web.Response:
        return await made.answer(request)

    app.router.add_post("/webhooks/mail", answer)
    async with Http() as http, TestServer(app) as server:
        poster = Poster(str(server.make_url("/webhooks/mail")), pause_s=0.001)
        made = World(provider, open_transport(section, http, 2**20), poster, sns, [], [])
        yield made
        await poster.close()


async def test_what_a_provider_posts_is_the_mail(world: World, kind: str) -> None:
    """Through a real connection, in each of its ways: the bytes themselves, or a mail made of its fields."""
    status = await world.poster.deliver(world.provider, ARRIVED)
    envelope = world.envelope()

    assert status == 200
    assert envelope.rebuilt == (kind in PARSED)
    assert kind in PARSED or envelope.raw.endswith(ARRIVED.raw)
    assert envelope.recipients == (() if kind == "raw" else ARRIVED.recipients)
    assert envelope.mail_from == (None if kind == "raw" else ARRIVED.mail_from)


@pytest.mark.parametrize("write", [mail, plain, forwarded])
async def test_one_reader_sees_the_same_mail_whoever_posted_it(world: World, write: Callable[[], bytes]) -> None:
    """The words, the files with their names, and who wrote: whether the mail came whole or was made again."""
    await world.poster.deliver(world.provider, replace(ARRIVED, raw=write()))
    found, expected = read_mail(world.envelope().raw), read_mail(write())

    assert (found.text.strip(), found.html.strip()) == (expected.text.strip(), expected.html.strip())
    assert found.parts == expected.parts
    assert found.defects == ()
    for name in ("from", "to", "subject", "message-id", "references"):
        assert (found.header(name) or "").replace('"', "") == (expected.header(name) or "")


async def test_what_a_provider_has_found_out_is_told(world: World, kind: str) -> None:
    """A genuine sender, a forged one, and one of whom nothing can be said."""
    found = []
    for is_genuine in (True, False, None):
        await world.poster.deliver(world.provider, replace(ARRIVED, is_genuine=is_genuine))
        found.append(world.envelope().verdicts.spf)

    assert found == ([Verdict.NONE] * 3 if kind == "raw" else [Verdict.PASS, Verdict.FAIL, Verdict.NONE])


async def test_another_providers_post_is_refused_but_not_lost(world: World, sns: Sns, kind: str) -> None:
    """Where a secret is mistyped, the provider keeps the mail and tries again; only ``raw`` is told 403."""
    stranger, _ = pair(kind, sns)
    if isinstance(stranger, Ses):
        stranger.topic = stranger.topic.replace("inbound", "other")
    if stranger.login is not None:
        stranger.login = ("mail", "wrong")
    status = await world.poster.post(stranger.post_of(ARRIVED), stranger.login)

    assert status == world.transport.refusal.status
    assert world.provider.outcome(status) is Outcome.AGAIN
    assert world.requests == []


async def test_a_mail_is_posted_until_it_is_taken(world: World) -> None:
    """Each time signed anew; that it may come twice is for the gateway to see."""
    world.statuses += [503, 500]

    assert await world.poster.deliver(world.provider, ARRIVED) == 200
    assert len(world.requests) == 1
    assert world.poster.lost == []


LOSING = {"sendgrid": 413, "mailgun": 406, "postmark": 403, "ses": 404}


async def test_a_provider_drops_a_mail_as_the_real_one_does(world: World, kind: str) -> None:
    """Each has a status after which it never tries again."""
    name = kind.partition(" ")[0]
    if name in LOSING:
        world.statuses.append(LOSING[name])
        await world.poster.deliver(world.provider, ARRIVED)

    assert world.poster.lost == ([ARRIVED] if name in LOSING else [])


async def test_a_provider_gives_up_after_so_many_tries() -> None:
    """Nobody is there."""
    poster = Poster(f"http://127.0.0.1:{unused_port()}/", tries=2, pause_s=0.001)

    assert await poster.deliver(Raw(), ARRIVED) == 0
    await poster.close()


@pytest.mark.parametrize("kind", ["ses base64", "ses version 1"])
class TestSns:
    """The topic behind SES, and its host."""

    async def test_a_subscription_is_confirmed_by_its_link(self, world: World) -> None:
        """Then the topic begins to post."""
        assert isinstance(world.provider, Ses)
        status = await world.poster.post(world.provider.subscribe())
        parsed = world.transport.unwrap(world.requests[0])

        assert status == 200
        assert world.sns.confirmed == [world.provider.topic]
        assert isinstance(parsed, Parsed)

    async def test_while_its_host_is_away_nothing_is_lost(self, world: World) -> None:
        """The door says later until the certificate can be fetched, and fetches it once."""
        world.sns.is_away = True
        tries = count()
        outcome = world.provider.outcome

        def come_back(status: int) -> Outcome:
            world.sns.is_away = next(tries) < 2
            return outcome(status)

        world.provider.outcome = come_back  # type: ignore[method-assign]
        await world.poster.deliver(world.provider, ARRIVED)
        await world.poster.deliver(world.provider, ARRIVED)

        assert len(world.requests) == 2
        assert world.sns.fetched == 4

    async def test_a_link_is_not_taken_for_a_confirmation_that_is_none(self, world: World) -> None:
        """While it is away, or where the link was changed, the topic stays silent."""
        async with Http() as http:
            wrong = await http.request("GET", f"{world.sns.url}/?TopicArn=x")
            world.sns.is_away = True
            away = await http.request("GET", f"{world.sns.url}/?Action=ConfirmSubscription&Token=1&TopicArn=x")

        assert (wrong.status, away.status, world.sns.confirmed) == (400, 503, [])
