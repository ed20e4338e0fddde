"""IMAP's words as they are written and read."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.email.imap.wire import (
    Examined,
    Fetched,
    mailbox_name,
    read_date,
    read_examine,
    read_fetch,
    read_search,
    response_code,
    search_date,
    shown,
)

EVENING = datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("INBOX", '"INBOX"'),
        ("INBOX/Support", '"INBOX/Support"'),
        ('the "best" \\ of all', '"the \\"best\\" \\\\ of all"'),
        ("Q & A", '"Q &- A"'),
        ("&&", '"&-&-"'),
        ("~help/mail/台北/日本語", '"~help/mail/&U,BTFw-/&ZeVnLIqe-"'),  # RFC 3501, section 5.1.3
        ("Entwürfe", '"Entw&APw-rfe"'),
        ("ü&ü", '"&APw-&-&APw-"'),
        ("📮", '"&2D3c7g-"'),
        ("a\nb", '"a&AAo-b"'),
    ],
)
def test_a_mailbox_is_named_in_modified_utf_7(name, written):
    """Names beyond ASCII are written as the servers keep them, and no name ends a command."""

    assert mailbox_name(name) == written


def plain(shifted):
    """Undo what is between an ampersand and a minus sign."""
    padded = shifted.group(1).replace(",", "/") + "=" * (-len(shifted.group(1)) % 4)
    return base64.b64decode(padded).decode("utf-16-be") or "&"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_name_can_be_read_back(name):
    """Whatever a mailbox is called, its name on the wire is printable ASCII and means just that name."""
    written = mailbox_name(name)
    unquoted = re.sub(r"\\(.)", r"\1", written[1:-1])

    assert written.isascii()
    assert written.isprintable()
    assert re.sub("&([^-]*)-", plain, unquoted) == name


@pytest.mark.parametrize(
    ("lines", "read"),
    [
        (
            [rb"FLAGS (\Seen)", b"3 EXISTS", b"OK [UIDVALIDITY 7] so", b"OK [UIDNEXT 12] so", b"[READ-ONLY] done"],
            Examined(7, 12, 3),
        ),
        ([b"0 exists", b"OK [uidvalidity 7]", b"OK [UIDNEXT 0]", b"done"], Examined(7, None, 0)),
        ([b"done"], Examined(None, None, 0)),
    ],
)
def test_a_mailbox_is_opened(lines, read):
    """The answer to EXAMINE tells what the numbers mean; a next UID of nothing is none."""

    assert read_examine(lines) == read


def test_a_search_is_read_from_any_number_of_lines():
    """The numbers come in any order and in several lines, and twice."""

    assert read_search([b"9 3", b"", b"3 12 (MODSEQ)"]) == (3, 9, 12)


@pytest.mark.parametrize(
    ("lines", "read"),
    [
        (
            [b'1 FETCH (UID 5 RFC822.SIZE 44 INTERNALDATE "17-Jul-1996 02:44:25 -0700")'],
            {5: Fetched(5, 44, EVENING)},
        ),
        ([b"1 FETCH (UID 5 BODY[] {3}", bytearray(b"a)\xff"), b")"], {5: Fetched(5, content=b"a)\xff")}),
        ([b"1 FETCH (BODY[] {3}", bytearray(b"UID"), b" UID 5)"], {5: Fetched(5, content=b"UID")}),
        ([b"1 FETCH (BODY[HEADER]<0> {0}", bytearray(b""), b" UID 5)"], {5: Fetched(5, content=b"")}),
        ([rb'1 FETCH (UID 5 BODY[] "a \"b\" \\ ")'], {5: Fetched(5, content=rb'a "b" \ ')}),
        ([b"1 FETCH (UID 5 BODY[] NIL)"], {5: Fetched(5)}),
        ([rb"1 FETCH (FLAGS (\Seen))", b"2 FETCH (UID 6)"], {6: Fetched(6)}),
        (
            [b"1 FETCH (UID 5 RFC822.SIZE 4)", rb"* 1 FETCH (FLAGS () UID 5)", b"2 FETCH (uid 6 rfc822.size 7)"],
            {5: Fetched(5, 4), 6: Fetched(6, 7)},
        ),
        ([b'1 FETCH (UID 5 INTERNALDATE "yesterday")'], {5: Fetched(5)}),
        ([b"hello", bytearray(b"x")], {}),
    ],
)
def test_what_is_told_of_mails_is_read(lines, read):
    """Literals, quoted strings and nothing at all; in any order, and between news of other sessions."""

    assert read_fetch(lines) == read


@pytest.mark.parametrize(
    "text",
    ["", "32-Jul-1996 02:44:25 -0700", "17-Jux-1996 02:44:25 -0700", "17-Jul-1996", "01-Jan-0001 00:00:00 +2300"],
)
def test_a_date_that_is_none_is_none(text):
    """A server's odd date loses no mail."""

    assert read_date(text) is None


def test_dates_are_written_and_read_in_any_locale():
    """A day of one digit stands behind a space when it is read, and alone when it is asked for."""

    assert read_date(" 7-FEB-1994 21:52:25 -0800") == datetime(1994, 2, 8, 5, 52, 25, tzinfo=UTC)
    assert search_date(datetime(2026, 2, 7, tzinfo=UTC)) == "7-Feb-2026"


@pytest.mark.parametrize(
    ("words", "code"),
    [(b"[AUTHENTICATIONFAILED] no", "AUTHENTICATIONFAILED"), (b"[alert] no", "ALERT"), (b"no [ALERT]", None)],
)
def test_a_code_is_told_from_the_words(words, code):
    """Only what stands first is a code."""

    assert response_code(words) == code


def test_what_a_server_says_is_shown_on_one_short_line():
    """Nothing of a server's words can break a log's line."""

    assert shown(b"no\r\nway\x00\xff" + b"x" * 500) == ("no  way \ufffd" + "x" * 500)[:200]


@given(st.lists(st.binary() | st.binary().map(bytearray)))
def test_no_answer_breaks_the_reading(lines):
    """Whatever a server says, it is read or passed over."""

    assert isinstance(read_fetch(lines), dict)
    assert isinstance(read_search(lines), tuple)
    assert isinstance(read_examine(lines), Examined)
