"""Names for what we send that come back with an answer, and prove that we gave them. Pure.

A Message-ID and a reply address name a delivery; an unsubscribe token names an address. Each is signed
(HMAC-SHA256, cut short) over its own kind, so that none passes for another. All of them survive a relay that changes
the case of letters.
"""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import dataclass, field
from uuid import UUID

MAX_LOCAL_PART = 64  # octets: RFC 5321, section 4.5.3.1.1

_PROOF = 10  # letters of five bits: a forger needs 2^49 mails on average
_BINDING = 6  # ... and whoever has seen a token of somebody else's 2^29
_SIGNATURE = _PROOF + _BINDING
_ID = 26  # the letters of 128 bits
_LONGEST = 1024  # characters: what is longer is no token of ours
_MESSAGE_ID = re.compile(rf"<?d\.([0-9a-f-]{{36}})\.([a-z2-7]{{{_SIGNATURE}}})@[^<>@\s]+>?")
_REPLY = re.compile(rf"[^@\s]+\+([a-z2-7]{{{_ID}}})\.([a-z2-7]{{{_PROOF}}})([a-z2-7]{{{_BINDING}}})@[^@\s]+")
_UNSUBSCRIBE = re.compile(rf"([a-z2-7]+)\.([a-z2-7]{{{_SIGNATURE}}})")


@dataclass(frozen=True, slots=True)
class Token:
    """What the address that a customer answered to says."""

    delivery_id: str
    sender_matches: bool
    """Whether whoever writes is whom the delivery went to: False where the address has been passed on."""


@dataclass(frozen=True, slots=True)
class References:
    """Makes and reads the references of one address of ours."""

    key: bytes = field(repr=False)
    address: str

    @property
    def domain(self) -> str:
        """The domain of our address."""
        return self.address.rpartition("@")[2]

    @property
    def instance(self) -> str:
        """Our mark in a header, by which mail that came back to us is known."""
        return self._sign("instance", self.address, letters=_SIGNATURE)

    def message_id(self, delivery_id: str) -> str:
        """Return the Message-ID of a delivery, without its angle brackets.

        Raises:
            ValueError: the delivery's id is no UUID.
        """
        name = str(UUID(delivery_id))
        return f"d.{name}.{self._sign('message', name, letters=_SIGNATURE)}@{self.domain}"

    def read_message_id(self, text: str) -> str | None:
        """Return the delivery that a Message-ID names, or None where we did not make it; brackets do not matter."""
        found = _MESSAGE_ID.fullmatch(_lowered(text))
        if found is None or not self._is_signed(found[2], "message", found[1]):
            return None
        return found[1]

    def reply_address(self, delivery_id: str, recipient: str) -> str | None:
        """Return where the recipient's answer to a delivery comes in; None where our own address is too long for one.

        Raises:
            ValueError: the delivery's id is no UUID.
        """
        local, _, domain = self.address.rpartition("@")
        id_ = UUID(delivery_id)
        tagged = f"{local}+{_letters(id_.bytes)}.{self._prove(str(id_))}{self._bind(str(id_), recipient)}"
        return f"{tagged}@{domain}" if len(tagged) <= MAX_LOCAL_PART else None

    def read_token(self, address: str, sender: str) -> Token | None:
        """Return what an address that mail came to says, or None where it carries no token, or none of ours."""
        found = _REPLY.fullmatch(_lowered(address))
        if found is None:
            return None
        delivery_id = str(UUID(bytes=_bytes(found[1])))
        if not hmac.compare_digest(found[2], self._prove(delivery_id)):
            return None
        return Token(delivery_id, hmac.compare_digest(found[3], self._bind(delivery_id, sender)))

    def unsubscribe_token(self, recipient: str) -> str:
        """Return what lets whoever has it stop messages to this address, for a link; it can be read by anybody."""
        name = _lowered(recipient)
        written = name.encode("utf-8", "replace")
        return f"{_letters(written)}.{self._sign('unsubscribe', name, letters=_SIGNATURE)}"

    def read_unsubscribe_token(self, token: str) -> str | None:
        """Return the address, in lower case, that a token of ours names, or None."""
        found = _UNSUBSCRIBE.fullmatch(_lowered(token))
        if found is None:
            return None
        try:
            name = _bytes(found[1]).decode()
        except ValueError:
            return None
        return name if self._is_signed(found[2], "unsubscribe", name) else None

    def _prove(self, delivery_id: str) -> str:
        return self._sign("reply", delivery_id, letters=_PROOF)

    def _bind(self, delivery_id: str, recipient: str) -> str:
        return self._sign("recipient", delivery_id, _lowered(recipient), letters=_BINDING)

    def _is_signed(self, signature: str, *signed: str) -> bool:
        return hmac.compare_digest(signature, self._sign(*signed, letters=_SIGNATURE))

    def _sign(self, *signed: str, letters: int) -> str:
        over = "\0".join(signed).encode("utf-8", "replace")
        return _letters(hmac.digest(self.key, over, "sha256"))[:letters]


def _lowered(text: str) -> str:
    return text.strip().lower() if len(text) <= _LONGEST else ""


def _letters(content: bytes) -> str:
    """Write bytes in base32 (RFC 4648, section 6) without its padding, in lower case."""
    return base64.b32encode(content).decode().rstrip("=").lower()


def _bytes(letters: str) -> bytes:
    return base64.b32decode(letters.upper() + "=" * (-len(letters) % 8))
