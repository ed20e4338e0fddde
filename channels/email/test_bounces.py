"""Reports as a dozen servers write them, and reports that are not to be believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import DeliveryStatus, Scope, Status
from channels.email.bounces import Report, read_report
from channels.email.envelope import Envelope
from channels.email.mail import Mail, Part
from channels.email.mime import read_mail
from channels.email.notices import read_fields
from channels.email.references import References

ACCOUNT = "help@example.com"
REFERENCES = References(b"k" * 32, ACCOUNT)
DELIVERY = "0b9f0f6e-8d0c-4a53-9f0e-4f1d1f7a2c11"
EARLIER = "1c9f0f6e-8d0c-4a53-9f0e-4f1d1f7a2c22"
OURS = REFERENCES.message_id(DELIVERY)
HEAD = f"From: help@example.com\nTo: customer@example.org\nSubject: Re: Hello\nMessage-ID: <{OURS}>"
ORIGINAL = f"{HEAD}\n\nGood day\n"
SILENT = "From: Mail system <postmaster@mx.example.org>\nTo: help@example.com\nSubject: Something\n"
DAEMON = "From: Mail Delivery Subsystem <mailer-daemon@mx.example.org>\nTo: help@example.com\nSubject: Failed\n"


def read(text: str, mail_from: str | None = "") -> Report | None:
    raw = text.replace("\n", "\r\n").encode()
    return read_report(read_mail(raw), Envelope(raw, mail_from), ACCOUNT, REFERENCES.read_message_id)


def report(status: str, third: str = f"Content-Type: message/rfc822\n\n{ORIGINAL}", words: str = "It failed.") -> str:
    """Build a report of three parts."""
    parts = (f"Content-Type: text/plain\n\n{words}\n", f"Content-Type: message/delivery-status\n\n{status}\n", third)
    body = "".join(f"--=_b\n{part}\n" for part in parts)
    return f'{SILENT}Content-Type: multipart/report; report-type=delivery-status;\n boundary="=_b"\n\n{body}--=_b--\n'


def failed(code: str, message: str | None, *, undeliverable: bool = False) -> Report:
    status = Status(
        ACCOUNT,
        DeliveryStatus.FAILED,
        delivery_id=DELIVERY,
        error_code=code,
        error_message=message,
        undeliverable=undeliverable,
    )
    return Report("bounce", (status,))


POSTFIX = """Reporting-MTA: dns; mx.example.org
X-Postfix-Queue-ID: 4ABC
Arrival-Date: Wed, 25 Nov 2026 10:00:00 +0000 (UTC)

Final-Recipient: rfc822; customer@example.org
Original-Recipient: rfc822;customer@example.org
Action: failed
Status: 5.1.1
Remote-MTA: dns; mail.example.org
Diagnostic-Code: smtp; 550 5.1.1 <customer@example.org>: Recipient address
    rejected: User unknown in local recipient table
"""
EXCHANGE = """Reporting-MTA: dns;AA1.outlook.example
Received-From-MTA: dns;BB1.outlook.example

Final-Recipient: rfc822;customer@example.org
Action: failed
Status: 5.4.1
Diagnostic-Code: smtp;550 5.4.1 Recipient address rejected: Access denied. [AA1.outlook.example 192.0.2.1]
X-Display-Name: customer@example.org
"""
GMAIL = """Reporting-MTA: dns; googlemail.example
Arrival-Date: Wed, 25 Nov 2026 02:00:00 -0800 (PST)
X-Original-Message-ID: <{ours}>

Final-Recipient: rfc822; customer@example.org
Action: failed
Status: 5.2.2
Remote-MTA: dns; mx.example.org. (192.0.2.1, the server for the domain example.org.)
Diagnostic-Code: smtp; 552-5.2.2 The email account that you tried to reach is over quota.
 552 5.2.2 Please direct the recipient to our help pages
Last-Attempt-Date: Wed, 25 Nov 2026 02:00:01 -0800 (PST)
"""
EXIM = """Reporting-MTA: dns; mx.example.org

