"""Addresses and message ids in headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.email.fixtures.broken.case import mail
from channels.email.mail import Mailbox
from channels.email.mime import message_ids, read_addresses, read_mail

A = Mailbox("a@example.org")
B = Mailbox("b@example.net")
SPECIALS = '<>()[]:;@\\,."=?_ \taé\u202e\u00ad'


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a@example.org", [A]),
        ("A@Example.ORG", [A]),
        ("<a@example.org>", [A]),
        ("Customer <a@example.org>", [Mailbox("a@example.org", "Customer")]),
        ('"Last, First" <a@example.org>', [Mailbox("a@example.org", "Last, First")]),
        (r'"The \"Customer\" here" <a@example.org>', [Mailbox("a@example.org", 'The "Customer" here')]),
        ("a@example.org (Customer (of old))", [Mailbox("a@example.org", "Customer (of old)")]),
        ("a@example.org, b@example.net", [A, B]),
        ("a@example.org; b@example.net;", [A, B]),
        (",, a@example.org ,,", [A]),
        ("Team: a@example.org, b@example.net;", [A, B]),
        ("undisclosed-recipients:;", []),
        ("=?utf-8?q?K=C3=BCche?= <a@example.org>", [Mailbox("a@example.org", "Küche")]),
        # --- broken ---
        ("Last, First <a@example.org>", [Mailbox("a@example.org", "Last, First")]),
        ("Customer a@example.org", [Mailbox("a@example.org", "Customer")]),
        ("Customer <a@example.org", [Mailbox("a@example.org", "Customer")]),
        ("Customer <<a@example.org>>", [Mailbox("a@example.org", "Customer")]),
        ('"Customer <a@example.org>', [Mailbox("a@example.org", "Customer")]),
        ("Customer (of old <a@example.org>", [Mailbox("a@example.org", "Customer of old")]),
        ('"a@example.org"', [A]),
        ("'a@example.org'", [A]),
        ("'Customer' <'a@example.org'>", [Mailbox("a@example.org", "Customer")]),
        ("a @ example . org", [A]),
        ("<mailto:a@example.org>", [A]),
        ("<@relay.example.com,@b.example.com:a@example.org>", [A]),
        ('"a"@example.org', [A]),
        ("a@example.org.", [A]),
        ("a@example.org <a@example.org>", [A]),
        ("a@bücher.example", [Mailbox("a@xn--bcher-kva.example")]),
        ("a@BÜCHER.example", [Mailbox("a@xn--bcher-kva.example")]),
        ("é@example.org", [Mailbox("é@example.org")]),
        ("a..b.@example.org", [Mailbox("a..b.@example.org")]),
        ("root@localhost", [Mailbox("root@localhost")]),
        ("a@[192.0.2.1]", [Mailbox("a@[192.0.2.1]")]),
        # --- not addresses ---
        ("", []),
        ("Customer", []),
        ("<>", []),
        ("a@", []),
        ("@example.org", []),
        ("a@b@example.org", []),
        ("a b@", []),
        ("a@exa mple.org", [Mailbox("a@exa", "mple.org")]),
        ("a@-example.org", []),
        ("a@\u202eexample.org", []),
        ("a@" + "x" * 300 + ".org", []),
        ("x" * 300 + "@example.org", []),
        ("(" * 100_000, []),
    ],
)
def test_addresses_are_read(value: str, expected: list[Mailbox]) -> None:
    """In their order, in lower case, and only what looks like one."""
    assert list(read_addresses(value)) == expected


@pytest.mark.parametrize(
    ("sender", "name"),
    [
        ("=?utf-8?q?victim=40example=2Ecom=2C?= <a@example.org>", "victim@example.com,"),
        ("=?utf-8?q?=3Cvictim=40example=2Ecom=3E?= <a@example.org>", "victim@example.com"),
        ('"=?utf-8?q?x=22=2C_victim=40example=2Ecom=2C?=" <a@example.org>', 'x", victim@example.com,'),
        ("(=?utf-8?q?=29_victim=40example=2Ecom=2C?=) a@example.org", "victim@example.com,"),
        ('"victim@example.com" <a@example.org>', "victim@example.com"),
        (r'"victim@example.com\", " <a@example.org>', 'victim@example.com",'),
        ("victim@example.com <a@example.org>", "victim@example.com"),
    ],
)
def test_a_name_is_no_address(sender: str, name: str) -> None:
    """Whatever a name says, encoded or quoted, only the address beside it counts."""
    header = read_mail(mail(f"Reply-To: {sender}", "", "text")).header("reply-to")

    assert read_addresses(header or "") == (Mailbox("a@example.org", name),)


@pytest.mark.parametrize("sender", ['"victim@example.com" <>', '"victim@example.com"@example.org', "<(a@example.org)>"])
def test_a_name_alone_is_no_sender(sender: str) -> None:
    """Where the place of the address holds none, the name does not take it."""
    assert read_addresses(sender) == ()


def test_no_address_hides_behind_another() -> None:
    """Where a header may mean several senders, all of them are told."""
    assert read_addresses("<a@example.org> <b@example.net>") == (A, B)
    assert read_addresses("a@example.org, <b@example.net>") == (A, B)


@given(st.text(SPECIALS, max_size=60))
def test_a_name_never_becomes_an_address(name: str) -> None:
    """However a name is written, the header that carries it encoded has the one address."""
    word = "".join(f"={byte:02X}" for byte in name.encode())
    header = read_mail(mail(f"Reply-To: =?utf-8?q?{word}?= <a@example.org>", "", "text")).header("reply-to")

    assert [one.address for one in read_addresses(header or "")] == ["a@example.org"]


@given(st.text(SPECIALS, max_size=200) | st.text(max_size=200))
def test_any_header_of_addresses_is_read(value: str) -> None:
    """What comes out is in lower case, in ASCII behind the @, and without white space."""
    for one in read_addresses(value):
        local, _, domain = one.address.rpartition("@")

        assert local
        assert domain.isascii()
        assert not any(character.isspace() or character in '<>(),;:"' for character in local)
        assert one.address == one.address.lower()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("<a@example.org>", ["a@example.org"]),
        ("<a@x> <b@y>\t<a@x>", ["a@x", "b@y"]),
        ("(comment) <a@x> words <b@y", ["a@x"]),
        ("<A@x>", ["A@x"]),
        ("<no-at>", ["no-at"]),
        ("a@example.org", ["a@example.org"]),
        ("a@x, b@y", ["a@x", "b@y"]),
        ("<>", []),
        ("", []),
        ("Your message of Monday", []),
        (f"<{'x' * 251}>", []),
        ("".join(f"<{n}@x>" for n in range(600)), [f"{n}@x" for n in range(500)]),
    ],
)
def test_message_ids_are_read(value: str, expected: list[str]) -> None:
    """Without brackets, in their order, once each, in their own case."""
    assert list(message_ids(value)) == expected
