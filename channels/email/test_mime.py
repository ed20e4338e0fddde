"""The tolerant reader of mail: what comes out of well-made and of broken messages."""

from __future__ import annotations

import pickle
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8, EmailPolicy
from html import escape
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.email.fixtures.broken import BROKEN, Broken
from channels.email.fixtures.broken.case import mail, multipart, part
from channels.email.mail import Part
from channels.email.mime import Defect, read_head, read_mail
from channels.email.mime.limits import MAX_MARKUP_CHARACTERS, MAX_TEXT_CHARACTERS
from channels.errors import PayloadError

TEXT = part("", "hello")
PICTURE = part("Content-Type: image/png", "Content-ID: <logo@example.org>", "", "PNG")


def rich(html: str, picture: bytes = PICTURE, kind: str = "related") -> bytes:
    return multipart(kind, part("Content-Type: text/html", "", html), picture)


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.name)
def test_a_broken_mail_is_read(case: Broken) -> None:
    """Whatever is broken, the words, the files and what had to be guessed come out."""
    found = read_mail(case.raw)

    assert found.text == case.text
    assert found.html == case.html
    assert {name: found.header(name) for name in case.headers} == case.headers
    assert tuple((p.content_type, p.name, p.content) for p in found.parts) == case.parts
    assert found.defects == case.defects


def test_there_are_many_kinds_of_broken_mail() -> None:
    """No kind stands there twice."""
    assert len({case.name for case in BROKEN}) >= 80
    assert len({case.raw for case in BROKEN}) == len(BROKEN)


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.name)
def test_headers_are_the_same_without_the_rest(case: Broken) -> None:
    """The headers of a mail that is too large are read as those of one that is read whole."""
    assert read_head(case.raw).headers == read_mail(case.raw).headers


@pytest.mark.parametrize("raw", [b"", b"\r\n\r\n", b"\0\0\0", b" \t\r\n", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_nothing_is_no_mail(raw: bytes) -> None:
    """Only what is empty cannot be read, and that is said."""
    with pytest.raises(PayloadError, match="empty"):
        read_mail(raw)
    with pytest.raises(PayloadError, match="empty"):
        read_head(raw)


def test_a_mail_travels_between_processes() -> None:
    """What a worker process has read arrives as it is."""
    found = read_mail(multipart("mixed", TEXT, PICTURE, end=""))

    assert pickle.loads(pickle.dumps(found)) == found
    assert found.defects == (Defect.CUT_OFF,)


def test_headers_keep_their_order_and_number() -> None:
    """A header that comes twice is there twice, topmost first."""
    found = read_mail(mail("Received: one", "Received: two", "X-A: b", "", "text"))

    assert found.headers_named("received") == ("one", "two")
    assert [name for name, _ in found.headers] == ["from", "received", "received", "x-a"]


WORDS = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), max_size=200).map(str.strip)
WORDS = WORDS.filter(lambda words: "=?" not in words)  # what looks encoded is written as it is
SHORT = WORDS.map(lambda words: words[:80])  # a text of a twentieth of it would be a stub
NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=60).map(lambda name: f"x{name}.pdf")


@given(
    subject=WORDS,
    text=WORDS,
    html=SHORT,
    name=NAMES,
    content=st.binary(max_size=200),
    policy=st.sampled_from([SMTP, SMTPUTF8]),
)
def test_what_the_standard_library_writes_is_read(
    subject: str, text: str, html: str, name: str, content: bytes, policy: EmailPolicy
) -> None:
    """A well-made mail comes out as it was put in, without a defect."""
    message = EmailMessage(policy)
    message["Subject"] = subject
    message.set_content(f"hello {text}\n")
    message.add_alternative(f"<p>{escape(html)}</p>\n", subtype="html")
    message.add_attachment(content, maintype="application", subtype="pdf", filename=name)

    found = read_mail(message.as_bytes())

    assert (found.header("subject") or "").split() == subject.split()
    assert found.text == f"hello {text}\n"
    assert found.html == f"<p>{escape(html)}</p>\n"
    assert [(one.name, one.content) for one in found.parts] == [(normalize("NFC", name), content)]
    assert found.defects == ()


# --- pictures in the text ---


@pytest.mark.parametrize(
    ("raw", "is_inline"),
    [
        (rich('<img src="cid:logo@example.org">'), True),
        (rich('<img src="cid:logo%40example.org">'), True),
        (rich('<img src="cid:logo&#64;example.org">'), True),
        (rich('<img src="cid:logo@example.org">', kind="mixed"), True),
        (rich("<td background='cid:logo@example.org'>"), True),
        (rich('<img src="cid:logo@example.org">' + "<div>" * 4000), True),
        (rich('<img src="cid:LOGO@example.org">'), False),
        (rich('<img src="cid:other@example.org">'), False),
        (rich("<p>none"), False),
        (rich("<p>none", part("Content-Disposition: inline", PICTURE)), False),
        (rich('<img src="cid:logo@example.org">', part("Content-Disposition: attachment", PICTURE)), True),
        (multipart("mixed", part("", "see [cid:logo@example.org]"), PICTURE), True),
    ],
)
def test_a_picture_is_inline_where_the_text_shows_it(raw: bytes, is_inline: bool) -> None:
    """The reference counts, whatever the disposition says."""
    picture = next(found for found in read_mail(raw).parts if found.content_type == "image/png")

    assert picture.is_inline is is_inline
    assert picture.content_id == "logo@example.org"


