"""Mail in, from the request to the event: what is said, by whom, in which thread, and whether anybody is to answer."""

from __future__ import annotations

import hashlib
import hmac
import pickle
from collections.abc import Sequence
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import pytest

from channels.base import ChannelContext, Clue, ClueKind, Consent, DeliveryStatus, Inbound, Preference, Request, Status
from channels.email import threads
from channels.email.channel import EmailChannel, MailboxChannel
from channels.email.envelope import MAIL_FROM, RAW, RCPT_TO, UNREADABLE, WHOLE_SIZE
from channels.email.references import References
from channels.email.settings import EmailSettings
from channels.errors import PayloadError, SignatureError
from channels.http import Http

US = "help@example.com"
CUSTOMER = "customer@example.org"
DELIVERY = "6b0d343a-5a5f-4b0c-9a43-3f6c0f1d2e3f"
SECRET = "a secret of the test's"
SECTION: dict[str, Any] = {
    "address": US,
    "name": "Example Plumbing",
    "inbound": {"provider": "raw", "secret": SECRET},
    "smtp": {"host": "127.0.0.1", "security": "none"},
}


def channel(**changes: Any) -> EmailChannel:
    """Build a channel."""
    context = ChannelContext("support", "https://chat.example.com/webhooks/support", Http())
    return EmailChannel.build(SECTION | changes, context)


REFERENCES = References(EmailSettings.model_validate(SECTION).signing_key, US)


