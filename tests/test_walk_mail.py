"""The whole story by e-mail: in by webhook, mailbox and port, read in a process, answered in its thread by SMTP."""

from __future__ import annotations

import asyncio
import json
import smtplib
from collections.abc import AsyncIterator, Callable
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from channels.email.channel import MailboxChannel
from gateway.app import open_gateway
from gateway.sandbox.mail.providers import Arrived, Outcome, Post
from gateway.sandbox.mail.providers_forms import Mailgun, SendGrid
from gateway.sandbox.mail.providers_json import Postmark, Ses, Sns
from gateway.storage import Compose, Resume, Say, Takeover
from tests.conftest import make_database
from tests.mail_world import CUSTOMER, US, MailTown, answer_to, letter, mail_town
from tests.saying import said
from tests.test_walk import PNG


@pytest.fixture
async def town(database_url: str, tmp_path: Path) -> AsyncIterator[MailTown]:
    """Build a town on each database."""
    async with mail_town(database_url, tmp_path) as built:
        yield built


async def transcripts(town: MailTown) -> list[list[tuple[str, str]]]:
    """Return each conversation's messages, oldest conversation first."""
    rows = sorted(await town.storage.conversations(), key=lambda row: row.id or 0)
    return [[(m.role, m.content) for m in await town.storage.messages(row.id or 0)] for row in rows]


async def test_one_mail_walks_through_the_house(town: MailTown) -> None:
    """In by webhook, read, answered by the model, and sent as one mail in the customer's thread."""
    raw = await town.write("My roof leaks.", Subject="Roof")
    [mail] = await town.until_read(1)
    await town.until_status("sent")
    [conversation] = await town.storage.conversations()
    question, _ = await town.storage.messages(conversation.id or 0)
    [delivery] = await town.storage.deliveries()
    message_id = raw.partition(b"Message-ID: ")[2].partition(b"\n")[0].decode()

    assert mail.text.startswith("re: Subject: Roof\nMy roof leaks.\n\n")
    assert mail.subject == "Re: Roof"
    assert (mail.message["In-Reply-To"], mail.message["References"]) == (message_id, message_id)
    assert (mail.message["Auto-Submitted"], mail.mail_from) == ("auto-replied", US)
    assert delivery.external_id == mail.message["Message-ID"]
    assert (question.content, question.external_id) == ("My roof leaks.", message_id)
    assert (conversation.channel, conversation.address, conversation.user_email) == ("email", CUSTOMER, CUSTOMER)
    assert conversation.user_name == "A Customer"


async def test_an_answer_in_each_direction_stays_in_its_thread(town: MailTown) -> None:
    """Only the new words are the message; three programs, three languages, one conversation."""
    await town.write("My roof leaks.")
    for count, (style, language, words) in enumerate(
        [("gmail", "en", "Thursday."), ("outlook", "de", "Um zehn Uhr."), ("apple_mail", "fr", "Merci bien !")],
        start=1,
    ):
        mail = (await town.until_read(count))[-1]
        await town.reply(mail, words, style=style, language=language)
    await town.until_read(4)
    [messages] = await transcripts(town)

    assert [text for role, text in messages if role == "user"] == [
        "My roof leaks.",
        "Thursday.",
        "Um zehn Uhr.",
        "Merci bien !",
    ]
    assert all(mail.subject == "Re: Roof" for mail in town.read_by())


async def test_twice_in_is_once(town: MailTown) -> None:
    """The provider posts again; the same mail is in the thread once, and answered once."""
    raw = await town.write("Hello there, are you open?")
    assert await town.send(raw) == 200
    await town.until_read(1)
    await town.write("Something else entirely.", Subject="Gutter works")
    await town.until_read(2)

    assert len(await town.storage.deliveries()) == 2


async def test_a_person_takes_over_and_gives_back(town: MailTown) -> None:
    """A person's mail is no robot's; while they have it, the bot is silent, also about what comes in."""
    await town.write("I want to talk about my bill, please.")
    [first] = await town.until_read(1)
    [row] = await town.storage.conversations()
    await town.storage.run(Takeover(row.conversation_id, "operator", now := town.gateway._clock()))
    await town.storage.run(Say(row.conversation_id, "operator", said("This is a colleague."), now))
    town.gateway.outbox._wake.set()
    _, theirs = await town.until_read(2)
    await town.reply(first, "Thank you, colleague.")
    await town.storage.run(Resume(row.conversation_id, town.gateway._clock()))
    town.gateway.turns._wake.set()
    *_, last = await town.until_read(3)

    assert theirs.text.startswith("This is a colleague.\n")
    assert theirs.message["Auto-Submitted"] is None
    assert "Thank you, colleague." in last.text.partition("wrote:")[0]


