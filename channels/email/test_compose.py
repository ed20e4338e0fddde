"""What we send, read back by the standard library's own parser."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.abilities import Media
from channels.base import Answered, Outbound
from channels.content import Content
from channels.email.compose import compose
from channels.email.references import References, Token
from channels.email.settings import EmailSettings
from channels.email.wire import bare_name, on_the_wire
from channels.errors import Refused

ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
CUSTOMER = "customer@example.org"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SENT_AT = datetime(2026, 11, 24, 10, 30, tzinfo=UTC)
SETTINGS = EmailSettings.model_validate(
    {
        "address": "help@example.com",
        "name": "Example Support",
        "listen": {"port": 2525},
        "smtp": {"host": "mail.example.com"},
        "token_secret": "secret",
    }
)
REFERENCES = References(SETTINGS.signing_key, SETTINGS.address)
ASKED = Answered(
    "<parent@example.org>",
    "Where is my order?\nIt is late.",
    SENT_AT,
    "Customer",
    {"subject": "My order", "references": []},
)
ICS = "BEGIN:VCALENDAR\nMETHOD:REQUEST\nBEGIN:VEVENT\nSUMMARY:Inspection\nEND:VEVENT\nEND:VCALENDAR\n"


def outbound(text: str = "It is on its way.", **changes: Any) -> Outbound:
    """Make an answer of the bot's."""
    content = Content(text=text, **changes.pop("content", {}))
    return Outbound(ID, CUSTOMER, content, silent_s=changes.pop("silent_s", 60.0), **changes)


def written(letter: Outbound | None = None, answered: Answered | None = ASKED, **given: Any) -> bytes:
    """Compose it; whatever it says, the bytes are ASCII in short lines."""
    settings = SETTINGS.model_copy(update=given.pop("settings", {}))
    raw = compose(letter or outbound(), answered, settings, now=NOW, files=given.pop("files", {}), **given)
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert raw.count(b"\n") == raw.count(b"\r\n") == raw.count(b"\r")
    return raw


