"""The post with which a mail program unsubscribes its user."""

from __future__ import annotations

from pathlib import Path

import pytest

from channels.base import Request
from channels.email.one_click import is_one_click

# As in the examples of RFC 8058, section 8.
MULTIPART = "multipart/form-data; boundary=---FormBoundaryjWmhtjORrn"
EXAMPLE = (
    b"-----FormBoundaryjWmhtjORrn\r\n"
    b'Content-Disposition: form-data; name="List-Unsubscribe"\r\n\r\n'
    b"One-Click\r\n"
    b"-----FormBoundaryjWmhtjORrn--\r\n"
)
URLENCODED = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        (MULTIPART, EXAMPLE, True),
        (MULTIPART, EXAMPLE.removesuffix(b"\r\n"), True),
        (URLENCODED, b"List-Unsubscribe=One-Click", True),
        (f"{URLENCODED}; charset=utf-8", b"List-Unsubscribe=One%2DClick&more=1", True),
        (None, b"List-Unsubscribe=One-Click", True),
        (URLENCODED, b"List-Unsubscribe=Two-Clicks", False),
        (URLENCODED, b"", False),
        (URLENCODED, EXAMPLE, False),
        (MULTIPART, EXAMPLE.replace(b"One-Click", b"Never"), False),
        (MULTIPART, EXAMPLE[:60], False),
        (MULTIPART, b"List-Unsubscribe=One-Click", False),
        ("multipart/form-data", EXAMPLE, False),
        ("text/plain", b"List-Unsubscribe=One-Click", False),
        (URLENCODED, b"List-Unsubscribe=One-Click&" + b"x" * 2000, False),
    ],
)
def test_both_encodings_of_the_form_are_read(content_type: str | None, body: bytes, expected: bool) -> None:
    """Multipart should be used, urlencoded may be (RFC 8058, section 3.1); nothing else unsubscribes."""
    headers = () if content_type is None else (("Content-Type", content_type),)

    assert is_one_click(Request("POST", "/", headers, body)) is expected


def test_a_form_that_is_too_large_for_memory_is_none() -> None:
    """It says one thing, in a few bytes."""
    large = Request("POST", "/", (("Content-Type", URLENCODED),), file=Path("/nowhere"))

    assert not is_one_click(large)
