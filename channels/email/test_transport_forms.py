"""Reading forms without holding them in memory, and making a mail of their fields."""

from __future__ import annotations

import json
import tracemalloc
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import Parsed, Request
from channels.email.envelope import Envelope
from channels.email.settings import (
    Inbound,
    MailgunInbound,
    PostmarkInbound,
    RawInbound,
    SendGridInbound,
    SesInbound,
)
from channels.email.test_transport_doubles import (
    MEGABYTE,
    MULTIPART,
    SENDGRID_PUBLIC_KEY,
    TOPIC,
    URLENCODED,
    multipart,
    post,
    seen,
)
from channels.email.transports import open_transport
from channels.email.transports.body import CHUNK_BYTES
from channels.email.transports.forms import opened_form
from channels.email.transports.rebuilt import File, Text, as_header, rebuild
from channels.errors import PayloadError
from channels.http import Http

names = st.text(alphabet="ab-1", min_size=1, max_size=3)
values = st.binary(max_size=20) | st.sampled_from([b"--xYzZY", b"\r\n--xYzZ", b"\r\n--xYzZYx", b"\r\n\r\n", b"\r\n"])


def fields_of(request: Request) -> list[tuple[str, bytes]]:
    with opened_form(request) as form:
        for field in form.fields:
            assert form.size(field) == len(form.read(field))
        return [(field.name, form.read(field)) for field in form.fields]


@given(st.lists(st.tuples(names, values), max_size=8), st.sampled_from(["xYzZY", "b", "a b'()+_,-./:=?"]))
def test_a_multipart_form_is_read_as_it_was_written(fields: list[tuple[str, bytes]], boundary: str) -> None:
    """Whatever its values are, also what is nearly its boundary."""
    fields = [(name, value) for name, value in fields if f"--{boundary}\r\n".encode() not in b"\r\n" + value + b"\r\n"]
    body = multipart(*fields, boundary=boundary)

    if not any(f"\r\n--{boundary}--".encode() in b"\r\n" + value for _, value in fields):
        assert fields_of(post(body, {"Content-Type": f'multipart/form-data; boundary="{boundary}"'})) == fields


@pytest.mark.parametrize("size", range(CHUNK_BYTES - 150, CHUNK_BYTES + 10))
def test_a_form_is_read_over_the_edges_of_its_pieces(size: int) -> None:
    """Boundaries and escapes lie across them."""
    fields = [("a", b"x" * size), ("b", b"y")]
    escaped = [("a", b"x" * (size - size % 3) + b"\xff" * 9), ("b", b"y")]

    assert fields_of(post(multipart(*fields), {"Content-Type": MULTIPART})) == fields
    assert fields_of(post(urlencode(escaped).encode(), {"Content-Type": URLENCODED})) == escaped


@given(st.lists(st.tuples(names, st.binary(max_size=20)), max_size=8))
def test_an_urlencoded_form_is_read_as_it_was_written(fields: list[tuple[str, bytes]]) -> None:
    """Whatever its values are."""
    assert fields_of(post(urlencode(fields).encode(), {"Content-Type": f"{URLENCODED}; charset=utf-8"})) == fields


@given(st.text(alphabet="a=&+%41\r\n", max_size=30))
def test_a_wild_urlencoded_form_is_read_as_the_standard_library_does(text: str) -> None:
    """Half escapes, empty names and stray signs."""
    expected = parse_qsl(text, keep_blank_values=True, encoding="utf-8", errors="replace")
    found = fields_of(post(text.encode(), {"Content-Type": URLENCODED}))

    assert [(name, value.decode("utf-8", "replace")) for name, value in found if name or value] == [
        (name, value) for name, value in expected if name or value
    ]


@given(st.binary(max_size=300) | st.text(alphabet='-xYzZY\r\n:;="ab', max_size=300).map(str.encode))
def test_a_wild_form_is_read_or_refused(body: bytes) -> None:
    """Never anything else."""
    for kind in (MULTIPART, URLENCODED):
        try:
            fields_of(post(body, {"Content-Type": kind}))
        except PayloadError:
            continue


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ('form-data; name="a"; filename="b.txt"', ("a", "b.txt")),
        ("form-data; name=a; filename=b.txt", ("a", "b.txt")),
        ('form-data; name="a"; filename="b \\"c\\" \\\\d.txt"', ("a", 'b "c" \\d.txt')),
        ('form-data; name="a"; filename="x"; filename*=UTF-8\'\'Gr%C3%B6%C3%9Fe.txt', ("a", "Größe.txt")),
        ('form-data; name="ä"; filename=""', ("ä", None)),
        ("form-data", ("", None)),
        ('FORM-DATA; NAME="a"', ("a", None)),
    ],
)
def test_a_files_name_is_read_in_each_way_of_writing_it(head: str, expected: tuple[str, str | None]) -> None:
    """As browsers, Go and Ruby write them."""
    body = f"preamble\r\n--xYzZY\r\ncontent-disposition: {head}\r\n\r\nx\r\n--xYzZY--\r\nafterwards".encode()
    with opened_form(post(body, {"Content-Type": MULTIPART})) as form:
        (field,) = form.fields

    assert (field.name, field.filename or None) == expected


