"""Twilio's words and numbers, and what they mean to us."""

from __future__ import annotations

from collections.abc import Mapping

from channels.base import Consent, DeliveryStatus
from channels.errors import (
    CredentialsRejected,
    OptedOut,
    OutcomeUnknown,
    OutsideWindow,
    Refused,
    RetryLater,
    SendError,
)

# www.twilio.com/docs/messaging/api/message-resource#message-status-values, read 2026-11. What is not here is a step
# on the way: accepted, scheduled, queued, sending, partially_delivered.
STATUSES: Mapping[str, DeliveryStatus] = {
    "sent": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
    "read": DeliveryStatus.READ,
    "undelivered": DeliveryStatus.FAILED,
    "failed": DeliveryStatus.FAILED,
    "canceled": DeliveryStatus.FAILED,
}
# ... and what says that a message is to us.
INBOUND = frozenset({"receiving", "received"})

# Advanced Opt-Out's OptOutType: www.twilio.com/docs/messaging/tutorials/advanced-opt-out, read 2026-11.
OPT_OUT_TYPES: Mapping[str, Consent] = {
    "STOP": Consent.OPT_OUT,
    "START": Consent.OPT_IN,
    "HELP": Consent.HELP,
}

# www.twilio.com/docs/api/errors/<code>, read 2026-11.

# The recipient has sent STOP. Blocks that no START of theirs would lift (30004, 63014, 63033) are plain refusals.
OPTED_OUT = frozenset({21610})
OUTSIDE_WINDOW = frozenset({63016})
CREDENTIALS = frozenset({20003, 20005})  # authentication failed; account not active
# Nothing that the channel sends would fare better now: too many requests, service unavailable, the From number's queue
# is full, the account has sent its messages of the day.
NOT_PROCESSED = frozenset({20429, 20503, 21611, 63038})
# What other messages of the channel need not share: a recipient's carrier or campaign is busy, a pair of numbers has
# exchanged too much, WhatsApp failed over this one.
LATER = frozenset({14107, 30001, 30017, 30022, 30023, 30027, 30410, 63009, 63010, 63012, 63017, 63018})

UNAUTHORIZED, REQUEST_TIMEOUT, TOO_MANY_REQUESTS, SERVICE_UNAVAILABLE = 401, 408, 429, 503


def send_error(status: int, code: int | None, message: str, retry_after_s: float | None) -> SendError:
    """Return what an unsuccessful answer to a send means; ``code`` is Twilio's own, where the body had one."""
    name = str(code or status)
    if code in OPTED_OUT:
        return OptedOut(message, code=name)
    if code in OUTSIDE_WINDOW:
        return OutsideWindow(message, code=name)
    if status == UNAUTHORIZED or code in CREDENTIALS:
        return CredentialsRejected(message, code=name)
    if code in LATER:  # first: two numbers that answer each other for ever get a 429 of their own
        return RetryLater(message, code=name, retry_after_s=retry_after_s, channel_wide=False)
    if status in (TOO_MANY_REQUESTS, SERVICE_UNAVAILABLE) or code in NOT_PROCESSED:
        return RetryLater(message, code=name, retry_after_s=retry_after_s)
    if 400 <= status < 500 and status != REQUEST_TIMEOUT:
        return Refused(message, code=name)
    return OutcomeUnknown(message, code=name)