async def test_a_stranger_with_everything_copied_joins_nothing(town: MailTown) -> None:
    """Subject, References and the token in the address: a conversation of their own, and a mark on the message."""
    await town.write("My roof leaks.")
    [mail] = await town.until_read(1)
    stolen = answer_to(mail, "Tell me everything.", sender="thief@example.net")
    assert await town.send(stolen, str(mail.message["Reply-To"]), mail_from="thief@example.net") == 200
    await town.until_read(1, "thief@example.net")
    victims, thiefs = await transcripts(town)
    [_, theirs] = sorted(await town.storage.conversations(), key=lambda row: row.id or 0)
    marked = (await town.storage.messages(theirs.id or 0))[0]

    assert len(victims) == 2
    assert thiefs[0] == ("user", "Tell me everything.")
    assert (marked.meta or {})["out_of_place"] is True


async def test_an_answering_machine_gets_no_answer(town: MailTown) -> None:
    """It is recorded in the thread; the next person's mail is answered."""
    await town.write("My roof leaks.")
    [mail] = await town.until_read(1)
    absent = answer_to(mail, "I am away.", Auto_Submitted="auto-replied", Subject="Automatic reply: Re: Roof")
    await town.send(absent, str(mail.message["Reply-To"]))
    await town.reply(mail, "I am back.")
    await town.until_read(2)
    [messages] = await transcripts(town)

    assert [text for role, text in messages if role == "user"] == ["My roof leaks.", "I am away.", "I am back."]
    assert len(town.read_by()) == 2


async def test_a_bounce_fails_its_delivery_and_stops_the_next(town: MailTown) -> None:
    """Until the customer writes again."""
    town.smtp.unknown = {CUSTOMER}
    await town.write("My roof leaks.")
    await town.until_status("failed")
    channel = town.gateway.parts.roster["support"]
    compose = Compose("support", channel.kind, CUSTOMER, said("Are you there?"), town.gateway._clock())
    await town.storage.run(compose)
    town.gateway.outbox._wake.set()
    await town.until_status("failed", "failed")
    codes = [delivery.error_code for delivery in await town.storage.deliveries()]
    town.smtp.unknown = ()
    await town.write("Now it works, I think.", Subject="Another matter")
    await town.until_read(1)

    assert codes[1] == "undeliverable"


@pytest.mark.parametrize("word", ["drop_after", "close_after"])
async def test_silence_after_the_last_dot_is_sent_once_more_with_the_same_bytes(
    database_url: str, tmp_path: Path, word: str
) -> None:
    """Nobody can know whether it arrived: the second has the same Message-ID, and there is no third."""
    async with mail_town(database_url, tmp_path, confirm_wait_s=0.3) as town:
        town.smtp.faults["content"].plan(word)
        await town.write("My roof leaks.")
        first, second = await town.until_read(2)
        await town.until_status("sent")

        assert first.raw == second.raw
        assert first.message_id == second.message_id


async def test_a_mailbox_is_read_as_it_fills(database_url: str, tmp_path: Path) -> None:
    """What was there before the first start is nobody's new mail; what comes is answered at once, and once."""
    more = (
        "    imap: {{host: 127.0.0.1, port: {imap_port}, security: none, username: help@example.com, "
        "password: the password of the mailbox}}"
    )
    async with mail_town(database_url, tmp_path, more=more) as town:
        async with asyncio.timeout(20):
            await town.imap.until(lambda server: server.listeners > 0)
        town.imap.deliver(letter("By mailbox, please.", subject="Gutter works"))
        [mail] = await town.until_read(1)
        raw = answer_to(mail, "And once more.")
        town.imap.deliver(raw)
        await town.send(raw, str(mail.message["Reply-To"]))
        await town.until_read(2)
        [messages] = await transcripts(town)

        assert [text for role, text in messages if role == "user"] == ["By mailbox, please.", "And once more."]
        assert len(town.read_by()) == 2


PROVIDERS: dict[str, tuple[str, Callable[[], Any]]] = {
    "sendgrid, signed": ("{{provider: sendgrid, public_key: {0.public_key}}}", SendGrid),
    "sendgrid, parsed, behind a login": (
        "{{provider: sendgrid, username: u, password: p}}",
        lambda: SendGrid(send_raw=False, is_signed=False, login=("u", "p")),
    ),
    "mailgun": ("{{provider: mailgun, signing_key: {0.signing_key}}}", Mailgun),
    "mailgun, parsed": ("{{provider: mailgun, signing_key: {0.signing_key}}}", lambda: Mailgun(send_raw=False)),
    "postmark": ("{{provider: postmark, username: postmark, password: a-password}}", Postmark),
    "postmark, parsed": (
        "{{provider: postmark, username: postmark, password: a-password}}",
        lambda: Postmark(send_raw=False),
    ),
}


@pytest.mark.parametrize("kind", PROVIDERS)
async def test_each_provider_walks(tmp_path: Path, kind: str) -> None:
    """Through the door, in the thread, and back; what a stranger posts is answered so that no mail is ever lost."""
    section, make = PROVIDERS[kind]
    provider = make()
    async with mail_town(f"sqlite:///{tmp_path}/f.db", tmp_path, inbound=section.format(provider)) as town:
        town.raw = provider
        await town.write("My roof leaks.")
        [mail] = await town.until_read(1)
        await town.reply(mail, "Thursday is fine.")
        await town.until_read(2)
        unsigned = await town.poster.post(Post({"Content-Type": "application/json"}, b"{}"), ("u", "wrong"))
        [messages] = await transcripts(town)

    assert [text for role, text in messages if role == "user"] == ["My roof leaks.", "Thursday is fine."]
    assert provider.outcome(unsigned) is Outcome.AGAIN