Action: failed
Final-Recipient: rfc822;customer@example.org
Status: 5.0.0
Remote-MTA: dns; mail.example.org
Diagnostic-Code: smtp; 550 No such user here
"""
SENDMAIL = """Reporting-MTA: dns; mx.example.org
Received-From-MTA: DNS; out.example.com
Arrival-Date: Wed, 25 Nov 2026 10:00:00 GMT

Final-Recipient: RFC822; customer@example.org
Action: failed
Status: 5.1.2 (bad destination system address)
Diagnostic-Code: DNS; 550 Host unknown
Last-Attempt-Date: Wed, 25 Nov 2026 10:00:01 GMT
"""
QUEUED_TOO_LONG = """Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; customer@example.org
Action: failed
Status: 4.4.1
Diagnostic-Code: X-Postfix; connect to mail.example.org[192.0.2.1]:25: Connection timed out
"""
NULL_MX = """Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; customer@example.org
Action: failed
Status: 5.1.10
Diagnostic-Code: smtp; 556 5.1.10 Domain does not accept mail (nullMX)
"""
NO_POLICY = "550 5.7.1 Message does not exist in our policy"
POLICY = f"""Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; customer@example.org
Action: Failed
Status: 5.7.1
Diagnostic-Code: smtp; {NO_POLICY}
"""
SENDER_REFUSED = "Reporting-MTA: dns; a\n\nFinal-Recipient: rfc822; c@example.org\nAction: failed\nStatus: 5.1.8\n"
DOMINO = """Reporting-MTA: dns;notes.example.org

Final-Recipient: rfc822;customer@example.org
Action: failed
Status: 5.1.1
Diagnostic-Code: X-Notes; User customer not listed in Domino Directory
"""
WITHOUT_ACTION = "Reporting-MTA: dns; a\n\nFinal-Recipient: rfc822; c@example.org\nStatus: 5.1.1\n"
RAGGED = "\n\n\nReporting-MTA: dns; a\n \n\t\nSTATUS : 5.1.1\nnonsense\nAction : FAILED (bounced)\n\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            report(POSTFIX),
            failed(
                "5.1.1",
                "550 5.1.1 <…>: Recipient address rejected: User unknown in local recipient table",
                undeliverable=True,
            ),
        ),
        (
            report(EXCHANGE),
            failed(
                "5.4.1",
                "550 5.4.1 Recipient address rejected: Access denied. [AA1.outlook.example 192.0.2.1]",
                undeliverable=True,
            ),
        ),
        (
            report(GMAIL.format(ours=OURS), third="Content-Type: text/plain\n\nnothing\n"),
            failed(
                "5.2.2",
                "552-5.2.2 The email account that you tried to reach is over quota. "
                "552 5.2.2 Please direct the recipient to our help pages",
            ),
        ),
        (
            report(EXIM, third=f"Content-Type: message/rfc822\n\nReturn-path: <help@example.com>\n{ORIGINAL}"),
            failed("5.0.0", "550 No such user here", undeliverable=True),
        ),
        (
            report(SENDMAIL, third=f"Content-Type: text/rfc822-headers\n\n{HEAD}\n"),
            failed("5.1.2", "550 Host unknown", undeliverable=True),
        ),
        (
            report(QUEUED_TOO_LONG),
            failed("4.4.1", "connect to mail.example.org[192.0.2.1]:25: Connection timed out"),
        ),
        (report(NULL_MX), failed("5.1.10", "556 5.1.10 Domain does not accept mail (nullMX)", undeliverable=True)),
        (report(POLICY), failed("5.7.1", NO_POLICY)),
        (report(POLICY.replace("Status: 5.7.1", "Status: 5.1.1")), failed("5.1.1", NO_POLICY, undeliverable=True)),
        (report(SENDER_REFUSED), failed("5.1.8", None)),
        (report(DOMINO), failed("5.1.1", "User customer not listed in Domino Directory", undeliverable=True)),
        (report(WITHOUT_ACTION), failed("5.1.1", None, undeliverable=True)),
        (report(RAGGED), failed("5.1.1", None, undeliverable=True)),
        (
            report(POSTFIX.replace("Status: 5.1.1", "Status: 5.0.0").replace("550 5.1.1", "550 5.2.1")),
            failed(
                "5.2.1",
                "550 5.2.1 <…>: Recipient address rejected: User unknown in local recipient table",
                undeliverable=True,
            ),
        ),
        (
            report(
                DOMINO,
                third=f"Content-Type: message/global-headers\n\n{HEAD}".replace("Message-ID: ", "Message-Id:\n "),
            ),
            failed("5.1.1", "User customer not listed in Domino Directory", undeliverable=True),
        ),
        (
            report(
                DOMINO,
                third=f"Content-Type: message/rfc822\n\nReferences: <{REFERENCES.message_id(EARLIER)}>\n{HEAD}\n",
            ),
            failed("5.1.1", "User customer not listed in Domino Directory", undeliverable=True),
        ),
        (
            report(DOMINO, third="").replace("Subject:", f"In-Reply-To: <{OURS}>\nSubject:"),
            failed("5.1.1", "User customer not listed in Domino Directory", undeliverable=True),
        ),
    ],
    ids=[
        *("Postfix", "Exchange", "Gmail", "Exim", "Sendmail", "queued too long", "null MX", "policy", "two codes"),
        *("sender refused", "Domino", "without action", "ragged", "vague status", "folded id", "references", "reply"),
    ],
)
def test_a_bounce_makes_the_delivery_fail(text: str, expected: Report) -> None:
    """A report in any server's shape says which delivery failed, why, and whether nobody is there at all."""
    assert read(text) == expected


