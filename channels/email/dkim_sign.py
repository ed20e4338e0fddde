"""Our own signature on what we send (RFC 6376; RFC 8463 for Ed25519 keys).

Most mail servers sign what they take, and then nothing here is configured. dkimpy, with which signatures are checked,
needs one more library for Ed25519 keys and writes the time into what it signs; this writes the same bytes each time.

Importing this module imports ``cryptography``.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from channels.email.settings import DkimSettings

MIN_RSA_BITS = 1024  # RFC 8301, section 3.2: no verifier takes less

# What is signed where it is there. From, Subject and the like twice: nobody can add a second one.
SIGNED = (
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "reply-to",
    "auto-submitted",
    "list-unsubscribe",  # RFC 8058, section 4, asks for these two
    "list-unsubscribe-post",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
)
_ONCE = ("from", "to", "subject", "date", "reply-to")
_ED25519_BYTES = 32

Key = RSAPrivateKey | Ed25519PrivateKey


def sign(raw: bytes, settings: DkimSettings) -> bytes:
    """Return the message with a signature before it; the same message gives the same signature.

    ``raw`` has CRLF at the end of each line.

    Raises:
        ValueError: the private key is none.
    """
    key = key_of(settings, checked=False)
    head, _, body = raw.partition(b"\r\n\r\n")
    headers = [_relaxed(line) for line in re.split(rb"\r\n(?![ \t])", head)]
    names = _names(headers)
    body_hash = base64.b64encode(hashlib.sha256(_simple(body)).digest()).decode()
    algorithm = "rsa-sha256" if isinstance(key, RSAPrivateKey) else "ed25519-sha256"
    listed = ":\r\n  ".join(names)
    unsigned = (
        f"v=1; a={algorithm}; c=relaxed/simple;\r\n d={settings.domain}; s={settings.selector};\r\n"
        f" h={listed};\r\n bh={body_hash};\r\n b="
    )
    signed = _chosen(headers, names) + _relaxed(f"DKIM-Signature: {unsigned}".encode())
    signature = base64.b64encode(_signature(key, signed)).decode()
    folded = "\r\n ".join(signature[at : at + 72] for at in range(0, len(signature), 72))
    return f"DKIM-Signature: {unsigned}{folded}\r\n".encode() + raw


def key_of(settings: DkimSettings, *, checked: bool = True) -> Key:
    """Return the private key; ``checked``, which takes 25 ms, proves that its numbers belong together.

    Raises:
        ValueError: it is neither the PEM of an RSA key of 1024 bits or more, nor the base64 of an Ed25519 key.
    """
    secret = settings.private_key.get_secret_value().strip()
    try:
        key = (
            load_pem_private_key(secret.encode(), None, unsafe_skip_rsa_key_validation=not checked)
            if secret.startswith("-----")
            else _ed25519(secret)
        )
    except (ValueError, TypeError) as error:
        raise ValueError("is not the PEM of an RSA key without a passphrase, nor base64 of an Ed25519 key") from error
    if isinstance(key, Ed25519PrivateKey):
        return key
    if not isinstance(key, RSAPrivateKey) or key.key_size < MIN_RSA_BITS:
        raise ValueError(f"must be an RSA key of {MIN_RSA_BITS} bits or more, or an Ed25519 key")
    return key


def _ed25519(secret: str) -> Ed25519PrivateKey:
    content = base64.b64decode(secret, validate=True)
    return Ed25519PrivateKey.from_private_bytes(content[:_ED25519_BYTES])  # some tools write the public half behind it


def _signature(key: Key, signed: bytes) -> bytes:
    if isinstance(key, RSAPrivateKey):
        return key.sign(signed, PKCS1v15(), SHA256())
    return key.sign(hashlib.sha256(signed).digest())  # RFC 8463, section 3: the hash is what is signed


# --- canonical forms: RFC 6376, section 3.4 ---


def _relaxed(line: bytes) -> bytes:
    name, _, value = line.partition(b":")
    unfolded = re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b""))
    return name.strip().lower() + b":" + unfolded.strip()


def _simple(body: bytes) -> bytes:
    return body.rstrip(b"\r\n") + b"\r\n"


def _names(headers: Sequence[bytes]) -> list[str]:
    """Return the names of what is signed: one more than are there, where there may be only one (section 5.4.2)."""
    there = [line.partition(b":")[0].decode("ascii", "replace") for line in headers]
    return [name for wanted in SIGNED for name in [wanted] * (there.count(wanted) + (wanted in _ONCE))]


def _chosen(headers: Sequence[bytes], names: Sequence[str]) -> bytes:
    """Return the headers in the order of their names, of equal ones the last first; what is missing is empty."""
    left = list(headers)
    chosen = b""
    for name in names:
        at = next((at for at in reversed(range(len(left))) if left[at].startswith(f"{name}:".encode())), None)
        if at is not None:
            chosen += left.pop(at) + b"\r\n"
    return chosen