def mail(text: str = "My roof leaks.", **headers: str) -> bytes:
    """Build a mail; headers' underscores are dashes, and an empty one is left out."""
    message = EmailMessage()
    given = {"From": f"A Customer <{CUSTOMER}>", "To": US, "Subject": "Roof", "Message-ID": "<m1@example.org>"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    for name, value in {**given, **named}.items():
        if value:
            message[name] = value
    message.set_content(text)
    return message.as_bytes()


def posted(raw: bytes, *, at: str = "0") -> Request:
    """Build a signed webhook."""
    signature = hmac.new(SECRET.encode(), f"{at}.".encode() + raw, hashlib.sha256).hexdigest()
    headers = (("X-Frontdesk-Signature", f"t={at},v1={signature}"), ("Content-Type", RAW))
    return Request("POST", "/webhooks/support", headers, raw)


def by_smtp(raw: bytes, *recipients: str, mail_from: str = CUSTOMER, **more: str) -> Request:
    """Build what the listener builds."""
    headers = [("Content-Type", RAW), (MAIL_FROM, mail_from), *((RCPT_TO, to) for to in recipients)]
    return Request("POST", "smtp:", (*headers, *more.items()), raw)


def told(request: Request, **changes: Any) -> Inbound:
    """Read the one message in a request."""
    [event] = channel(**changes).parse(request).events
    assert isinstance(event, Inbound)
    return event


def clues(event: Inbound) -> Sequence[tuple[str, str]]:
    """Return the clues that are not subjects."""
    return [(clue.kind.value, clue.value) for clue in event.clues if clue.kind is not ClueKind.SUBJECT]


# --- what is said ---


def test_a_mail_is_the_customers_words_with_everything_else_beside_them() -> None:
    """The original is whole, the quote is kept, and reading it twice gives the same."""
    text = f"Thursday is fine.\n\nOn Tue, 24 Nov 2026 at 10:00, Example Plumbing <{US}> wrote:\n> Which day?\n"
    raw = mail(text, Date="Wed, 25 Nov 2026 09:30:00 +0100", Subject="Re: Roof", In_Reply_To="<a@example.com>")
    event = told(posted(raw))

    assert (event.account, event.sender, event.sender_name) == (US, CUSTOMER, "A Customer")
    assert (event.external_id, event.text) == ("<m1@example.org>", "Thursday is fine.")
    assert event.sent_at is not None
    assert event.sent_at.isoformat() == "2026-11-25T08:30:00+00:00"
    assert (event.metadata["subject"], event.metadata["references"]) == ("Re: Roof", ["a@example.com"])
    assert "> Which day?" in event.metadata["quoted"]
    assert event.original == raw
    assert event == told(posted(raw)) == pickle.loads(pickle.dumps(channel().parse_in_worker))(posted(raw)).events[0]


def test_files_come_along_with_names_of_their_own() -> None:
    """Pictures that the text shows, too; two mails with other files do not say the same."""
    message = EmailMessage()
    message["From"], message["To"], message["Message-ID"] = CUSTOMER, US, "<m1@example.org>"
    message.set_content("See the picture.")
    message.add_attachment(b"\x89PNG one", maintype="image", subtype="png", filename="roof.png")
    event = told(posted(message.as_bytes()))
    other = told(posted(message.as_bytes().replace(b"iVBO", b"iVBP")))
    [file] = event.attachments

    assert (file.content_type, file.name, file.content) == ("image/png", "roof.png", b"\x89PNG one")
    assert file.url.startswith("mid:m1@example.org/")
    assert event.fingerprint != other.fingerprint
    assert event.external_id == other.external_id


@pytest.mark.parametrize(
    ("text", "subject", "said"),
    [("", "Roof leaks", "Roof leaks"), ("\n \n", "", "[an e-mail without a text]"), ("Hi", "Roof", "Hi")],
)
def test_a_mail_without_a_text_says_its_subject(text: str, subject: str, said: str) -> None:
    """Some people write everything there."""
    assert told(posted(mail(text, Subject=subject))).text == said


@pytest.mark.parametrize(("subject", "text"), [("FW: Offer", "See below.\n\n"), ("RE: FW: Offer", "See below.")])
def test_what_is_passed_on_is_read_whole(subject: str, text: str) -> None:
    """In Outlook it looks like a reply; an answer to it is one."""
    passed_on = (
        f"From: Somebody <somebody@example.net>\nSent: Monday, 23 November 2026 10:00\nTo: {US}\nSubject: Offer\n"
    )
    event = told(posted(mail(f"See below.\n\n{passed_on}\nTen roofs for you.\n", Subject=subject)))

    assert event.text.startswith(text)
    assert ("Ten roofs" in event.text) is subject.startswith("FW:")


def test_html_becomes_text() -> None:
    """Without a plain alternative; the quote is cut there, too."""
    message = EmailMessage()
    message["From"], message["To"], message["Message-ID"] = CUSTOMER, US, "<m1@example.org>"
    html = f'<p>Thursday, please.</p><div class="gmail_quote">On Tue, {US} wrote:<blockquote>Which?</blockquote></div>'
    message.set_content(html, subtype="html")

    assert told(posted(message.as_bytes())).text == "Thursday, please."


def test_a_mail_that_is_too_large_is_its_headers_and_a_note() -> None:
    """The bytes of the rest were never kept."""
    head = mail("").partition(b"\n\n")[0] + b"\n\n"
    event = told(by_smtp(head, **{WHOLE_SIZE: str(60 * 1024 * 1024)}))

    assert event.text.startswith("[an e-mail of 60 MB, which is more than is kept")
    assert (event.metadata["subject"], event.metadata["whole_size"]) == ("Roof", 60 * 1024 * 1024)
    assert event.attachments == ()


def test_a_mail_that_a_mailbox_does_not_give_says_so() -> None:
    """Somebody has to look there; nobody takes it for one that is too large."""
    head = mail("").partition(b"\n\n")[0] + b"\n\n"
    event = told(by_smtp(head, **{WHOLE_SIZE: "1000", UNREADABLE: "body"}))

    assert event.text == "[an e-mail that the mail server does not give: look in the mailbox itself]"


@pytest.mark.parametrize(
    ("text", "subject", "consent"),
    [("STOP", "Roof", Consent.OPT_OUT), ("", "unsubscribe", Consent.OPT_OUT), ("Stop please", "STOP", None)],
)
def test_a_whole_message_is_a_word_of_consent(text: str, subject: str, consent: Consent | None) -> None:
    """The subject counts where there is nothing else."""
    assert told(posted(mail(text, Subject=subject))).consent is consent


def test_a_mail_without_a_message_id_is_known_by_its_bytes() -> None:
    """A redelivery has the same ones."""
    raw = mail(Message_ID="")

    assert told(posted(raw)).external_id == f"sha256-{hashlib.sha256(raw).hexdigest()}"
    assert told(posted(raw)) == told(posted(raw))


def test_a_mail_that_names_nobody_is_kept_for_a_person() -> None:
    """By its envelope somebody may still be named."""
    raw = mail(From="")
    with pytest.raises(PayloadError, match="names no sender"):
        told(posted(raw))

    assert told(by_smtp(raw, US)).sender == CUSTOMER


# --- in which thread ---


def test_a_mail_that_continues_nothing_has_a_thread_of_its_own() -> None:
    """Named by hashes: nobody can read an address from them, and another sender's are others."""
    event = told(posted(mail()))
    other = told(posted(mail(From="stranger@example.net")))

    assert clues(event) == []
    assert event.thread_key != other.thread_key
    assert not set(event.known_as) & set(other.known_as)
    assert "example" not in " ".join((event.thread_key or "", *event.known_as))


def test_a_token_in_the_envelope_leads_to_its_delivery_and_proves_the_sender() -> None:
    """Only who got our mail has it, and it is bound to their address."""
    token = REFERENCES.reply_address(DELIVERY, CUSTOMER)
    assert token is not None
    event = told(by_smtp(mail(), token))
    by_header = told(posted(mail(To=f"Example <{token.upper()}>")))
    thief = told(by_smtp(mail(From="thief@example.net"), token))

    assert clues(event)[0] == clues(by_header)[0] == ("delivery", DELIVERY)
    assert event.metadata["trust"] == by_header.metadata["trust"] == "verified"
    assert clues(thief)[0] == ("delivery", DELIVERY), "the storage sees that it is not theirs"
    assert thief.metadata["trust"] == "unverified"


def test_references_are_followed_from_the_nearest() -> None:
    """Ours by their signature, others among the sender's own mail; forged ones of ours are others' at most."""
    ours = REFERENCES.message_id(DELIVERY)
    forged = ours.replace(DELIVERY[:8], "00000000")
    event = told(posted(mail(References=f"<first@example.org> <{forged}> <{ours}>", In_Reply_To=f"<{ours}>")))

    assert clues(event) == [
        ("delivery", DELIVERY),
        ("message", threads.name_of(CUSTOMER, "id", forged)),
        ("message", threads.name_of(CUSTOMER, "id", "first@example.org")),
    ]
    assert threads.name_of(CUSTOMER, "id", "first@example.org") in event.known_as


def test_a_mark_in_the_quoted_text_leads_to_its_delivery() -> None:
    """Where a relay has given every message another Message-ID."""
    html = f"<p>Yes.</p><blockquote>Which day?<div>{REFERENCES.message_id(DELIVERY)}</div></blockquote>"
    message = EmailMessage()
    message["From"], message["To"], message["Message-ID"] = CUSTOMER, US, "<m1@example.org>"
    message.set_content(html, subtype="html")

    assert clues(told(posted(message.as_bytes()))) == [("delivery", DELIVERY)]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Roof repair", "Re: Roof repair", True),
        ("Roof repair", "AW: RE: Re[2]:  roof   REPAIR", True),
        ("Roof repair", "回复：Roof repair", True),
        ("Roof repair", "Fwd: Roof repair", True),
        ("Roof repair", "Roof repairs", False),
        ("Regarding the roof", "Re: garding the roof", False),
    ],
)
def test_a_subject_is_the_same_whatever_mail_programs_put_before_it(one: str, other: str, same: bool) -> None:
    """In the languages that have a word of their own."""
    names = [threads.subject_name(CUSTOMER, subject) for subject in (one, other)]

    assert (names[0] == names[1]) is same
    assert None not in names


