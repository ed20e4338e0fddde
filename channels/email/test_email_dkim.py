"""Our signature on what we send, as dkimpy and the RFCs see it."""

from __future__ import annotations

import base64
import hashlib
import re

import dkim
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from channels.email.dkim_sign import key_of, sign
from channels.email.settings import DkimSettings

RSA_KEY = rsa.generate_private_key(65537, 2048)
ED_KEY = ed25519.Ed25519PrivateKey.generate()
RAW = (
    b"Date: Tue, 24 Nov 2026 12:00:00 +0000\r\n"
    b"From: =?utf-8?b?S8O8Y2hl?=\r\n <help@example.com>\r\n"
    b"To: customer@example.org\r\nSubject: Re:  my   order\r\n"
    b"List-Unsubscribe: <https://chat.example.com/u/1>,\r\n <mailto:help@example.com>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    b"X-Other: not signed\r\n\r\nGood  morning.\r\n\r\n.\r\n\r\n\r\n"
)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    """Write a private key."""
    return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def settings(private_key: str) -> DkimSettings:
    """Make the section of the configuration."""
    return DkimSettings.model_validate({"domain": "example.com", "selector": "s1", "private_key": private_key})


def found_good(raw: bytes) -> bool:
    """Verify as a receiver does, with the public key in the place of the DNS."""
    public = RSA_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)
    asked: list[bytes] = []

    def lookup(name: bytes, timeout: float = 5) -> bytes:
        asked.append(name)
        return record

    good: bool = dkim.verify(raw, dnsfunc=lookup)
    assert set(asked) <= {b"s1._domainkey.example.com."}
    return good


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_receiver_finds_the_signature_good(form: PrivateFormat) -> None:
    """In both ways of writing an RSA key; the message beneath is as it was, and signing again changes nothing."""
    signed = sign(RAW, settings(pem(RSA_KEY, form)))

    assert found_good(signed)
    assert signed.endswith(RAW)
    assert signed == sign(RAW, settings(pem(RSA_KEY, form)))
    assert max(len(line) for line in signed.split(b"\r\n")) <= 78


@pytest.mark.parametrize("raw", [b"From: a@example.com\r\n\r\n", b"From: a@example.com\r\n", RAW[:-4], RAW + b"no end"])
def test_a_short_message_is_signed_too(raw: bytes) -> None:
    """Without a body, and with empty lines at its end."""
    assert found_good(sign(raw, settings(pem(RSA_KEY))))


CHANGES = [
    (b"Good  morning.", b"Good evening."),
    (b"Subject: Re:  my", b"Subject: Re:  your"),
    (b"To: customer", b"To: another"),
    (b"List-Unsubscribe-Post: List", b"List-Unsubscribe-Post: Lost"),
    (b"X-Other:", b"Subject: a second one\r\nX-Other:"),
    (b"X-Other:", b"From: another@example.com\r\nX-Other:"),
    (b"X-Other:", b"Reply-To: another@example.net\r\nX-Other:"),
]


@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_whoever_changes_the_message_breaks_the_signature(before: bytes, after: bytes) -> None:
    """A second header of those that may stand only once is a change, too."""
    signed = sign(RAW, settings(pem(RSA_KEY)))

    assert before in signed
    assert not found_good(signed.replace(before, after))


HARMLESS = [
    (b"Subject: Re:  my   order", b"SUBJECT: Re:\r\n my order "),
    (b"X-Other: not signed", b"X-Other: changed\r\nReceived: from somewhere"),
]


@pytest.mark.parametrize(("before", "after"), HARMLESS)
def test_what_relays_do_leaves_it_good(before: bytes, after: bytes) -> None:
    """They fold anew, and add what they have done."""
    signed = sign(RAW, settings(pem(RSA_KEY)))

    assert before in signed
    assert found_good(signed.replace(before, after))


@pytest.mark.parametrize("more", [b"", ED_KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)])
def test_an_ed25519_key_signs_the_hash(more: bytes) -> None:
    """RFC 8463, section 3, checked by hand: dkimpy would need another library for it."""
    seed = ED_KEY.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    signed = sign(RAW, settings(base64.b64encode(seed + more).decode()))
    head = re.match(rb"DKIM-Signature: (.*?)\r\n(?![ \t])", signed, re.DOTALL)
    assert head is not None
    value = re.sub(rb"[ \t]+", b" ", head[1].replace(b"\r\n", b"")).strip()
    bare, _, signature = value.rpartition(b" b=")
    ours = {b"from": b"=?utf-8?b?S8O8Y2hl?= <help@example.com>", b"subject": b"Re: my order"}
    ours |= {b"to": b"customer@example.org", b"date": b"Tue, 24 Nov 2026 12:00:00 +0000"}
    ours |= {b"list-unsubscribe": b"<https://chat.example.com/u/1>, <mailto:help@example.com>"}
    ours |= {b"list-unsubscribe-post": b"List-Unsubscribe=One-Click"}
    names = list(dict.fromkeys(re.search(rb"h=([^;]*);", value)[1].replace(b" ", b"").split(b":")))  # type: ignore[index]
    hashed = b"".join(name + b":" + ours[name] + b"\r\n" for name in names if name in ours)
    hashed += b"dkim-signature:" + bare + b" b="

    ED_KEY.public_key().verify(base64.b64decode(signature), hashlib.sha256(hashed).digest())
    assert b"a=ed25519-sha256" in value
    with pytest.raises(InvalidSignature):
        ED_KEY.public_key().verify(base64.b64decode(signature), hashed)


NO_KEYS = [
    ("nonsense", "is not the PEM"),
    ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "is not the PEM"),
    (base64.b64encode(b"short").decode(), "is not the PEM"),
    (pem(ec.generate_private_key(ec.SECP256R1())), "must be an RSA key"),
]


@pytest.mark.parametrize(("private_key", "says"), NO_KEYS)
def test_what_is_no_key_is_said_without_showing_it(private_key: str, says: str) -> None:
    """The owner sees it when the gateway starts."""
    with pytest.raises(ValueError, match=says) as raised:
        key_of(settings(private_key))

    assert private_key not in str(raised.value)


def test_a_key_that_is_too_short_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """No receiver would take it; nothing here still makes one of less than 1024 bits, so the limit is raised."""
    monkeypatch.setattr("channels.email.dkim_sign.MIN_RSA_BITS", 4096)

    with pytest.raises(ValueError, match="must be an RSA key of 4096 bits or more"):
        key_of(settings(pem(RSA_KEY)))
