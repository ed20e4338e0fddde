"""Mailgun's Routes."""

from __future__ import annotations

import hashlib
import hmac
import json
import pickle
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from channels.base import Request
from channels.email.envelope import Envelope, Verdict, Verdicts
from channels.email.settings import MailgunInbound
from channels.email.test_transport_doubles import (
    CUSTOMER,
    MEGABYTE,
    MULTIPART,
    NOW,
    SECRET,
    TARGET,
    URLENCODED,
    fixture,
    in_file,
    mailgun_proofs,
    multipart,
    post,
    seen,
)
from channels.email.transports import Transport, open_transport
from channels.errors import Doubt, PayloadError, SignatureError
from channels.http import Http

TOP = [["X-Mailgun-Spf", "Pass"], ["X-Mailgun-Dkim-Check-Result", "Pass"], ["Received", "from x by mxa.mailgun.org"]]
MAIL = {
    "recipient": "help@example.com",
    "sender": CUSTOMER,
    "message-headers": json.dumps([*TOP, ["From", CUSTOMER], ["Subject", "Hello"]]),
    "body-plain": "Hi",
}


def transport(max_mail_bytes: int = MEGABYTE, now: float = NOW) -> Transport:
    section = MailgunInbound(provider="mailgun", signing_key=SECRET)
    return open_transport(section, Http(), max_mail_bytes, lambda: now)


def urlencoded(*fields: tuple[str, str]) -> Request:
    return post(urlencode(fields).encode(), {"Content-Type": URLENCODED})


def in_parts(*fields: tuple[str, str]) -> Request:
    return post(multipart(*((name, value.encode()) for name, value in fields)), {"Content-Type": MULTIPART})


def saved(name: str) -> Request:
    """Return a captured form; one with files is multipart."""
    body = fixture(f"mailgun/{name}.form")
    boundary = body[2:].partition(b"\r\n")[0].decode()
    kind = f"multipart/form-data; boundary={boundary}" if body.startswith(b"--") else URLENCODED
    return post(body, {"Content-Type": kind})


def unwrap(request: Request, max_mail_bytes: int = MEGABYTE) -> Envelope:
    envelope = transport(max_mail_bytes).unwrap(request)
    assert isinstance(envelope, Envelope)
    return envelope


PROOFS = mailgun_proofs()
FORMS = pytest.mark.parametrize("make", [urlencoded, in_parts])


@FORMS
@pytest.mark.parametrize("place", ["front", "end", "mixed"])
async def test_a_signed_form_comes_in(make: Any, place: str, tmp_path: Path) -> None:
    """Wherever the three fields stand in it, in memory and on disk."""
    mail, proofs = list(MAIL.items()), list(PROOFS.items())
    fields = {
        "front": [*proofs, *mail],
        "end": [*mail, *proofs],
        "mixed": [proofs[2], *mail[:2], proofs[0], *mail[2:], proofs[1]],
    }[place]

    await transport().verify(make(*fields))
    await transport().verify(in_file(make(*fields), tmp_path))


@FORMS
async def test_a_header_of_the_mail_that_is_named_like_a_proof_does_no_harm(make: Any) -> None:
    """Mailgun posts each header of a mail as a field, too: before or behind its own."""
    mine = [("token", "a" * 1000), ("signature", "b"), ("timestamp", "c")]

    await transport().verify(make(*mine, *MAIL.items(), *PROOFS.items()))
    await transport().verify(make(*PROOFS.items(), *MAIL.items(), *mine))


@FORMS
@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        ({"signature": None}, Doubt.UNSIGNED),
        ({"token": None}, Doubt.UNSIGNED),
        ({"timestamp": None}, Doubt.UNSIGNED),
        ({"signature": "0" * 64}, Doubt.MISMATCH),
        ({"signature": "ÿ"}, Doubt.MISMATCH),
        ({"token": "another"}, Doubt.MISMATCH),
        ({"timestamp": f"{NOW + 1:.0f}"}, Doubt.MISMATCH),
        (mailgun_proofs(key="another"), Doubt.MISMATCH),
        (mailgun_proofs(at=NOW - 9 * 3600 - 1), Doubt.EXPIRED),
        (mailgun_proofs(at=NOW + 600), Doubt.EXPIRED),
    ],
)
async def test_a_forged_or_old_form_is_refused(make: Any, changes: dict[str, str | None], doubt: Doubt) -> None:
    """It is answered 401, after which Mailgun tries again; only 406 would stop it."""
    fields = {name: value for name, value in (MAIL | PROOFS | changes).items() if value is not None}

    with pytest.raises(SignatureError) as refused:
        await transport().verify(make(*fields.items()))
    assert refused.value.doubt is doubt
    assert transport().refusal.status == 401


async def test_a_time_that_is_no_number_is_refused_though_it_is_signed() -> None:
    """``1e9`` is none that Mailgun writes."""
    signature = hmac.new(SECRET.encode(), b"1e9" + b"t" * 50, hashlib.sha256).hexdigest()

    with pytest.raises(SignatureError):
        await transport().verify(
            urlencoded(("timestamp", "1e9"), ("token", "t" * 50), ("signature", signature), *MAIL.items())
        )