@pytest.mark.parametrize("subject", ["", "Re:", "Hi", "Question", "RE: Kein Betreff", "(no subject)", "Termin"])
def test_a_subject_that_everybody_writes_tells_nothing(subject: str) -> None:
    """Two questions are not one conversation."""
    assert threads.subject_name(CUSTOMER, subject) is None


def test_a_sender_who_is_not_who_they_say_is_led_nowhere_by_what_anybody_can_know() -> None:
    """Their token leads to its thread, and proves nothing: whoever was in copy of an answer has it."""
    results = "mx.example.com; dmarc=fail header.from=example.org"
    trust = {"authserv_id": "mx.example.com"}
    raw = mail(Authentication_Results=results, References="<first@example.org>", Subject="Re: Roof repair")
    event = told(posted(raw), trust=trust)
    token = REFERENCES.reply_address(DELIVERY, CUSTOMER)
    assert token is not None
    proven = told(by_smtp(raw, token), trust=trust)

    assert (event.metadata["trust"], event.clues) == ("failed", ())
    assert event.known_as == ()
    assert (proven.metadata["trust"], proven.clues) == ("failed", (Clue(ClueKind.DELIVERY, DELIVERY),))


@pytest.mark.parametrize(("dmarc", "consent"), [("pass", Consent.OPT_OUT), ("none", Consent.OPT_OUT), ("fail", None)])
def test_a_forger_says_nothing_about_consent(dmarc: str, consent: Consent | None) -> None:
    """STOP in somebody's name would silence them, START would let us write to who wants nothing."""
    results = f"mx.example.com; dmarc={dmarc} header.from=example.org"
    event = told(posted(mail("STOP", Authentication_Results=results)), trust={"authserv_id": "mx.example.com"})

    assert event.consent is consent