def test_a_huge_form_is_not_held_in_memory(tmp_path: Path) -> None:
    """Of a mail of 60 MB over the limit, what is read is its headers."""
    path = tmp_path / "body"
    with path.open("wb") as file:
        file.write(b'--xYzZY\r\nContent-Disposition: form-data; name="email"\r\n\r\nSubject: Big\r\n\r\n')
        for _ in range(60):
            file.write(b"\r\n--xYzZ" * (MEGABYTE // 8))
        file.write(b"\r\n--xYzZY--\r\n")
    section = SendGridInbound(provider="sendgrid", public_key=SENDGRID_PUBLIC_KEY)
    unwrap = open_transport(section, Http(), 50 * MEGABYTE).unwrap
    tracemalloc.start()
    envelope = unwrap(Request("POST", "/webhooks/mail", (("Content-Type", MULTIPART),), file=path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert envelope == Envelope(b"Subject: Big\r\n\r\n", whole_size=60 * MEGABYTE + 16)
    assert peak < 2 * MEGABYTE


# --- anything at all ---

WORDS = """Headers Name Value RawEmail TextBody FromFull ToFull Email Attachments Content ContentID RecordType Type
Notification Message notificationType Received content mail receipt recipients action encoding BASE64 spfVerdict
status source eventType"""
words = st.sampled_from(WORDS.split())
scalars = words | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
wild = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=5))
SECTIONS: list[Inbound] = [
    SendGridInbound(provider="sendgrid", public_key=SENDGRID_PUBLIC_KEY),
    MailgunInbound(provider="mailgun", signing_key="x"),
    PostmarkInbound(provider="postmark", username="x", password="x"),
    SesInbound(provider="ses", topic_arns=(TOPIC,)),
    RawInbound(provider="raw", secret="x"),
]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.provider)
@given(told=wild, notified=wild, size=st.sampled_from([1, MEGABYTE]))
def test_nothing_that_is_told_breaks_a_transport(section: Inbound, told: Any, notified: Any, size: int) -> None:
    """It is a mail, something that is no mail, or unreadable."""
    unwrap = open_transport(section, Http(), size).unwrap
    post_ = {"Type": "Notification", "Message": json.dumps(notified)}
    names = [
        "headers",
        "envelope",
        "charsets",
        "attachment-info",
        "message-headers",
        "content-id-map",
        "text",
        "sender",
    ]
    form = multipart(*((name, json.dumps(told).encode()) for name in [*names, "attachment1", "attachment-1", "dkim"]))
    bodies = [(json.dumps(told).encode(), "application/json"), (json.dumps(post_).encode(), ""), (form, MULTIPART)]

    for body, kind in bodies:
        try:
            found = unwrap(post(body, {"Content-Type": kind}))
        except PayloadError:
            continue
        assert isinstance(found, Envelope | Parsed)


# --- a mail made of fields ---

HEADERS = [as_header("From", "Büro <customer@example.org>"), as_header("Content-Type", "multipart/mixed; boundary=x")]


def test_a_mail_is_made_of_its_fields() -> None:
    """Both bodies, and files of any name, type and content; the same fields make the same bytes."""
    files = [
        File(b"\x00\xff" * 100, "Image/PNG; name=x", "dot.png", "<a b\r\n@x>"),
        File(b"", "no type", 'a"b;\r\nX-Evil: 1\u2028.txt', None),
        File(b"PK", "multipart/mixed", None, ""),
        File(b"\r\n--x--\r\n", None, "\udcff"),
    ]
    raw = rebuild(HEADERS, Text(b"Gr\xfc\xdfe", "latin-1"), Text("<p>Grüße</p>".encode()), files)
    found = seen(raw)

    assert raw == rebuild(HEADERS, Text(b"Gr\xfc\xdfe", "latin-1"), Text("<p>Grüße</p>".encode()), files)
    assert (found.sender, found.text, found.html) == ("Büro <customer@example.org>", "Grüße", "<p>Grüße</p>")
    assert [(kind, content, content_id) for _, kind, content, content_id in found.files] == [
        ("image/png", b"\x00\xff" * 100, "ab@x"),
        ("application/octet-stream", b"", ""),
        ("application/octet-stream", b"PK", ""),
        ("application/octet-stream", b"\r\n--x--\r\n", ""),
    ]
    assert b"\r\nX-Evil" not in raw


def test_nobody_can_write_the_boundary_into_a_part() -> None:
    """An attached mail stands in it as it is, and may hold the boundary of another mail that was made of fields."""
    inner = rebuild(HEADERS, Text(b"inner"), None, [File(b"x")])
    raw = rebuild(HEADERS, Text(b"outer"), None, [File(inner, "message/rfc822", "mail.eml")])
    message = message_from_bytes(raw, policy=policy.default)
    attached = message.get_payload(1)

    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "message/rfc822"]
    assert attached.get_payload(0).get_body().get_content().strip() == "inner"


def test_a_report_stays_a_report() -> None:
    """The mail's own type says that it is one, and its parts come as files."""
    headers = [as_header("Content-Type", 'multipart/report; boundary="x"; report-type=delivery-status')]
    raw = rebuild(headers, Text(b"Not delivered"), None, [File(b"Status: 5.1.1\r\n", "message/delivery-status")])
    message = message_from_bytes(raw, policy=policy.compat32)

    assert (message.get_content_type(), message.get_param("report-type")) == ("multipart/report", "delivery-status")
    assert [part.get_content_type() for part in message.get_payload()] == ["text/plain", "message/delivery-status"]
    assert message.get_payload(1).get_payload(0)["Status"] == "5.1.1"


@pytest.mark.parametrize("charset", ["", "utf-8", '"; x="', "no such", "x" * 50])
def test_a_strange_charset_does_no_harm(charset: str) -> None:
    """What cannot be one is taken for UTF-8."""
    found = message_from_bytes(rebuild([], Text(b"Hi", charset), None), policy=policy.compat32)

    assert found.get_content_type() == "text/plain"
    assert found.get_content_charset() == "utf-8"


def test_a_mail_without_a_body_is_an_empty_one() -> None:
    """It may still have a subject."""
    found = seen(rebuild([as_header("Subject", "Call me")], None, None))

    assert (found.subject, found.text, found.files) == ("Call me", "", ())
