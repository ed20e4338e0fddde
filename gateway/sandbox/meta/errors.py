"""What Meta refuses, and with which words.

Sources, read 2026-11: developers.facebook.com/docs/messenger-platform/error-codes for Messenger,
developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes for WhatsApp, and
developers.facebook.com/docs/graph-api/guides/error-handling for the envelope of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BAD_REQUEST = 400
INVALID_TOKEN = 190
INVALID_PARAMETER = 100
EXPIRED = 463
NO_SUCH_OBJECT = 33
NO_MATCHING_USER = 2018001
OUTSIDE_WINDOW = 2018278
THREAD_OF_ANOTHER_APP = 2018300

STATUSES: Mapping[int, int] = {
    2: 503,
    INVALID_TOKEN: 401,
    131000: 500,
    131016: 500,
    132001: 404,
    133004: 503,
}
"""The HTTP status of a code, where it is not 400."""

TEXTS: Mapping[int, str] = {
    1: "An unknown error has occurred.",
    2: "Service temporarily unavailable",
    4: "Application request limit reached",
    10: "Application does not have permission for this action",
    INVALID_PARAMETER: "Invalid parameter",
    INVALID_TOKEN: "Invalid OAuth access token.",
    200: "Permissions error",
    368: "Temporarily blocked for policies violations",
    551: "This person isn't available right now.",
    1200: "Temporary send message failure. Please try again later.",
    130429: "Rate limit hit",
    131000: "Something went wrong",
    131008: "Required parameter is missing",
    131009: "Parameter value is not valid",
    131016: "Service unavailable",
    131021: "Recipient cannot be sender",
    131026: "Message undeliverable",
    131047: "Re-engagement message",
    131048: "Spam rate limit hit",
    131049: "This message was not delivered to maintain healthy ecosystem engagement.",
    131050: "User has stopped receiving marketing messages",
    131051: "Unsupported message type",
    131053: "Media upload error",
    131056: "(Business Account, Consumer Account) pair rate limit hit",
    132000: "Template param count mismatch",
    132001: "Template does not exist in the translation",
    133004: "Server temporarily unavailable",
}
SUBTEXTS: Mapping[int, str] = {
    NO_SUCH_OBJECT: "Unsupported request. Object does not exist, or cannot be loaded due to missing permissions",
    EXPIRED: "Error validating access token: Session has expired",
    1545041: "This person isn't available right now.",
    1893063: "This Page is temporarily blocked from sending messages.",
    NO_MATCHING_USER: "No matching user found",
    OUTSIDE_WINDOW: "This message is sent outside of allowed window.",
    2018109: "Attachment size exceeds allowable limit",
    THREAD_OF_ANOTHER_APP: "Another app is controlling this thread now.",
}


class Refusal(Exception):
    """An error as Meta words it.

    ``message`` stands in for the code's own; ``details`` are WhatsApp's, in ``error_data``.
    """

    def __init__(
        self,
        code: int,
        subcode: int | None = None,
        *,
        message: str = "",
        details: str = "",
        status: int | None = None,
    ) -> None:
        super().__init__(f"{code}/{subcode}" if subcode else str(code))
        self.code = code
        self.subcode = subcode
        self.status = status or STATUSES.get(code, BAD_REQUEST)
        self._message = message or SUBTEXTS.get(subcode or 0) or TEXTS.get(code, "Unknown error")
        self._details = details

    def body(self, trace: str) -> dict[str, Any]:
        """Return the JSON of the answer; ``trace`` is what one would quote to Meta's support."""
        numbered = self.code not in {1, 2, INVALID_TOKEN}
        error: dict[str, Any] = {
            "message": f"(#{self.code}) {self._message}" if numbered else self._message,
            "type": "OAuthException",
            "code": self.code,
        }
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        if self._details:
            error["error_data"] = {"messaging_product": "whatsapp", "details": self._details}
        if self.code in {1, 2}:
            error["is_transient"] = True
        return {"error": error | {"fbtrace_id": f"A{trace[:22]}"}}


def invalid(message: str) -> Refusal:
    """Make the refusal of a parameter; Messenger says in the message what is wrong with it."""
    return Refusal(INVALID_PARAMETER, message=message)


def missing() -> Refusal:
    """Make the refusal of something that is not there, as far as this token can see."""
    return Refusal(INVALID_PARAMETER, NO_SUCH_OBJECT)
