"""Public keys as SendGrid shows them."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key


def read_public_key(text: str) -> EllipticCurvePublicKey:
    """Read a security policy's public key: base64 of its DER form, or PEM.

    Raises:
        ValueError: it is none.
    """
    bare = "".join(line.strip() for line in text.splitlines() if not line.startswith("-----"))
    try:
        key = load_der_public_key(base64.b64decode(bare, validate=True))
    except ValueError:
        raise ValueError("must be the public key that SendGrid shows, in base64") from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise ValueError("must be the public key that SendGrid shows: one on the curve P-256")
    return key