def test_a_copy_that_somebody_else_sends_first_is_another_message() -> None:
    """Who was in copy could send the customer's own words under the customer's own id."""
    theirs, copied = told(posted(mail())), told(posted(mail(From="thief@example.net")))

    assert theirs.external_id == copied.external_id
    assert theirs.fingerprint != copied.fingerprint


def test_a_guessed_subject_leads_nowhere_where_the_sender_was_checked_in_vain() -> None:
    """Where nobody checks anything, it is all that some programs leave of a thread."""
    results = "mx.example.com; spf=softfail smtp.mailfrom=example.org; dkim=none"
    raw = mail(Authentication_Results=results, Subject="Re: Roof repair")
    checked, unchecked = told(posted(raw), trust={"authserv_id": "mx.example.com"}), told(posted(raw))

    assert checked.metadata["trust_why"] == "not_aligned"
    assert (checked.clues, len(unchecked.clues)) == ((), 1)


# --- who is to answer ---


def test_an_answering_machine_is_marked() -> None:
    """It is a message like any other, and has its thread."""
    event = told(posted(mail(Auto_Submitted="auto-replied", References=f"<{REFERENCES.message_id(DELIVERY)}>")))

    assert event.automatic
    assert clues(event)[0] == ("delivery", DELIVERY)


def test_mail_of_our_own_is_dropped_and_counted() -> None:
    """Also where it comes back through a list."""
    parsed = channel().parse(posted(mail(X_Frontdesk_Instance=REFERENCES.instance)))

    assert (parsed.events, parsed.ignored, parsed.reply.status) == ((), ("own_mail",), 200)


def test_a_bounce_is_a_report_on_its_delivery() -> None:
    """Whoever it comes from, it has to name a Message-ID that we signed."""
    message = EmailMessage()
    message["From"], message["To"] = "MAILER-DAEMON@mx.example.org", US
    message["Content-Type"] = 'multipart/report; report-type=delivery-status; boundary="b"'
    body = (
        "--b\nContent-Type: text/plain\n\nNo such user.\n"
        f"--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.org\n\n"
        f"Final-Recipient: rfc822; {CUSTOMER}\nAction: failed\nStatus: 5.1.1\n"
        "Diagnostic-Code: smtp; 550 5.1.1 unknown\n"
        f"--b\nContent-Type: text/rfc822-headers\n\nMessage-ID: <{REFERENCES.message_id(DELIVERY)}>\n--b--\n"
    )
    raw = message.as_bytes().rstrip(b"\n") + b"\n\n" + body.encode()
    [status] = channel().parse(posted(raw)).events
    by_a_person = channel().parse(
        by_smtp(raw.replace(b"MAILER-DAEMON@mx", b"evil@mx"), US, mail_from="evil@mx.example.org")
    )
    forged = channel().parse(posted(raw.replace(DELIVERY[:8].encode(), b"00000000")))

    assert isinstance(status, Status)
    assert (status.status, status.delivery_id, status.error_code) == (DeliveryStatus.FAILED, DELIVERY, "5.1.1")
    assert status.undeliverable
    assert (forged.events, forged.ignored) == ((), ("bounce",))
    assert by_a_person.events == ()


