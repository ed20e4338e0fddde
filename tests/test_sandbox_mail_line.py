"""The sandbox's customers by e-mail: what they write in their threads, and what their program shows them."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import make_msgid

import pytest

from gateway.sandbox.mail.clients import STYLES
from gateway.sandbox.mail.letters import Writer, begin, files_of, go_on, new_words, read
from gateway.sandbox.mail.line import MailLine
from gateway.sandbox.mail.providers import Arrived
from gateway.sandbox.mail.smtp import MailServer, TakenMail
from tests.test_storage_accept import NOW

US = "help@example.com"
CUSTOMER = "customer@example.org"
QUOTED = "\n\nOn 2026-11-24 at 12:00 UTC, A Customer wrote:\n> Hello\n>\n> there\n"


class Post:
    """The provider, which keeps what it is given."""

    def __init__(self) -> None:
        self.arrived: list[Arrived] = []

    async def __call__(self, arrived: Arrived) -> int:
        self.arrived.append(arrived)
        return 200

    @property
    def newest(self) -> EmailMessage:
        return read(self.arrived[-1].raw)


def ours(text: str, *, subject: str = "Re: Roof", message_id: str | None = None, file: str | None = None) -> TakenMail:
    """Build a mail of the gateway's."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Reply-To"] = f"Corner Garage <{US}>", CUSTOMER, "help+token@example.com"
    mail["Subject"], mail["Message-ID"] = subject, message_id or make_msgid(domain="example.com")
    mail.set_content(text)
    if file is not None:
        mail.add_attachment(b"BEGIN:VCALENDAR", maintype="application", subtype="ics", filename=file)
    return TakenMail(US, (CUSTOMER,), mail.as_bytes())


def customers(**more: str) -> tuple[MailLine, Post]:
    """Return customers whose mail nobody answers by itself."""
    post = Post()
    return MailLine(US, MailServer(), post, clock=lambda: NOW, **more), post


async def test_the_first_mail_begins_a_thread_and_the_next_ones_go_on_with_it() -> None:
    """By what they wrote themselves, until there is an answer; then to its Reply-To, with all that was before."""
    line, post = customers()
    await line.text(CUSTOMER, "When are you open on Saturday, and on Sunday?", "<1@example.org>")
    first = post.newest
    await line.text(CUSTOMER, "And on Monday?", "<2@example.org>")
    second = post.newest
    line.server.take(ours(f"At nine.{QUOTED}", message_id="<a@example.com>"))
    await line.text(CUSTOMER, "Thank you.", "<3@example.org>")
    third = post.newest

    assert (first["To"], first["Subject"]) == (US, "When are you open on Saturday, …")
    assert (first["From"], first["References"]) == (f"A Customer <{CUSTOMER}>", None)
    assert (second["To"], second["Subject"]) == (US, "Re: When are you open on Saturday, …")
    assert (second["In-Reply-To"], second["References"]) == ("<1@example.org>", "<1@example.org>")
    assert (third["To"], third["Subject"]) == ("help+token@example.com", "Re: Roof")
    assert third["In-Reply-To"] == "<a@example.com>"
    assert [arrived.recipients for arrived in post.arrived] == [(US,), (US,), ("help+token@example.com",)]
    assert "> At nine." in third.get_body(("plain",)).get_content()


async def test_what_is_written_again_is_the_same_mail() -> None:
    """As a provider posts again what nobody took, though an answer has come meanwhile."""
    line, post = customers()
    await line.text(CUSTOMER, "Hello", "<1@example.org>")
    line.server.take(ours("Good day."))
    await line.text(CUSTOMER, "Hello", "<1@example.org>")

    assert post.arrived[0] == post.arrived[1]
    assert line.written("<1@example.org>")["Message-ID"] == "<1@example.org>"


async def test_its_border_host_vouches_for_a_customer_above_everything_else() -> None:
    """Where one does."""
    line, post = customers(vouched_for_by="mx.example.com")
    await line.text(CUSTOMER, "Hello")

    assert post.arrived[0].raw.startswith(
        b"Authentication-Results: mx.example.com; dmarc=pass header.from=example.org\n"
    )


def test_a_program_shows_new_words_new_subjects_and_files() -> None:
    """Of what came twice under one Message-ID, one."""
    line, _ = customers()
    twice = ours(f"One.{QUOTED}", message_id="<a@example.com>")
    for mail in (twice, ours("Two.", file="invite.ics"), twice, ours("Three.", subject="Your bill")):
        line.server.take(mail)

    assert line.received(CUSTOMER) == ["[Re: Roof] One.", "Two.\n[file invite.ics]", "[Your bill] Three."]
    assert line.received("other@example.org") == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"One.\n\nTwo.{QUOTED}", "One.\n\nTwo."),
        ("Nothing is quoted.", "Nothing is quoted."),
        (f"> is how you mark a quote.\nYes.{QUOTED}", "> is how you mark a quote.\nYes."),
        (f"See:\n> this{QUOTED}", "See:\n> this"),
        (QUOTED, ""),
        ("", ""),
    ],
)
def test_a_quote_at_the_end_is_folded(text: str, shown: str) -> None:
    """Its heading goes with it, and nothing else."""
    assert new_words(ours(text)) == shown


def test_a_mail_without_files_names_none() -> None:
    """The alternatives of its text are none."""
    assert list(files_of(ours("Hello"))) == []


@pytest.mark.parametrize("style", STYLES)
def test_every_program_can_answer(style: str) -> None:
    """Ours, or the customer's own."""
    writer = Writer(CUSTOMER, style=style)
    own = begin(writer, US, "Roof", "It leaks.", message_id="<1@example.org>", now=NOW)
    answers = [
        go_on(writer, earlier, "More.", message_id="<2@example.org>", now=NOW) for earlier in (own, ours("Yes").message)
    ]

    assert [answer["To"] for answer in answers] == [US, "help+token@example.com"]
    assert all("More." in answer.get_body((kind,)).get_content() for answer in answers for kind in ("plain", "html"))


@pytest.mark.parametrize(
    ("address", "is_one"),
    [(CUSTOMER, True), ("a.b+c@mail.example.org", True), ("abc", False), (US, False), ("a b@example.org", False)],
)
def test_a_typing_error_is_told_from_an_address(address: str, is_one: bool) -> None:
    """Our own is nobody's whom we answer."""
    line, _ = customers()

    assert (line.why_no_address(address) is None) is is_one