QMAIL = f"""{DAEMON}
Hi. This is the qmail-send program at mx.example.org.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<customer@example.org>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.

Return-Path: <help@example.com>
Received: (qmail 1 invoked by uid 0)
{ORIGINAL}
"""
QMAIL_LATE = f"""{DAEMON}
<customer@example.org>:
I'm not going to try again; this message has been in the queue too long. (#4.4.1)

--- Enclosed are the original headers of the message.

{HEAD}
"""
OLD_EXIM = f"""X-Failed-Recipients: customer@example.org
{DAEMON}
This message was created automatically by mail delivery software.

  customer@example.org
    SMTP error from remote mail server after RCPT TO:
    550 Unrouteable address

------ This is a copy of the message, including all the headers. ------

{ORIGINAL}
"""
WITHOUT_REASON = f"X-Failed-Recipients: customer@example.org\n{DAEMON}\nNot delivered.\n\n{HEAD}\n"
WORDS = f"""{SILENT}
Your message could not be delivered to customer@example.org:
the mailbox does not exist.

> Message-ID: <{OURS}>
> Subject: Re: Hello
"""
ATTACHED = f"""{SILENT}Content-Type: multipart/mixed; boundary="b"

--b
Content-Type: text/plain

552 message rejected
--b
Content-Type: message/rfc822

{ORIGINAL}
--b--
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (QMAIL, failed("5.1.1", "Sorry, no mailbox here by that name. (#5.1.1)", undeliverable=True)),
        (
            QMAIL_LATE,
            failed("4.4.1", "I'm not going to try again; this message has been in the queue too long. (#4.4.1)"),
        ),
        (OLD_EXIM, failed("bounced", "550 Unrouteable address", undeliverable=True)),
        (WITHOUT_REASON, failed("bounced", None)),
        (WORDS, failed("bounced", "the mailbox does not exist.", undeliverable=True)),
        (ATTACHED, failed("bounced", "552 message rejected")),
    ],
    ids=["qmail", "qmail, late", "old Exim", "without a reason", "plain words", "attached"],
)
def test_a_bounce_in_plain_words_is_understood(text: str, expected: Report) -> None:
    """Servers that write no report say it in their text, and give our message back."""
    assert read(text) == expected


@pytest.mark.parametrize("action", ["delayed", "relayed", "expanded", "unknown", ""])
def test_what_is_not_decided_changes_nothing(action: str) -> None:
    """A message that still waits, or was handed on to a server that tells no more, has neither failed nor arrived."""
    assert read(report(POSTFIX.replace("failed", action).replace("5.1.1\n", "4.4.1\n"))) == Report("bounce")


@pytest.mark.parametrize("action", ["relayed", "expanded"])
def test_one_mailbox_of_several_is_not_the_address(action: str) -> None:
    """Where an address of theirs leads to more than one mailbox, one that is gone does not end what the others get."""
    other = f"Final-Recipient: rfc822; b@example.org\nAction: {action}\nStatus: 2.1.5\n"

    assert read(report(f"{POSTFIX}\n{other}")) == Report("bounce")


def test_a_delay_in_plain_words_changes_nothing() -> None:
    """A warning that a server still tries is no failure."""
    waits = (
        "has not been delivered to one or more of its recipients after 24 hours. Delivery will be tried again. 4.4.1"
    )

    assert read(f"{DAEMON}\nThe message {waits}\n\n{HEAD}\n") == Report("bounce")


@pytest.mark.parametrize("other", ["", "Final-Recipient: rfc822; b@example.org\nAction: failed\nStatus: 5.1.1\n"])
def test_what_has_arrived_is_told(other: str) -> None:
    """A delivery receipt says so, also where one of several mailboxes behind the address took it."""
    status = (
        f"Reporting-MTA: dns; a\n\nFinal-Recipient: rfc822; a@example.org\nAction: delivered\nStatus: 2.0.0\n\n{other}"
    )

    assert read(report(status)) == Report("bounce", (Status(ACCOUNT, DeliveryStatus.DELIVERED, delivery_id=DELIVERY),))


FORGED = "d.0b9f0f6e-8d0c-4a53-9f0e-4f1d1f7a2c11.aaaaaaaaaaaaaaaa@example.com"


@pytest.mark.parametrize(
    "text",
    [
        report(POSTFIX).replace(OURS, FORGED),
        report(POSTFIX).replace(OURS, "1234@example.com"),
        report(POSTFIX, third="Content-Type: text/plain\n\nnothing\n"),
        report(POSTFIX, third=""),
        report("", third=f"Content-Type: message/rfc822\n\n{ORIGINAL}"),
        report("nonsense\n" * 1000),
        QMAIL.replace(OURS, FORGED),
        OLD_EXIM.replace(OURS, FORGED),
        report(
            POSTFIX,
            third=f"Content-Type: text/plain\n\nReferences: <{OURS}> <{REFERENCES.message_id(EARLIER)}>\n",
        ),
    ],
    ids=["forged", "foreign", "no original", "two parts", "no status", "nonsense", "qmail", "Exim", "a whole thread"],
)
def test_a_report_that_names_no_message_of_ours_is_not_believed(text: str) -> None:
    """Anybody can write a report; only who got our message, or carried it, knows its signed id."""
    assert read(text) == Report("bounce")


def arf(kind: str, third: str = f"Content-Type: message/rfc822\n\n{ORIGINAL}") -> str:
    told = f"Feedback-Type: {kind}\nUser-Agent: Loop/1.0\nVersion: 1\nOriginal-Mail-From: <help@example.com>\n"
    parts = ("Content-Type: text/plain\n\nA complaint.\n", f"Content-Type: message/feedback-report\n\n{told}\n", third)
    body = "".join(f"--b\n{part}\n" for part in parts)
    kind = "multipart/report; report-type=feedback-report; boundary=b"
    return f"From: loop@example.org\nContent-Type: {kind}\n\n{body}--b--\n"


@pytest.mark.parametrize("kind", ["abuse", "Fraud", "opt-out"])
@pytest.mark.parametrize(
    "third", [f"Content-Type: message/rfc822\n\n{ORIGINAL}", f"Content-Type: text/rfc822-headers\n\n{HEAD}\n"]
)
def test_a_complaint_ends_what_we_send(kind: str, third: str) -> None:
    """Whoever calls our message spam gets no more of them."""
    text = "the recipient has called the message spam"
    expected = Status(
        ACCOUNT,
        DeliveryStatus.FAILED,
        delivery_id=DELIVERY,
        error_code="complaint",
        error_message=text,
        opted_out=Scope.MARKETING,
        undeliverable=True,
    )

    assert read(arf(kind, third), mail_from="loop@example.org") == Report("complaint", (expected,))


@pytest.mark.parametrize(
    "text", [arf("not-spam"), arf("auth-failure"), arf("virus"), arf("abuse").replace(OURS, FORGED)]
)
def test_other_feedback_changes_nothing(text: str) -> None:
    """What is no complaint, or about no message of ours, is only known as what it is."""
    assert read(text, mail_from="loop@example.org") == Report("complaint")


def test_a_read_receipt_is_known_by_its_name() -> None:
    """It says that a mail program has shown a message, and changes nothing."""
    parts = (
        f"--b\n\nRead.\n--b\nContent-Type: message/disposition-notification\n\nOriginal-Message-ID: <{OURS}>\n--b--\n"
    )
    kind = "multipart/report; report-type=disposition-notification; boundary=b"

    assert read(f"From: customer@example.org\nContent-Type: {kind}\n\n{parts}") == Report("read_receipt")


FORWARDED = f"""From: customer@example.org
Content-Type: multipart/mixed; boundary=b