async def test_amazon_walks(tmp_path: Path) -> None:
    """Its subscription is confirmed, its certificate fetched once, and a topic of somebody else's is refused."""
    sns = Sns()
    async with TestServer(sns.app()) as host:
        sns.url = f"http://127.0.0.1:{host.port}"
        ses = Ses(sns)
        inbound = f'{{provider: ses, topic_arns: ["{ses.topic}"], api_base: "{sns.url}"}}'
        async with mail_town(f"sqlite:///{tmp_path}/f.db", tmp_path, inbound=inbound) as town:
            town.raw = ses
            await town.write("My roof leaks.")
            await town.write("And the gutter.", Subject="Gutter works")
            await town.until_read(2)
            elsewhere = Ses(sns, topic="arn:aws:sns:us-east-1:999999999999:theirs")
            refused = await town.poster.post(elsewhere.post_of(Arrived(letter("x"), CUSTOMER, (US,))))
            rows = await town.storage.conversations()

    assert (len(rows), sns.fetched) == (2, 1)
    assert ses.outcome(refused) is Outcome.AGAIN


@pytest.mark.parametrize("protocol", ["lmtp", "smtp"])
async def test_a_port_of_our_own_takes_mail(tmp_path: Path, protocol: str) -> None:
    """What it answers with 250 is stored; nobody else's mail is taken."""
    more = f"    listen: {{{{port: 0, protocol: {protocol}}}}}"
    async with mail_town(f"sqlite:///{tmp_path}/f.db", tmp_path, more=more) as town:
        port = town.gateway.parts.roster["support"].listening_port  # type: ignore[attr-defined]
        said = await asyncio.to_thread(hand_over, protocol, port, letter("By another server."))
        await town.until_read(1)
        [messages] = await transcripts(town)

    assert said == (250, 550)
    assert messages[0] == ("user", "By another server.")


def hand_over(protocol: str, port: int, raw: bytes) -> tuple[int, int]:
    """Hand a mail over as a mail server does; returns what it and a stranger's were answered."""
    with (smtplib.LMTP if protocol == "lmtp" else smtplib.SMTP)("127.0.0.1", port) as server:
        server.sendmail(CUSTOMER, [US], raw)
        server.mail(CUSTOMER)
        return 250, server.rcpt("nobody@example.com")[0]


async def test_files_are_stored_with_the_original(town: MailTown, tmp_path: Path) -> None:
    """What came with a mail is on disk under its hash; the original is byte for byte what was posted."""
    raw = await town.write("See the picture.")
    await town.until_read(1)
    stored = [path.read_bytes() for path in (tmp_path / "data" / "media").rglob("*") if path.is_file()]

    assert raw in stored


async def test_a_relay_that_renames_everything_breaks_no_thread(town: MailTown) -> None:
    """Neither token nor References come back, only what the mail program quotes."""
    await town.write("My roof leaks.", Subject="Hello")
    [mail] = await town.until_read(1)
    raw = answer_to(mail, "Thursday.", In_Reply_To="", References="", To=US, Subject="Re: Hello")
    await town.send(raw)
    await town.until_read(2)

    assert len(await transcripts(town)) == 1


async def test_a_picture_in_a_mail_reaches_the_model(town: MailTown) -> None:
    """Inline or attached; the original, which has it too, does not."""
    message = message_from_bytes(letter("See the picture."), policy=policy.default)
    message.add_attachment(PNG, maintype="image", subtype="png", filename="roof.png")
    await town.send(message.as_bytes())
    await town.until_read(1)
    asked = json.dumps(town.around.openai.requests[-1].body)

    assert asked.count("input_image") == 1
    assert "message/rfc822" not in asked


async def test_one_process_listens_to_a_mailbox_at_a_time(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second one takes the mailbox over when it starts; each mail is answered once, whoever reads it."""
    monkeypatch.setattr(MailboxChannel, "poll_every_s", 12.0)
    database_url = await make_database(postgres_url)  # one process owns a SQLite file
    more = (
        "    imap: {{host: 127.0.0.1, port: {imap_port}, security: none, username: help@example.com, "
        "password: the password of the mailbox}}"
    )
    async with mail_town(database_url, tmp_path, more=more) as town:
        async with asyncio.timeout(20):
            await town.imap.until(lambda server: server.listeners > 0)
        async with open_gateway(town.gateway.parts.config.model_copy(), "worker"):
            async with asyncio.timeout(20):
                await town.imap.until(lambda server: server.listeners > 1)
            for number in range(4):
                town.imap.deliver(letter(f"Mail number {number} of the mailbox.", subject=f"Matter number {number}"))
            await town.until_read(4)
        town.imap.deliver(letter("After the second has gone.", subject="A last matter"))
        await town.until_read(5, timeout_s=90)

        assert len(town.read_by()) == 5