# --- one click ---


async def test_one_click_stops_what_we_begin() -> None:
    """The token in the link is proof enough, and leads to nobody else's address; a GET changes nothing."""
    support = channel()
    target = f"/webhooks/support?unsubscribe={REFERENCES.unsubscribe_token(CUSTOMER)}"
    click = Request("POST", target, (), b"List-Unsubscribe=One-Click")
    support.admit(click)
    await support.verify(click)
    refused = [
        replace(click, method="GET"),
        replace(click, body=b"x"),
        replace(click, target=target[:-1] + ("a" if target[-1] != "a" else "b")),
        replace(click, target="/webhooks/support?unsubscribe="),
    ]
    for request in refused:
        with pytest.raises(SignatureError):
            await support.verify(request)

    assert support.parse(click).events == (Preference(US, CUSTOMER, Consent.OPT_OUT),)


# --- the channel ---


def test_a_channel_polls_only_where_there_is_a_mailbox() -> None:
    """And listens only where there is a port."""
    mailbox = {"host": "127.0.0.1", "username": "help", "password": "x", "security": "none"}

    assert not isinstance(channel(), MailboxChannel)
    assert isinstance(channel(imap=mailbox), MailboxChannel)
    assert (channel().listens, channel(listen={"port": 0}).listens) == (False, True)


async def test_without_a_provider_nothing_comes_in_by_http() -> None:
    """Whatever it looks like, also like mail from the listener."""
    support = channel(inbound=None, listen={"port": 0}, token_secret=SECRET)
    for request in (posted(mail()), by_smtp(mail(), US)):
        with pytest.raises(SignatureError):
            await support.verify(request)

    assert support.refusal.status == 404


@pytest.mark.parametrize(
    ("section", "path"),
    [
        ({"inbound": None}, ()),
        ({"inbound": {"provider": "sendgrid"}}, ("inbound", "sendgrid")),
        ({"inbound": {"provider": "mailgun"}}, ("inbound", "mailgun", "signing_key")),
        ({"address": "Help <help@example.com>"}, ("address",)),
        ({"smtp": {"host": "x", "username": "y"}}, ("smtp",)),
        ({"listen": {"port": 25, "require_tls": True}}, ("listen",)),
        ({"dkim": {"domain": "example.com", "selector": "s1", "private_key": "none"}}, ("dkim",)),
    ],
)
def test_what_could_not_work_is_refused_with_its_path(section: dict[str, Any], path: tuple[str, ...]) -> None:
    """Before anything starts."""
    with pytest.raises(ValueError, match=r".") as refused:
        channel(**section)

    assert refused.value.errors()[0]["loc"] == path  # type: ignore[attr-defined]


def test_where_nothing_is_secret_the_installation_has_a_secret() -> None:
    """Without it anybody could write references of ours."""
    context = ChannelContext("support", "https://chat.example.com/webhooks/support", Http(), "the installation's")
    section = SECTION | {"inbound": None, "listen": {"port": 0}}
    keys = {EmailChannel.build(section, replace(context, secret=secret))._settings.signing_key for secret in "ab"}
    own = {channel(token_secret="x")._settings.signing_key, channel()._settings.signing_key}

    assert len(keys | own) == 4


def test_a_send_ends_by_itself_before_the_outbox_cuts_it() -> None:
    """Or a server that hangs before the last dot would pass for one whose answer is unknown."""
    from channels.email.smtp_out import client

    assert channel().send_timeout_s >= client.SEND_TIMEOUT_S