def mail(*args: Any, **given: Any) -> EmailMessage:
    """Compose it and read it back; the parser finds nothing to complain about."""
    message = message_from_bytes(written(*args, **given), policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert [part.defects for part in message.walk() if part.defects] == []
    assert [value.defects for value in message.values() if value.defects] == []
    return message


def body(message: EmailMessage, kind: str = "plain") -> str:
    """Return one of the alternatives."""
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


# --- headers ---


def test_an_answer_says_who_and_when_and_what_it_answers() -> None:
    """Each header that a mail program or another robot looks at."""
    found = mail()

    assert found["From"] == "Example Support <help@example.com>"
    assert found["To"] == CUSTOMER
    assert found["Date"].datetime == NOW
    assert found["Subject"] == "Re: My order"
    assert found["In-Reply-To"] == found["References"] == "<parent@example.org>"
    assert REFERENCES.read_message_id(found["Message-ID"]) == ID
    assert REFERENCES.read_token(found["Reply-To"].addresses[0].addr_spec, CUSTOMER) == Token(ID, True)
    assert found["Reply-To"].addresses[0].display_name == "Example Support"
    assert found["Auto-Submitted"] == "auto-replied"
    assert found["X-Auto-Response-Suppress"] == "OOF, AutoReply"
    assert found["X-Frontdesk-Instance"] == REFERENCES.instance
    assert found["MIME-Version"] == "1.0"
    assert len(found.keys()) == len(set(found.keys()))
    assert "List-Unsubscribe" not in found


def test_the_same_delivery_gives_the_same_bytes() -> None:
    """Every attempt is the same mail, boundaries too; another delivery is another one."""
    letter = outbound("Grüße", content={"attachment_urls": ("https://example.com/a.pdf",)})
    files = {"https://example.com/a.pdf": Media(b"pdf", "application/pdf")}
    other = replace(letter, delivery_id="7c9e6679-7425-40de-944b-e07fc1f90ae7")

    assert written(letter, files=files) == written(letter, files=files)
    assert written(letter, files=files) != written(other, files=files)


ROBOTS = [
    (False, ASKED, "auto-replied"),
    (False, None, "auto-generated"),
    (True, ASKED, None),
    (True, None, None),
]


@pytest.mark.parametrize(("by_person", "answered", "automatic"), ROBOTS)
def test_only_the_bot_calls_itself_automatic(by_person: bool, answered: Answered | None, automatic: str | None) -> None:
    """A person's absence note may answer a person."""
    found = mail(outbound(by_person=by_person), answered)

    assert found["Auto-Submitted"] == automatic
    assert (found["X-Auto-Response-Suppress"] is None) == by_person
    assert found["X-Frontdesk-Instance"] is not None


SUBJECTS = [
    ("My order", "Re: My order"),
    ("Re: My order", "Re: My order"),
    ("RE: My order", "RE: My order"),
    ("AW: Bestellung", "AW: Bestellung"),
    ("SV: Ordre", "SV: Ordre"),
    ("Re[2]: My order", "Re[2]: My order"),
    ("回复：订单", "回复：订单"),
    ("Refund: my order", "Re: Refund: my order"),
    ("Rehearsal", "Re: Rehearsal"),
    ("Fwd: My order", "Re: Fwd: My order"),
    ("", "Re: Example Support"),
    (None, "Re: Example Support"),
    ("Größe – 尺寸 😀", "Re: Größe – 尺寸 😀"),
    ("=?utf-8?q?no=20word?=", "Re: =?utf-8?q?no=20word?="),
    ("two  spaces\tand a tab", "Re: two spaces and a tab"),
    ("x" * 5000, "Re: " + "x" * 296),
    ("my order\r\nBcc: everybody@example.net", "Re: my order Bcc: everybody@example.net"),
    ("a\x00b\x0bc\u2028d\x85e", "Re: a b c d e"),
    ("half \ud83d of one", "Re: half \ufffd of one"),
]


@pytest.mark.parametrize(("theirs", "ours"), SUBJECTS)
def test_the_subject_stays_the_customers_own(theirs: str | None, ours: str) -> None:
    """It is marked as an answer once, and whatever it holds stays in it."""
    found = mail(answered=replace(ASKED, metadata={"subject": theirs}))

    assert found["Subject"] == ours
    assert "Bcc" not in found


def test_a_mail_that_we_begin_is_named_after_us() -> None:
    """There is no subject to go by; without a name it is the address."""
    assert mail(answered=None)["Subject"] == "Example Support"
    assert mail(answered=None, settings={"name": None})["Subject"] == "help@example.com"
    assert mail(answered=None, settings={"name": None})["From"] == "help@example.com"
    assert "In-Reply-To" not in mail(answered=None)


NAMES = [
    'Acme "The Best" \\ Co.',
    "Küche & Bad",
    "株式会社サンプル" * 8,
    "a" * 200,
    "=?utf-8?q?x?=",
    "Support, EMEA <x@y>",
]


@pytest.mark.parametrize("name", NAMES)
def test_our_name_is_shown_whatever_it_holds(name: str) -> None:
    """It never becomes an address."""
    head = message_from_bytes(written(settings={"name": name}))["From"]
    shown, address = parseaddr(head)  # the newer parser of Python 3.11 puts spaces between encoded words

    assert (str(make_header(decode_header(shown))), address) == (name, "help@example.com")


ANCESTORS = [
    ({"references": ["a@x", "b@x"]}, ["a@x", "b@x"]),
    ({"references": ("<a@x>", "<b@x>")}, ["a@x", "b@x"]),
    ({"references": "<a@x> <b@x>"}, ["a@x", "b@x"]),
    ({"references": "a@x b@x"}, ["a@x", "b@x"]),
    ({"references": [], "in_reply_to": "<a@x>"}, ["a@x"]),
    ({"references": ["a@x", "a@x", "parent@example.org", "b@x"]}, ["a@x", "b@x"]),
    ({"references": ["has space@x", "<>", "a@x\r\nBcc: b@x", "ö@x", "y" * 251, "b@x"]}, ["b@x"]),
    ({"references": [f"{n}@x" for n in range(40)]}, ["0@x", *(f"{n}@x" for n in range(22, 40))]),
    ({"references": 7}, []),
    ({}, []),
]


@pytest.mark.parametrize(("metadata", "earlier"), ANCESTORS)
def test_the_thread_so_far_goes_along(metadata: dict[str, Any], earlier: list[str]) -> None:
    """The parent's references and the parent; of a long thread the first and the last nineteen."""
    found = mail(answered=replace(ASKED, metadata=metadata))

    assert str(found["References"]).split() == [f"<{id_}>" for id_ in (*earlier, "parent@example.org")]


def test_a_mail_that_came_without_an_id_is_answered_without_naming_one() -> None:
    """It is known by a hash that its sender has never seen."""
    found = mail(answered=replace(ASKED, external_id="sha256:0123"))

    assert found["In-Reply-To"] is found["References"] is None
    assert found["Auto-Submitted"] == "auto-replied"


@pytest.mark.parametrize("settings", [{"plus_addressing": False}, {"address": "a" * 30 + "@example.com"}])
def test_without_room_for_a_token_answers_come_to_our_bare_address(settings: dict[str, Any]) -> None:
    """Where the mail server refuses a plus, and where the address is too long."""
    assert "Reply-To" not in mail(settings=settings)


UNSUBSCRIBING = [
    (None, "<mailto:help@example.com?subject=unsubscribe&body=unsubscribe>", None),
    (
        "https://chat.example.com/u/abc",
        "<https://chat.example.com/u/abc>, <mailto:help@example.com?subject=unsubscribe&body=unsubscribe>",
        "List-Unsubscribe=One-Click",
    ),
    ("http://chat.example.com/u", "<mailto:help@example.com?subject=unsubscribe&body=unsubscribe>", None),
    ("https://x/>\r\nBcc: a@b", "<mailto:help@example.com?subject=unsubscribe&body=unsubscribe>", None),
]


@pytest.mark.parametrize(("url", "header", "post"), UNSUBSCRIBING)
def test_who_never_wrote_is_shown_how_to_stop_us(url: str | None, header: str, post: str | None) -> None:
    """One click needs https (RFC 8058)."""
    found = mail(outbound(silent_s=None), None, unsubscribe_url=url)

    assert found["List-Unsubscribe"] == header
    assert found["List-Unsubscribe-Post"] == post


# --- recipients ---


def test_a_domain_outside_ascii_is_written_in_ascii() -> None:
    """Every mail server can carry it."""
    found = mail(replace(outbound(), recipient="customer@bücher.example"))

    assert found["To"] == "customer@xn--bcher-kva.example"


def test_a_local_part_outside_ascii_stays_as_it_is() -> None:
    """Only a server with SMTPUTF8 carries it; the client asks for that."""
    letter = replace(outbound(), recipient="kundé@example.org")
    raw = compose(letter, None, SETTINGS, now=NOW, files={})

    assert "\r\nTo: kundé@example.org\r\n".encode() in raw


NO_ADDRESSES = [
    "",
    "customer",
    "@example.org",
    "customer@",
    "a@b@example.org ",
    "a b@example.org",
    "a@example.org\r\nBcc: x@example.net",
    "a@example.org> SIZE=1",
    "<a@example.org>",
    "a\x00@example.org",
    "a\ud83d@example.org",
    "a@" + "ö" * 300 + ".example",
    "a" * 65 + "@example.org",
    "a@" + "b" * 253,
]


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_what_is_no_address_gets_no_mail(address: str) -> None:
    """Least of all one that would end its line."""
    with pytest.raises(Refused) as raised:
        on_the_wire(address)

    assert raised.value.code == "5.1.3"


# --- the body ---


def test_the_customers_words_stand_beneath_as_people_expect() -> None:
    """Mail programs fold them away."""
    found = mail()

    assert body(found) == (
        "It is on its way.\n\nOn 2026-11-24 at 10:30 UTC, Customer wrote:\n> Where is my order?\n> It is late.\n"
    )
    html = body(found, "html")
    assert '<p dir="auto">It is on its way.</p>' in html
    assert '<blockquote type="cite" class="gmail_quote"' in html
    assert html.index("on its way") < html.index("Customer wrote:") < html.index("Where is my order?<br>\nIt is late.")
    assert [part.get_content_type() for part in found.walk()] == ["multipart/alternative", "text/plain", "text/html"]


QUOTES = [
    (replace(ASKED, text=""), 0),
    (replace(ASKED, text="line\n" * 500), 61),
    (replace(ASKED, text="x" * 100_000), 2),
    (replace(ASKED, sender_name=None), 2),
]


@pytest.mark.parametrize(("answered", "lines"), QUOTES)
def test_a_quote_is_as_short_as_it_may_be(answered: Answered, lines: int) -> None:
    """It is there to remind, and who wrote nothing is not quoted."""
    text = body(mail(answered=answered))

    assert len(re.findall("^> ", text, re.MULTILINE)) == lines
    assert len(text) < 4500
    assert (f"{answered.sender_name or CUSTOMER} wrote:" in text) == (lines > 0)


TEXTS = [
    "Grüße aus Köln — 尺寸 😀",
    "Пожалуйста, подождите. " * 100 + "Спасибо.",
    "x" * 5000,
    "two\n\nparagraphs\n\n\nand one",
    "a trailing space \nand = signs =3D",
    ".\n..\nFrom here",
    "<script>alert(1)</script> & \"quotes\" 'n' all",
    "--=_0123456789_1--\nContent-Type: text/html",
]


@pytest.mark.parametrize("text", TEXTS)
def test_both_alternatives_say_the_same_text(text: str) -> None:
    """Whatever letters it has, however long its lines are."""
    found = mail(outbound(text), None)
    shown = re.sub("<[^>]*>", "", body(found, "html").partition("<body>")[2].replace("<br>\n", "\n"))

    assert body(found) == text + "\n"
    for paragraph in filter(None, text.split("\n\n")):
        assert paragraph.strip("\n").replace("&", "&amp;").replace("<", "&lt;").split("\n")[0][:20] in shown.replace(
            "&quot;", '"'
        ).replace("&#x27;", "'").replace("&gt;", ">")
    assert "<script" not in body(found, "html")


@given(st.text())
def test_any_text_at_all_is_sent_whole(text: str) -> None:
    """Control characters and halves of characters are left out or replaced; nothing else is lost."""
    answered = replace(ASKED, text=text, sender_name=text, metadata={"subject": text, "references": [text]})
    found = mail(outbound(text, content={"attachment_urls": (f"https://example.com/{text}",)}), answered)

    kept = re.sub(r"[\x00-\x1f\x7f\s\ufeff]", "", text)
    assert kept in re.sub(r"[\x00-\x1f\x7f\s\ufeff]", "", body(found))
    assert set(found.keys()) == set(mail().keys())


LINKS = [
    ("see https://example.com/a?b=1&c=2.", "https://example.com/a?b=1&c=2"),
    ("(https://example.com/a_(b))", "https://example.com/a_(b)"),
    ("HTTP://example.com/, or", "HTTP://example.com/"),
    ("http://example.com/<b>", "http://example.com/"),
    ('http://example.com/"onclick="x', "http://example.com/"),
    ("javascript:alert(1)", None),
    ("data:text/html,x ftp://example.com www.example.com", None),
]


@pytest.mark.parametrize(("text", "url"), LINKS)
def test_only_what_leads_to_the_web_can_be_clicked(text: str, url: str | None) -> None:
    """And the sentence's own punctuation is no part of it."""
    found = re.findall('<a href="([^"]*)">', body(mail(outbound(text), None), "html"))

    assert found == ([] if url is None else [url.replace("&", "&amp;")])


# --- files ---


def test_small_files_are_attached_and_large_ones_become_links() -> None:
    """Together they are no larger than the limit; what could not be fetched is a link, too."""
    urls = tuple(f"https://example.com/files/{name}" for name in ("a.pdf", "big.zip", "b%20c.txt", "gone.png"))
    files = {
        urls[0]: Media(b"A" * 60, "application/pdf"),
        urls[1]: Media(b"Z" * 50, "application/zip"),
        urls[2]: Media(b"text\n\r\xff", "text/plain; charset=utf-8"),
    }
    found = mail(outbound("Here.", content={"attachment_urls": urls}), None, files=files, link_over_bytes=100)

    assert [(part.get_filename(), part.get_content_type()) for part in found.iter_attachments()] == [
        ("a.pdf", "application/pdf"),
        ("b c.txt", "text/plain"),
    ]
    assert [part.get_payload(decode=True) for part in found.iter_attachments()] == [b"A" * 60, b"text\n\r\xff"]
    assert body(found) == (
        "Here.\n\nbig.zip: https://example.com/files/big.zip\ngone.png: https://example.com/files/gone.png\n"
    )


def test_a_file_without_an_address_is_attached_whatever_its_size() -> None:
    """Nothing else could lead to it."""
    url = "data:image/png;base64,AAAA"
    found = mail(
        outbound("", content={"attachment_urls": (url,)}),
        None,
        files={url: Media(b"\0\0\0", "image/png")},
        link_over_bytes=1,
    )

    (part,) = found.iter_attachments()
    assert (part.get_filename(), part.get_content_type(), part.get_content()) == ("file.png", "image/png", b"\0\0\0")


@pytest.mark.parametrize("url", ["data:image/png;base64,AAAA", "file:///etc/passwd", "cid:1"])
def test_a_file_that_is_nowhere_is_not_left_out_in_silence(url: str) -> None:
    """The operator is told."""
    with pytest.raises(Refused) as raised:
        mail(outbound("Here.", content={"attachment_urls": (url,)}), None)

    assert raised.value.code == "unreadable_file"


@pytest.mark.parametrize("content_type", ["message/rfc822", "multipart/mixed", "nonsense", "a/b\r\nBcc: x@y", ""])
def test_a_file_of_a_type_that_cannot_be_attached_is_just_bytes(content_type: str) -> None:
    """Nobody opens it by mistake."""
    url = "https://example.com/file"
    letter = outbound("Here.", content={"attachment_urls": (url,)})
    found = mail(letter, None, files={url: Media(b"From: x", content_type)})

    (part,) = found.iter_attachments()
    assert part.get_content_type() == "application/octet-stream"
    assert "Bcc" not in found


FILE_NAMES = [
    ("report.pdf", "report.pdf"),
    ("../../etc/passwd", "_.._etc_passwd"),
    ('a"b\\c.txt', "a_b_c.txt"),
    ("a\r\nBcc: x.txt", "a Bcc_ x.txt"),
    ("Größe 尺寸.pdf", "Größe 尺寸.pdf"),
    ("é" * 200 + ".pdf", "é" * 58 + ".pdf"),
    ("x" * 290 + "." + "y" * 200, "x" * 110 + "." + "y" * 9),
    (" . ", "file"),
]


@pytest.mark.parametrize(("name", "bare"), FILE_NAMES)
def test_a_files_name_is_bare_and_short(name: str, bare: str) -> None:
    """Its end says what it is, so that stays."""
    assert bare_name(name) == bare


def test_a_name_outside_ascii_comes_back() -> None:
    """As RFC 2231 writes it."""
    url = "https://example.com/Gr%C3%B6%C3%9Fe%20%E5%B0%BA.pdf"
    letter = outbound("Here.", content={"attachment_urls": (url,)})
    found = mail(letter, None, files={url: Media(b"x", "application/pdf")})

    assert [part.get_filename() for part in found.iter_attachments()] == ["Größe 尺.pdf"]


@pytest.mark.parametrize("url", ["https://[broken/a.pdf", "https://example.com/", "https://example.com"])
def test_an_address_without_a_name_is_a_link_all_the_same(url: str) -> None:
    """However it is written."""
    found = mail(outbound("Here.", content={"attachment_urls": (url,)}), None)

    assert f"file: {url}\n" in body(found)


CALENDARS = [
    (ICS, "REQUEST"),
    (ICS.replace("REQUEST", "cancel").replace("\n", "\r\n"), "CANCEL"),
    (ICS.replace("METHOD:REQUEST\n", ""), "PUBLISH"),
    (ICS.replace("REQUEST", 'X"; name=y'), "PUBLISH"),
]


@pytest.mark.parametrize(("calendar", "method"), CALENDARS)
def test_an_appointment_goes_along_as_a_calendar_reads_it(calendar: str, method: str) -> None:
    """Once among the alternatives and once as a file."""
    found = mail(outbound("Your appointment.", content={"calendar": calendar}), None)

    (invite,) = [part for part in found.walk() if part.get_content_type() == "text/calendar"]
    assert (invite.get_param("method"), invite.get_filename()) == (method, "invite.ics")
    (attached,) = found.iter_attachments()
    assert (attached.get_content_type(), attached.get_filename()) == ("application/ics", "invite.ics")
    whole = calendar.replace("\r\n", "\n").replace("\n", "\r\n").encode()
    assert invite.get_payload(decode=True).replace(b"\r\n", b"\n") == whole.replace(b"\r\n", b"\n")
    assert attached.get_payload(decode=True) == whole