async def test_a_retry_after_eight_hours_still_comes_in() -> None:
    """Mailgun tries for 8 hours, and may not sign again."""
    await transport().verify(urlencoded(*MAIL.items(), *mailgun_proofs(at=NOW - 8 * 3600).items()))


async def test_the_proofs_of_one_mail_are_good_for_no_other() -> None:
    """The body is not signed: who has seen a post may repeat it, as Mailgun does, but not with words of their own."""
    door = transport()
    await door.verify(urlencoded(*MAIL.items(), *PROOFS.items()))
    await door.verify(in_parts(*PROOFS.items(), *reversed(MAIL.items())))

    with pytest.raises(SignatureError) as refused:
        await door.verify(urlencoded(*(MAIL | {"body-plain": "Pay here"} | PROOFS).items()))
    assert refused.value.doubt is Doubt.REUSED
    await door.verify(urlencoded(*(MAIL | {"body-plain": "Else"} | mailgun_proofs(token="u" * 50)).items()))


async def test_only_so_many_tokens_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are forgotten first."""
    monkeypatch.setattr("channels.email.transports.mailgun.MAX_TOKENS", 2)
    door = transport()
    for token in "abc":
        await door.verify(urlencoded(*MAIL.items(), *mailgun_proofs(token=token).items()))

    await door.verify(urlencoded(("body-plain", "new"), *mailgun_proofs(token="a").items()))
    with pytest.raises(SignatureError):
        await door.verify(urlencoded(("body-plain", "new"), *mailgun_proofs(token="c").items()))


@pytest.mark.parametrize(
    "request_",
    [
        Request("GET", TARGET, (("Content-Type", URLENCODED),)),
        Request("POST", TARGET, ()),
        Request("POST", TARGET, (("Content-Type", "application/json"),), b'{"signature": {}}'),
        post(b"", {"Content-Type": "multipart/form-data"}),
        post(b"", {"Content-Type": "multipart/form-data; boundary=" + "x" * 300}),
        post(b"&" * 100_000, {"Content-Type": URLENCODED}),
        post(b"--xYzZY\r\n" + b"a" * 100_000, {"Content-Type": MULTIPART}),
        in_parts(*PROOFS.items(), *[("a", "")] * 2000),
        urlencoded(*PROOFS.items(), *[("a", "")] * 2000),
    ],
)
async def test_what_is_no_form_is_unsigned(request_: Request) -> None:
    """Nothing that a stranger posts is anything but refused."""
    with pytest.raises(SignatureError) as refused:
        await transport().verify(request_)
    assert refused.value.doubt is Doubt.UNSIGNED


# --- what is in it ---

PASSED = Verdicts(Verdict.PASS, Verdict.PASS, spf_domain="example.org")


@pytest.mark.parametrize(("name", "recipient"), [("text", "help@example.com"), ("attachment", "help+abc@example.com")])
def test_a_raw_and_a_parsed_post_tell_the_same_mail(name: str, recipient: str, tmp_path: Path) -> None:
    """The message itself in one, and one made of its fields in the other: sender, words, files, envelope and checks."""
    raw, parsed = unwrap(saved(f"{name}_raw")), unwrap(in_file(saved(f"{name}_parsed"), tmp_path))

    assert raw.raw.endswith(fixture(f"raw/{name}.eml"))
    assert seen(parsed.raw) == seen(raw.raw)
    for envelope in (raw, parsed):
        assert (envelope.mail_from, envelope.recipients) == (CUSTOMER, (recipient,))
        assert (envelope.verdicts, envelope.whole_size) == (PASSED, None)
    assert (raw.rebuilt, parsed.rebuilt) == (False, True)


def test_a_retry_makes_the_same_bytes() -> None:
    """A mail without a Message-ID is known again by them; proofs and boundaries are no part of it."""
    first = unwrap(urlencoded(*MAIL.items(), *PROOFS.items()))
    again = unwrap(in_parts(*mailgun_proofs(at=NOW + 9, token="x" * 50).items(), *MAIL.items()))

    assert first.raw == again.raw


TWICE = json.dumps([["From", "a@bank.example"], ["X-Mailgun-Spf", "Pass"], ["Received", "x"]])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (MAIL, PASSED),
        (MAIL | {"message-headers": json.dumps([["Received", "x"], *TOP])}, Verdicts(spf_domain="example.org")),
        (MAIL | {"message-headers": json.dumps(TOP[:2])}, Verdicts()),
        (
            MAIL | {"message-headers": json.dumps([["x-mailgun-spf", "SoftFail"], *TOP])},
            Verdicts(Verdict.FAIL, Verdict.PASS, spf_domain="example.org"),
        ),
        (MAIL | {"sender": ""}, Verdicts(Verdict.PASS, Verdict.PASS)),
        ({"body-mime": "X-Mailgun-Spf: Neutral\nReceived: x\n y\n\nHi"}, Verdicts()),
        ({"body-mime": "Received: x\nX-Mailgun-Spf: Pass\n\nHi"}, Verdicts()),
        ({"body-mime": "X-Mailgun-Spf: Fail\nReceived: x\n\nHi"}, Verdicts(Verdict.FAIL)),
    ],
)
def test_only_what_stands_above_the_first_received_is_mailguns(fields: dict[str, str], expected: Verdicts) -> None:
    """What is below, a sender may have written."""
    assert unwrap(urlencoded(*fields.items())).verdicts == expected


def test_a_mail_whose_header_is_named_like_a_field_proves_nothing() -> None:
    """Then there are two lists of headers, two messages or two senders, and one of them is a stranger's."""
    twice = [*MAIL.items(), ("message-headers", TWICE), ("sender", "ceo@bank.example")]
    whole = [("body-mime", "X-Mailgun-Spf: Pass\nReceived: x\n\nHi")] * 2

    assert unwrap(urlencoded(*twice)).verdicts == Verdicts()
    assert unwrap(urlencoded(*twice)).mail_from is None
    assert unwrap(urlencoded(*whole)).verdicts == Verdicts()


