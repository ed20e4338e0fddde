"""Notices to the people who work here: their words, and their way out, which ends with them or in the log."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from channels.errors import CredentialsRejected, OptedOut, OutcomeUnknown, Refused, RetryLater
from channels.http import Http
from channels.text import measure
from gateway.handoffs.notices import LEASE, MAX_ATTEMPTS, Notices
from gateway.handoffs.wording import MAX_SMS, how_long, one_line, tell_stopped, tell_waiting
from gateway.mail import Mail
from gateway.metrics import Metrics
from gateway.roster import build_roster
from gateway.storage import ClaimNotices, NewNotice, SettleNotice, Storage, TellStopped, Waiting
from gateway.storage.records import Notice
from tests.gateways import config
from tests.loopback import LoopbackChannel, roster_of
from tests.test_handoffs import CUSTOMER, HOUR, MINUTE, OWNER, Time, rows
from tests.test_mail import mail_to, serving
from tests.test_storage_accept import NOW
from tests.world import world

SECOND = timedelta(seconds=1)
BY_SMS = NewNotice("sms", OWNER, "A subject", "Somebody waits.", "sms")
BY_MAIL = NewNotice("email", "owner@example.com", "A subject", "Somebody waits.\n")


# --- in which words ---


def waiting(**facts: Any) -> Waiting:
    """Return a customer who waits."""
    given = {"channel": "whatsapp", "reason": "complaint", "words": "It drips.", "notices": 0, **facts}
    return Waiting(escalation_id=7, row_id=1, conversation_id="c0ffee", created_at=NOW, **given)


def test_a_mail_tells_who_waits_where_and_why() -> None:
    """What is known is told, each on a line; how to see it comes last."""
    customer = waiting(user_name="A. Customer", user_phone=CUSTOMER, user_email="customer@example.com")
    mail = tell_waiting(customer, "Corner Garage", NOW + 12 * MINUTE)

    assert mail.subject == "Corner Garage: a customer waits for a person (has a complaint)"
    assert mail.text.splitlines() == [
        "A customer of Corner Garage waits for a person: A. Customer has a complaint.",
        "",
        "Customer: A. Customer",
        f"Reach: {CUSTOMER}, customer@example.com",
        "Wrote on: WhatsApp",
        "About: It drips.",
        "Waits since: 12 min ago (2026-11-24 12:00 UTC)",
        "Conversation: c0ffee",
        "",
        "See it with: frontdesk conversations --mode waiting",
    ]
    assert mail.short == (
        f"Corner Garage: A. Customer ({CUSTOMER}, customer@example.com) has a complaint on WhatsApp, 12 min ago: "
        '"It drips." Conversation c0ffee; see frontdesk conversations'
    )


@pytest.mark.parametrize(
    "facts",
    [
        {"words": "word " * 500},
        {"words": "x" * 5000, "user_name": "N" * 500, "user_email": "e" * 300 + "@example.com", "user_phone": CUSTOMER},
        {"words": None},
    ],
)
def test_a_text_message_has_room_for_what_matters(facts: dict[str, Any]) -> None:
    """The customer's words take what is left, in letters that a text message has."""
    short = tell_waiting(waiting(**facts), "B" * 500, NOW).short

    assert len(short) <= MAX_SMS
    assert "c0ffee; see frontdesk conversations" in short
    assert measure(short).encoding == "GSM-7"


def test_words_of_strangers_stay_on_their_line() -> None:
    """Neither a header, nor a line of ours, nor what turns the direction of writing comes from a customer."""
    rogue = waiting(user_name="Ann\r\nBcc: all@example.com", words="a\u202e\x1b[2J\x00b\n\nConversation: other")
    mail = tell_waiting(rogue, "Corner\nGarage", NOW)

    assert "\n" not in mail.subject + mail.short
    assert "Customer: Ann Bcc: all@example.com" in mail.text.splitlines()
    assert "About: a[2Jb Conversation: other" in mail.text.splitlines()


@pytest.mark.parametrize(
    ("minutes", "told"),
    [(0.9, "just now"), (119, "119 min ago"), (120, "2 h ago"), (2879, "47 h ago"), (2880, "2 days ago")],
)
def test_how_long_is_said_in_a_word_or_two(minutes: float, told: str) -> None:
    """In minutes, then hours, then days."""
    assert how_long(NOW, NOW + minutes * MINUTE) == told


def test_a_long_line_is_cut_and_says_so() -> None:
    """At the limit, dots and all."""
    assert (one_line("a  b", 3), one_line("abcdef", 5), one_line("abcdef", 2)) == ("a b", "ab...", "..")


