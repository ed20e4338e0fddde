"""Whole messages, signed with a shared secret."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from channels.base import Request
from channels.email.envelope import Envelope
from channels.email.settings import RawInbound
from channels.email.test_transport_doubles import NOW, SECRET, TARGET, fixture, in_file, post, raw_signature
from channels.email.transports import Transport, open_transport
from channels.errors import Doubt, PayloadError, SignatureError
from channels.http import Http

MAIL = fixture("raw/text.eml")
HEADER = "X-Frontdesk-Signature"


def transport(max_mail_bytes: int = 10_000, now: float = NOW) -> Transport:
    return open_transport(RawInbound(provider="raw", secret=SECRET), Http(), max_mail_bytes, lambda: now)


@pytest.mark.parametrize("name", ["text.eml", "attachment.eml"])
async def test_a_signed_message_comes_in_as_it_is(name: str, tmp_path: Path) -> None:
    """Its body is the message, in memory or on disk; nothing is known of its envelope."""
    raw = fixture(f"raw/{name}")
    request = post(raw, {HEADER: raw_signature(raw)})

    for given in (request, in_file(request, tmp_path)):
        await transport().verify(given)
        assert transport().unwrap(given) == Envelope(raw)


@pytest.mark.parametrize(
    ("header", "doubt"),
    [
        (None, Doubt.UNSIGNED),
        ("", Doubt.UNSIGNED),
        ("v1=" + "0" * 64, Doubt.UNSIGNED),
        (f"t={NOW:.0f}", Doubt.UNSIGNED),
        ("t=now,v1=" + "0" * 64, Doubt.UNSIGNED),
        ("t=１,v1=" + "0" * 64, Doubt.UNSIGNED),
        (f"t={NOW:.0f},t=1,v1=" + "0" * 64, Doubt.UNSIGNED),
        (f"t={NOW:.0f},v1=\udcff", Doubt.MISMATCH),
        (f"t={NOW:.0f},v1=" + "0" * 64, Doubt.MISMATCH),
        (f"t={NOW:.0f},v1=" + "x," * 10_000, Doubt.MISMATCH),
        (raw_signature(MAIL, secret="another"), Doubt.MISMATCH),
        (raw_signature(MAIL + b"!"), Doubt.MISMATCH),
        (raw_signature(MAIL).replace("t=1", "t=2"), Doubt.MISMATCH),
        (raw_signature(MAIL, at=NOW - 301), Doubt.EXPIRED),
        (raw_signature(MAIL, at=NOW + 301), Doubt.EXPIRED),
    ],
)
async def test_a_forged_or_replayed_signature_is_refused(header: str | None, doubt: Doubt) -> None:
    """Whatever is wrong, the answer is 403 and the owner's log says why."""
    request = post(MAIL, {} if header is None else {HEADER: header})

    with pytest.raises(SignatureError) as refused:
        await transport().verify(request)
    assert refused.value.doubt is doubt
    assert transport().refusal.status == 403


async def test_one_of_several_signatures_is_enough() -> None:
    """While the secret is being changed, a post may be signed with both; and so may its time be up to 5 minutes off."""
    good = raw_signature(MAIL, at=NOW - 299)
    both = f"{good},v1={'0' * 64}"

    await transport().verify(post(MAIL, {HEADER: both}))


async def test_a_message_of_another_method_is_refused() -> None:
    """Nobody sends mail by GET."""
    headers = ((HEADER, raw_signature(MAIL)),)

    with pytest.raises(SignatureError):
        transport().admit(Request("GET", TARGET, headers, MAIL))


def test_headers_alone_admit_what_could_be_genuine() -> None:
    """Before the body is read, a signature has to be there; whether it is right is seen later."""
    transport().admit(Request("POST", TARGET, ((HEADER, raw_signature(b"")),)))

    with pytest.raises(SignatureError):
        transport().admit(Request("POST", TARGET, ()))


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_a_message_that_is_too_large_becomes_its_headers(line_end: bytes, tmp_path: Path) -> None:
    """It is acknowledged and kept as far as a person needs it, and not read as a whole."""
    head = b"From: customer@example.org\nSubject: Big\n\n".replace(b"\n", line_end)
    request = in_file(post(head + b"x" * 10_001, {}), tmp_path)

    assert transport().unwrap(request) == Envelope(head, whole_size=len(head) + 10_001)


def test_headers_that_never_end_are_cut() -> None:
    """A message that is one endless line is kept as its beginning."""
    envelope = transport().unwrap(post(b"x" * 1_000_000, {}))

    assert envelope == Envelope(b"x" * 256 * 1024, whole_size=1_000_000)


def test_an_empty_body_is_no_message() -> None:
    """What is signed and says nothing is for a person to look at."""
    with pytest.raises(PayloadError):
        transport().unwrap(post(b"", {}))


def test_what_reads_a_message_can_go_to_another_process() -> None:
    """It is picklable and takes no secret along."""
    pickled = pickle.dumps(transport().unwrap)

    assert SECRET.encode() not in pickled
    assert pickle.loads(pickled)(post(MAIL, {})) == Envelope(MAIL)
