"""The tolerant reader of mail against whoever wishes it ill."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.email.fixtures.broken import BROKEN
from channels.email.mail import Mail
from channels.email.mime import Defect, message_ids, read_addresses, read_head, read_mail
from channels.email.mime.limits import MAX_HEADER_BYTES, MAX_NAME_CHARACTERS, MAX_PARTS, MAX_TEXT_CHARACTERS
from channels.errors import PayloadError

MAX_S = 30.0  # of processor time: measured are about 1 s for 50 MB; what is quadratic takes minutes
FROM = b"From: customer@example.org\r\n"
ZIP_LIKE = base64.b64encode(bytes(57)) + b"\r\n"

UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
FRAGMENTS = [
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"--B\r\n", b"--B--\r\n", b"--", b" ", b"\t", b"\0", b"\xff", b"\xc3\xa9"),
    *(b"From: ", b"To: ", b"Subject: ", b"Content-Type: ", b"Content-Disposition: ", b"Content-ID: <a@b>\r\n"),
    *(
        b"multipart/mixed; boundary=B\r\n",
        b"multipart/alternative; boundary=B\r\n",
        b"multipart/report; boundary=B\r\n",
    ),
    *(b"multipart/related; boundary=B; start=<a@b>\r\n", b"message/rfc822\r\n", b"text/html\r\n", b"text/plain"),
    *(b"; charset=utf-8", b"; charset=iso-2022-jp", b"; charset=hz", b"; charset=utf-16", b"; charset=rot13"),
    *(b"; format=flowed; delsp=yes\r\n", b"; name*0*=utf-8''%C3", b"; name*1*=%A9", b'; filename="', b"attachment"),
    *(b"Content-Transfer-Encoding: base64\r\n", b"Content-Transfer-Encoding: quoted-printable\r\n"),
    *(b"=?utf-8?q?", b"=?utf-8?b?", b"?=", b"=\r\n", b"=C3=A9", b"YWJj", b"==", b"<", b">", b"(", b")", b'"', b"\\"),
    *(b"<div>", b"</div>", b"<!--", b"<style>", b"<img src='cid:a@b'>", b"&#9999999;", b"customer@example.org", b","),
]

messages = (
    st.binary(max_size=500)
    | st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=5), max_size=40).map(b"".join)
    | st.builds(
        lambda case, at, cut, put: case.raw[:at] + put + case.raw[at + cut :],
        st.sampled_from([case for case in BROKEN if len(case.raw) < 5000]),
        st.integers(0, 400),
        st.integers(0, 40),
        st.sampled_from(FRAGMENTS) | st.binary(max_size=5),
    )
)


def is_clean(text: str) -> bool:
    return UNSEEN.search(text) is None and text.encode().decode() == text


@given(messages)
def test_anything_is_read_or_is_empty(raw: bytes) -> None:
    """No bytes raise anything but that there is nothing, and what comes out can be stored and shown."""
    try:
        found = read_mail(raw)
    except PayloadError:
        assert not raw.replace(b"\0", b"").strip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
        return

    assert is_clean(found.text)
    assert is_clean(found.html)
    assert all(is_clean(value) and "\n" not in value and len(value) <= MAX_HEADER_BYTES for _, value in found.headers)
    assert all(re.fullmatch("[!-9;-~]+", name) and name == name.lower() for name, _ in found.headers)
    assert len(found.parts) <= MAX_PARTS + 1
    for one in found.parts:
        assert re.fullmatch(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+", one.content_type, re.ASCII)
        assert one.name is None or is_harmless(one.name)
    assert read_head(raw).headers == found.headers


def is_harmless(name: str) -> bool:
    return is_clean(name) and 0 < len(name) <= MAX_NAME_CHARACTERS and not re.search(r'[\\/<>:"|?*\n\t]', name)


def nested(count: int, filling: bytes = b"") -> bytes:
    opened = (b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(count))
    return FROM + b"".join(opened) + b"\r\nhi\r\n" + filling


def parts(count: int) -> bytes:
    return FROM + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nhi\r\n" * count + b"--b--"


def page(markup: bytes) -> bytes:
    return FROM + b"Content-Type: text/html\r\n\r\n" + markup


def encoded(encoding: bytes, content: bytes, kind: bytes = b"text/plain") -> bytes:
    return FROM + b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + content


# Built when they are needed: together they are a gigabyte.
BOMBS: dict[str, tuple[Callable[[], bytes], Defect | None]] = {
    "a subject of 1 MB": (lambda: FROM + b"Subject: " + b"x" * 1_000_000 + b"\r\n\r\nhi", Defect.HEADER_CUT),
    "recipients of 300 KB": (lambda: FROM + b"To: " + b"a@example.org, " * 20_000 + b"\r\n\r\nhi", Defect.HEADER_CUT),
    "20,000 encoded words": (
        lambda: FROM + b"Subject: " + b"=?utf-8?q?a?= " * 20_000 + b"\r\n\r\nhi",
        Defect.HEADER_CUT,
    ),
    "encoded words in addresses": (
        lambda: FROM + b"To: " + b"=?utf-8?q?=2C?= " * 20_000 + b"\r\n\r\nhi",
        Defect.HEADER_CUT,
    ),
    "words without an end": (lambda: FROM + b"Subject: " + b"=?a?q?" * 20_000 + b"\r\n\r\nhi", Defect.HEADER_CUT),
    "1 MB of folds": (lambda: FROM + b"Subject: a" + b"\r\n x" * 250_000 + b"\r\n\r\nhi", Defect.HEADER_CUT),
    "1 MB of parentheses": (lambda: FROM + b"To: " + b"(" * 1_000_000 + b"\r\n\r\nhi", Defect.HEADER_CUT),
    "1 MB of parameters": (
        lambda: FROM + b"Content-Type: text/plain" + b';a="\\' * 200_000 + b"\r\n\r\nhi",
        Defect.HEADER_CUT,
    ),
    "50 MB of headers": (lambda: FROM + b"X: b\n" * 10_000_000 + b"\nhi", Defect.HEADERS_LEFT_OUT),
    "10,000 parts": (lambda: parts(10_000), Defect.TOO_MANY_PARTS),
    "20,000 parts": (lambda: parts(20_000), Defect.TOO_MANY_PARTS),
    "50 MB of delimiters": (lambda: parts(0)[:-5] + b"--b\n" * 12_500_000, Defect.TOO_MANY_PARTS),
    "50 MB of what is nearly a delimiter": (lambda: parts(1)[:-5] + b"--bx\n" * 10_000_000, Defect.CUT_OFF),
    "1,000 multiparts in each other": (lambda: nested(1000), Defect.TOO_DEEP),
    "50 MB below multiparts in each other": (lambda: nested(19, b"--b\n" * 12_500_000), Defect.CUT_OFF),
    "2,000 messages in each other": (lambda: b"Content-Type: message/rfc822\r\n\r\n" * 2000 + b"hi", None),
    "boundaries to be guessed": (
        lambda: FROM + b"Content-Type: multipart/mixed\r\n\r\n" + b"\n--" * 5_000_000,
        Defect.NO_PARTS,
    ),
    "4,000 newlines": (lambda: FROM + b"\r\n" + b"\r\n" * 4000, None),
    "50 MB of newlines": (lambda: FROM + b"\r\n" + b"\n" * 50_000_000, None),
    "50 MB of carriage returns": (lambda: b"\r" * 50_000_000 + b"x", Defect.NO_HEADERS),
    "50 MB of one line": (lambda: FROM + b"\r\n" + b"x" * 50_000_000, Defect.TEXT_CUT),
    "50 MB of one header": (lambda: b"x" * 50_000_000, Defect.NO_HEADERS),
    "100,000 nested divs": (lambda: page(b"<div>" * 100_000 + b"hi" + b"</div>" * 100_000), Defect.HTML_TOO_LONG),
    "fewer nested divs": (lambda: page(b"<div>" * 50_000 + b"hi"), Defect.HTML_TOO_DEEP),
    "tags closed that were never opened": (lambda: page(b"<div></b></b>" * 50_000), Defect.HTML_TOO_DEEP),
    "1 MB of open brackets": (lambda: page(b"<p>" + b"<" * 1_000_000), None),
    "comments without an end": (lambda: page(b"<p>" + b"<!--" * 500_000), Defect.HTML_TOO_LONG),
    "styles without an end": (lambda: page(b"<p>" + b"<style>" * 300_000), Defect.HTML_TOO_LONG),
    "50 MB of HTML": (lambda: page(b"<p>x</p>" * 6_250_000), Defect.HTML_TOO_LONG),
    "entities of many digits": (lambda: page(b"<b>" * 4000 + b"&#" + b"9" * 10_000), Defect.HTML_TOO_DEEP),
    "base64 like a zip": (lambda: encoded(b"base64", ZIP_LIKE * 640_000, b"application/zip"), None),
    "50 MB of padding": (lambda: encoded(b"base64", b"AA=" * 16_000_000), Defect.BAD_BASE64),
    "50 MB of soft breaks": (lambda: encoded(b"quoted-printable", b"=" + b" " * 50_000_000), Defect.TEXT_CUT),
    "flowed lines": (
        lambda: FROM + b"Content-Type: text/plain; format=flowed\r\n\r\n" + b"> a \n" * 1_000_000,
        Defect.TEXT_CUT,
    ),
    "punycode": (lambda: FROM + b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"a-" * 500_000, None),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_read_in_time(name: str) -> None:
    """What is meant to take for ever takes a moment, and something comes out."""
    build, defect = BOMBS[name]
    raw = build()
    started = time.process_time()

    found = read_mail(raw)

    assert time.process_time() - started < MAX_S
    assert isinstance(found, Mail)
    assert len(found.text) <= MAX_TEXT_CHARACTERS
    assert len(found.html) <= MAX_TEXT_CHARACTERS
    assert len(found.parts) <= MAX_PARTS
    assert defect in found.defects if defect is not None else not found.defects


@pytest.mark.parametrize(
    "unit", ["(", '"', "<", ",", "=", "@", "a@b.c,", '"\\"', '<"', "((\\", "=?a?q?b", "a@b ", ":;", "a "]
)
def test_a_header_of_one_thing_is_read_in_time(unit: str) -> None:
    """Any sort of character is read once from its beginning to its end, three times what a header may have."""
    value = unit * (100_000 // len(unit))
    started = time.process_time()

    read_addresses(value)
    message_ids(value)

    assert time.process_time() - started < MAX_S