def test_a_stopped_channel_is_told_in_both_lengths() -> None:
    """What it is called here, what the customers see, and what to do."""
    stopped = tell_stopped("page", "facebook_messenger", "c" * 900, "Corner Garage", NOW)

    assert stopped.subject == "Corner Garage: the channel page needs you"
    assert stopped.short.startswith("Corner Garage: the channel page (Messenger) needs you: ccc")
    assert len(stopped.short) <= MAX_SMS
    assert stopped.text.endswith("is told by: frontdesk doctor\n")


# --- their way out ---


class Post:
    """The sending of one process, its channel, and the time."""

    def __init__(self, storage: Storage, mail: Mail | None = None) -> None:
        self.storage = storage
        self.time = Time()
        self.channel = LoopbackChannel("sms")
        self.metrics = Metrics()
        self.notices = Notices(storage, roster_of(self.channel), self.metrics, self.time, mail, name="Corner Garage")

    async def queue(self, *notices: NewNotice) -> None:
        """Queue notices."""
        await self.storage.run(TellStopped("page", notices, self.time.now))

    async def send(self, after: timedelta = timedelta(0)) -> int:
        """Send what is due after a while."""
        self.time.now += after
        return await self.notices.send_due()

    async def row(self) -> Notice:
        """Return the only notice."""
        [notice] = await rows(self.storage, Notice)
        return notice

    def counted(self, kind: str, outcome: str) -> float:
        """Return how many attempts ended so."""
        return float(self.metrics.notices.labels(kind, outcome)._value.get())


async def test_a_notice_leaves_through_its_channel_once(storage: Storage) -> None:
    """Under its own id, to the number as it is configured; two workers at the same moment send it once."""
    post = Post(storage)
    await post.queue(BY_SMS)
    sent = await asyncio.gather(post.send(), post.send())
    later = await post.send(24 * HOUR)
    notice = await post.row()
    [outbound] = post.channel.sent

    assert (sorted(sent), later) == ([0, 1], 0)
    assert (outbound.delivery_id, outbound.recipient, outbound.content.text) == (notice.id, OWNER, "Somebody waits.")
    assert (notice.status, notice.sent_at, notice.attempts, notice.next_attempt_at) == ("sent", NOW, 1, None)
    assert post.counted("sms", "sent") == 1