def test_an_urlencoded_message_has_all_its_bytes() -> None:
    """Whatever they are, and over the edges of the pieces in which they are read."""
    raw = b"From: a@example.org\r\n\r\n" + bytes(range(256)) * 1000 + b" +%41%"
    request = post(urlencode({"body-mime": raw}).encode(), {"Content-Type": URLENCODED})

    assert unwrap(request).raw == raw


@pytest.mark.parametrize("name", ["attachment_raw", "attachment_parsed", "text_raw", "text_parsed"])
def test_a_mail_that_is_too_large_becomes_its_headers(name: str) -> None:
    """Whether it came whole or in fields, urlencoded or in parts."""
    envelope = unwrap(saved(name), 300)
    whole = unwrap(saved(name))

    assert seen(envelope.raw).subject == seen(whole.raw).subject
    assert (seen(envelope.raw).text, seen(envelope.raw).files) == ("", ())
    assert envelope.whole_size is not None
    assert abs(envelope.whole_size - len(whole.raw)) < 1500
    assert (envelope.verdicts, envelope.rebuilt) == (whole.verdicts, whole.rebuilt)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"<a@x>": "attachment-1", "": "attachment-2", "<b@x>": "attachment-2"}', ["a@x", "b@x"]),
        ("not JSON", ["", ""]),
        ("[1]", ["", ""]),
        ('{"a": {"b": "attachment-1"}}', ["", ""]),
        ("[" * 10_000, ["", ""]),
    ],
)
def test_content_ids_are_read_from_a_map_that_may_have_a_key_twice(text: str, expected: list[str]) -> None:
    """What shows a picture in the text is found, and a broken map costs no file."""
    fields = MAIL | {"content-id-map": text}
    files = {'attachment-1"; filename="a.bin': "1", 'attachment-2"; filename="b.bin': "2"}
    found = seen(unwrap(in_parts(*(fields | files).items())).raw)

    assert [(name, content_id) for name, _, _, content_id in found.files] == [
        ("a.bin", expected[0]),
        ("b.bin", expected[1]),
    ]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (saved("stored"), "forward"),
        (urlencoded(("recipient", "help@example.com")), "neither"),
        (post(b"{}", {"Content-Type": "application/json"}), "not a form"),
        (post(saved("attachment_parsed").body[:-9], dict(saved("attachment_parsed").headers)), "breaks off"),
    ],
)
def test_a_form_without_a_whole_mail_is_kept_for_a_person(request_: Request, reason: str) -> None:
    """The reason says what to do, where a route is set up in another way."""
    with pytest.raises(PayloadError, match=reason):
        unwrap(request_)


def test_what_reads_a_mail_can_go_to_another_process() -> None:
    """It is picklable, and shows the key to nobody."""
    section = transport()
    pickled = pickle.dumps(section.unwrap)

    assert SECRET not in repr(section.unwrap)
    assert pickle.loads(pickled)(urlencoded(*MAIL.items())) == unwrap(urlencoded(*MAIL.items()))


@FORMS
def test_a_token_is_told_with_the_mail_that_it_came_with(make: Any) -> None:
    """Whoever keeps the mail can refuse another one under it, whatever process it comes to, also after a restart."""
    first = unwrap(make(*MAIL.items(), *PROOFS.items()))
    forged = unwrap(
        make(("token", "z" * 50), *PROOFS.items(), ("body-mime", "Subject: Else\r\n\r\n"), ("token", "x" * 50))
    )
    other = unwrap(make(*MAIL.items(), *mailgun_proofs(token="u" * 50).items()))

    assert first.replay_key
    assert forged.replay_key == first.replay_key
    assert other.replay_key not in (None, first.replay_key)
    assert PROOFS["token"] not in first.replay_key
    assert unwrap(make(*MAIL.items(), *(PROOFS | {"signature": "0" * 64}).items())).replay_key is None