--b

Why did this fail?
--b
Content-Type: message/rfc822

{report(POSTFIX)}
--b--
"""


@pytest.mark.parametrize(
    ("text", "mail_from"),
    [
        (
            f"From: customer@example.org\nIn-Reply-To: <{OURS}>\nSubject: Re: Hello\n\nGood day\n",
            "customer@example.org",
        ),
        (f"From: customer@example.org\n\nI got this: 550 5.1.1 user unknown\n\n{HEAD}\n", "customer@example.org"),
        (f"From: customer@example.org\nIn-Reply-To: <{OURS}>\nSubject: Away\n\nBack soon, or call 555-0101.\n", ""),
        (f"From: customer@example.org\nIn-Reply-To: <{OURS}>\nSubject: Away\n\nRoom 550 Main house. 5.1.1\n", ""),
        (f"From: customer@example.org\nSubject: Away\n\nBack soon, or call 552-0101.\n> Message-ID: <{OURS}>\n", ""),
        (FORWARDED, "customer@example.org"),
    ],
    ids=["an answer", "a quoted error", "away", "away, with numbers", "away, with a copy", "a forwarded report"],
)
def test_other_mail_is_no_report(text: str, mail_from: str) -> None:
    """People who quote an error or forward a report, and answering machines, report nothing."""
    assert read(text, mail_from) is None


def test_an_address_in_a_servers_words_is_left_out() -> None:
    """What is kept of the reason is short and names nobody."""
    wordy = POSTFIX.replace("User unknown", "User c.u@example.org " + "unknown " * 200)
    report_read = read(report(wordy))

    assert report_read is not None
    message = report_read.statuses[0].error_message or ""
    assert "@" not in message
    assert len(message) == 300


@pytest.mark.parametrize(
    "text",
    [
        "-" * 300_000,
        ("-" * 100 + "\n") * 3000,
        "<" * 300_000,
        "<a@b" * 60_000,
        " " * 300_000,
        "Message-ID:" + " " * 300_000,
        "message-id:\n" * 30_000,
        "5." * 150_000,
        "a: b\n" + " c\n" * 100_000,
        "a: b\n\n" * 50_000,
        "user unknown" * 25_000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_hostile_reports_are_read_in_bounded_time(text: str) -> None:
    """No pattern takes more than linear time over what a stranger has filled a report with."""
    parts = tuple(
        Part(number, kind, text.encode())
        for number, kind in enumerate(("message/delivery-status", "message/rfc822", "message/feedback-report"), 1)
    )
    for kind in ("delivery-status", "feedback-report", None):
        mail = Mail((("from", "mailer-daemon@example.org"),), text, "", parts, "multipart/report", kind)
        for kept in (parts, ()):
            seen = Mail(mail.headers, text, "", kept, mail.content_type, kind)
            found = read_report(seen, Envelope(b"", ""), ACCOUNT, REFERENCES.read_message_id)

            assert found is not None
            assert found.statuses == ()


@given(st.text("a:\n \t:;5.1=", max_size=200))
def test_any_text_is_read_as_fields(text: str) -> None:
    """Whatever a server writes, fields come out and nothing is raised."""
    for fields in read_fields(text):
        assert all(name == name.strip().lower() for name in fields)