def test_files_are_numbered_by_their_place() -> None:
    """The number of a file says where among the parts it is, texts included."""
    found = read_mail(multipart("mixed", TEXT, PICTURE, part("Content-Type: text/csv; name=a.csv", "", "1")))

    assert found.parts == (
        Part(2, "image/png", b"PNG", content_id="logo@example.org"),
        Part(3, "text/csv", b"1", name="a.csv"),
    )


# --- reports ---

NOTICE = part("", "Your mail could not be delivered.")
STATUS = part("Content-Type: message/delivery-status", "", "Action: failed")
ORIGINAL = part("Content-Type: text/rfc822-headers", "", "Message-ID: <a@example.com>")


def test_a_report_keeps_its_parts() -> None:
    """The notice is the text, what is for programs are parts, and nothing of it is walked."""
    report = multipart("report; report-type=delivery-status", NOTICE, STATUS, ORIGINAL)
    found = read_mail(report)

    assert found.report_type == "delivery-status"
    assert found.text == "Your mail could not be delivered."
    assert [(one.content_type, one.content) for one in found.parts] == [
        ("message/delivery-status", b"Action: failed"),
        ("text/rfc822-headers", b"Message-ID: <a@example.com>"),
    ]
    assert read_head(report).report_type == "delivery-status"


@pytest.mark.parametrize(
    ("kind", "second", "expected"),
    [
        ("report; report-type=Feedback-Report", "text/plain", "feedback-report"),
        ('report; report-type="disposition-notification"', "text/plain", "disposition-notification"),
        ("report", "message/delivery-status", "delivery-status"),
        ("report", "message/feedback-report", "feedback-report"),
        ("report", "text/plain", None),
        ("mixed", "message/delivery-status", None),
    ],
)
def test_a_report_says_what_it_reports(kind: str, second: str, expected: str | None) -> None:
    """By its parameter, or else by what is in it."""
    found = read_mail(multipart(kind, NOTICE, part(f"Content-Type: {second}", "", "x")))

    assert found.report_type == expected


def test_a_report_inside_a_gateways_multipart_is_one() -> None:
    """A footer that somebody has put beside it hides nothing."""
    inner = part(
        "Content-Type: multipart/report; report-type=delivery-status; boundary=C",
        "",
        "--C",
        NOTICE,
        "--C",
        STATUS,
        "--C--",
    )
    found = read_mail(multipart("mixed", inner, part("", "scanned")))

    assert found.report_type == "delivery-status"
    assert found.text == "Your mail could not be delivered.\nscanned"


def test_an_attached_report_is_none() -> None:
    """Somebody who forwards a bounce writes a mail, and no bounce."""
    attached = part("Content-Type: message/rfc822", "", "Content-Type: multipart/report; boundary=C", "", "--C", STATUS)

    assert read_mail(multipart("mixed", TEXT, attached)).report_type is None


# --- long ones ---


def test_a_long_text_is_cut_and_is_a_file() -> None:
    """Nothing of it is lost."""
    words = b"word " * 300_000
    found = read_mail(mail("", words))

    assert found.text == words.decode()[:MAX_TEXT_CHARACTERS]
    assert found.parts == (Part(1, "text/plain", words, name="message.txt"),)
    assert found.defects == (Defect.TEXT_CUT,)


def test_a_long_html_becomes_text_and_is_a_file() -> None:
    """No parser sees it; the text beside it is no file."""
    markup = b"<p>one</p>" + b"<p>x</p>" * 150_000
    found = read_mail(mail("Content-Type: text/html", "", markup))

    assert found.html == ""
    assert found.text.startswith("one\nx\nx\n")
    assert found.parts == (Part(1, "text/html", markup, name="message.html"),)
    assert found.defects == (Defect.HTML_TOO_LONG,)


def test_a_long_html_leaves_the_text_beside_it() -> None:
    """The text that says the same is the text."""
    words = "words " * 20_000
    found = read_mail(
        multipart("alternative", part("", words), part("Content-Type: text/html", "", f"<p>{words}</p>" * 10))
    )

    assert found.text == words
    assert [one.name for one in found.parts] == ["message.html"]


def test_pictures_inside_a_long_html_are_left_out() -> None:
    """Words behind a large picture that is written into the page are there."""
    picture = "data:image/png;base64," + "A" * (MAX_MARKUP_CHARACTERS + 5)
    found = read_mail(mail("Content-Type: text/html", "", f'<img src="{picture}"><p>hello</p>'))

    assert found.html == '<img src="data:,"><p>hello</p>'
    assert found.defects == ()