@pytest.mark.parametrize(
    "trouble",
    [
        RetryLater(),
        RetryLater(channel_wide=False),
        OutcomeUnknown(),
        CredentialsRejected(),
        TimeoutError(),
        KeyError("sid"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_is_not_surely_sent_is_sent_again(storage: Storage, trouble: Exception) -> None:
    """One too many is better than none: after half a minute or so, and not before."""
    post = Post(storage)
    await post.queue(BY_SMS)
    post.channel.meets = lambda _: trouble
    await post.send()
    waiting = await post.row()
    post.channel.meets = None
    early = await post.send(22 * SECOND)
    late = await post.send(16 * SECOND)

    assert (waiting.status, waiting.error) == ("queued", str(trouble) or "TimeoutError")
    assert (early, late, (await post.row()).status) == (0, 1, "sent")
    assert [outbound.attempts for outbound in post.channel.sent] == [0, 1]
    assert (post.counted("sms", "retry"), post.counted("sms", "sent")) == (1, 1)


async def test_a_platforms_wish_is_followed(storage: Storage) -> None:
    """Up to four hours: by then it is time to look whether it meant it."""
    post = Post(storage)
    await post.queue(BY_SMS)
    post.channel.meets = lambda _: RetryLater(retry_after_s=600)
    await post.send()
    ten_minutes = (await post.row()).next_attempt_at
    post.channel.meets = lambda _: RetryLater(retry_after_s=1e9)
    await post.send(600 * SECOND)

    assert ten_minutes == NOW + 600 * SECOND
    assert (await post.row()).next_attempt_at == NOW + 600 * SECOND + 4 * HOUR


async def test_it_is_tried_for_hours_and_then_given_up(storage: Storage) -> None:
    """The last failure is an error in the log, which names the notice and nobody's number."""
    post = Post(storage)
    await post.queue(BY_SMS)
    post.channel.meets = lambda _: RetryLater(f"cannot reach {OWNER}", code="503")
    with capture_logs() as logs:
        while (await post.row()).status == "queued":
            notice = await post.row()
            assert notice.next_attempt_at is not None
            await post.send(notice.next_attempt_at - post.time.now)
    notice = await post.row()

    assert len(post.channel.sent) == notice.attempts == MAX_ATTEMPTS
    assert 2 * HOUR < post.time.now - NOW < 5 * HOUR
    assert (notice.status, notice.next_attempt_at) == ("failed", None)
    assert (logs[-1]["event"], logs[-1]["log_level"], logs[-1]["code"]) == ("notice_failed", "error", "503")
    assert OWNER not in str(logs)


@pytest.mark.parametrize("refusal", [Refused("no mobile", code="21614"), OptedOut()], ids=["refused", "opted out"])
async def test_a_refusal_is_final(storage: Storage, refusal: Refused) -> None:
    """Nothing changes by asking again."""
    post = Post(storage)
    await post.queue(BY_SMS)
    post.channel.meets = lambda _: refusal
    await post.send()
    await post.send(24 * HOUR)
    notice = await post.row()

    assert (notice.status, notice.error, len(post.channel.sent)) == ("failed", str(refusal), 1)
    assert post.counted("sms", "failed") == 1


@pytest.mark.parametrize("notice", [NewNotice("sms", OWNER, "s", "c", "gone"), BY_MAIL], ids=["channel", "mail server"])
async def test_what_the_configuration_no_longer_knows_fails(storage: Storage, notice: NewNotice) -> None:
    """It was taken out while the notice waited."""
    post = Post(storage)
    await post.queue(notice)
    await post.send()

    assert (await post.row()).status == "failed"


async def test_a_worker_that_dies_leaves_its_notice_to_the_next(storage: Storage) -> None:
    """When its lease ends; and should the first have sent it after all, that counts."""
    post = Post(storage)
    await post.queue(BY_SMS)
    [lost] = await storage.run(ClaimNotices(NOW, NOW + LEASE, 8))
    early = await post.send(LEASE - SECOND)
    again = await post.send(SECOND)
    late_failure = await storage.run(SettleNotice(lost.id, lost.attempts, "failed", post.time.now))
    notice = await post.row()

    assert (early, again, late_failure) == (0, 1, False)
    assert (notice.status, notice.attempts) == ("sent", 2)


async def test_that_it_was_sent_is_true_whoever_has_it(storage: Storage) -> None:
    """A slow worker's success ends the attempts of the one who has taken over."""
    post = Post(storage)
    await post.queue(BY_SMS)
    [slow] = await storage.run(ClaimNotices(NOW, NOW, 8))
    [fresh] = await storage.run(ClaimNotices(NOW, NOW + LEASE, 8))
    was_put_off = await storage.run(SettleNotice(slow.id, slow.attempts, "queued", NOW, NOW + HOUR))
    was_sent = await storage.run(SettleNotice(slow.id, slow.attempts, "sent", NOW))
    too_late = await storage.run(SettleNotice(fresh.id, fresh.attempts, "queued", NOW, NOW + HOUR))

    assert (was_put_off, was_sent, too_late) == (False, True, False)
    assert (await post.row()).status == "sent"


async def test_a_notice_leaves_by_mail(storage: Storage) -> None:
    """A server that is busy gets it later, under the same Message-ID; one that knows nobody of that name, never."""
    async with serving() as box:
        post = Post(storage, mail_to(box))
        await post.queue(BY_MAIL)
        box.says = "451 busy"
        await post.send()
        busy = await post.row()
        box.says = "250 taken"
        await post.send(HOUR)
        notice = await post.row()
        [mail] = box.mails
        box.says_to_recipient = "550 nobody here"
        await storage.run(TellStopped("sms", (BY_MAIL,), post.time.now))
        await post.send()
        refused = {row.status: row.error for row in await rows(storage, Notice)}

    assert (busy.status, busy.error) == ("queued", "451 busy")
    assert notice.status == "sent"
    assert mail["Message-ID"] == f"<{notice.id}@example.com>"
    assert mail["From"] == "Corner Garage <frontdesk@example.com>"
    assert (mail["Subject"], mail.get_content().splitlines()) == ("A subject", ["Somebody waits."])
    assert refused == {"sent": None, "failed": "550 nobody here"}


async def test_a_notice_goes_through_twilio(storage: Storage, tmp_path: Path) -> None:
    """As the channel writes a number, which an owner types with spaces; what is no number is found out at once."""
    async with world() as around, Http() as http:
        roster = build_roster(config(tmp_path, "sqlite:///unused.db", **around.addresses), http)
        notices = Notices(storage, roster, Metrics(), lambda: NOW, None, name="Corner Garage")
        typed = NewNotice("sms", "+1 (555) 010-0007", "s", "Somebody waits.", "sms")
        await storage.run(TellStopped("page", (typed, NewNotice("sms", "the owner", "s", "c", "sms")), NOW))
        await notices.send_due()
        received = list(around.twilio.received(OWNER))
        statuses = {row.target: row.status for row in await rows(storage, Notice)}

    assert received == ["Somebody waits."]
    assert statuses == {"+1 (555) 010-0007": "sent", "the owner": "failed"}
