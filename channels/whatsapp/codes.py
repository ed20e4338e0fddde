"""WhatsApp's words and numbers, and what they mean to us."""

from __future__ import annotations

from collections.abc import Mapping

from channels.base import DeliveryStatus, Scope
from channels.errors import (
    CredentialsRejected,
    OptedOut,
    OutsideWindow,
    Refused,
    RetryLater,
    SendError,
)
from channels.meta.codes import by_status
from channels.meta.graph import GraphFailure

# developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/status, read 2026-11.
# A voice message that was played has been read. What is not here (deleted, warning) means nothing to us.
STATUSES: Mapping[str, DeliveryStatus] = {
    "sent": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
    "read": DeliveryStatus.READ,
    "played": DeliveryStatus.READ,
    "failed": DeliveryStatus.FAILED,
}

# developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes, read 2026-11. What is in none
# of these tables is refused for good: templates (132…), registration (133010), an unknown recipient (131026), one who
# gets no marketing now (130472, 131049, 131063), a country that we may not write to (130497), a bad request (100).

OUTSIDE_WINDOW = frozenset({131047})
# The recipient has stopped marketing messages; what they write may still be answered.
OPTED_OUT = frozenset({131050})
# The token, the app's permissions, and accounts that are locked (131031) or called abusive (368).
CREDENTIALS = frozenset({0, 3, 10, 190, 368, 131005, 131031, *range(200, 300)})
# The number's throughput, the app's and the account's rates, the portfolio's limit; out of order, under maintenance.
CHANNEL_LATER = frozenset({2, 4, 80007, 130429, 131016, 131057, 131064, 133004})
# Messages were called spam: .../whatsapp/messaging-limits says to wait, and no code says how long.
SPAM = frozenset({131048})
SPAM_S = 3600.0
MESSAGE_LATER = frozenset({1, 131000})
# Too many messages to this one recipient; Meta says to wait 4^n seconds (.../whatsapp/throughput, "Pair rate limits").
PAIR_RATE = frozenset({131056})
# Meta could not fetch or take the file: twice more, then it is refused.
FILE_NOT_TAKEN = frozenset({131052, 131053})
FILE_ATTEMPTS = 2


def send_error(failure: GraphFailure, *, attempts: int = 0) -> SendError:
    """Return what an unsuccessful answer means: its code first, then the HTTP status.

    ``attempts`` is how often the message has been put off before.
    """
    return _final(failure) or _later(failure, attempts) or by_status(failure)


def _final(failure: GraphFailure) -> SendError | None:
    code, said, name = failure.code, failure.message, failure.name
    if code in OUTSIDE_WINDOW:
        return OutsideWindow(said, code=name)
    if code in OPTED_OUT:
        return OptedOut(said, code=name, scope=Scope.MARKETING)
    if code in CREDENTIALS:
        return CredentialsRejected(said, code=name)
    return None


def _later(failure: GraphFailure, attempts: int) -> SendError | None:
    code, said, name, wait_s = failure.code, failure.message, failure.name, failure.retry_after_s
    if code in CHANNEL_LATER:
        return RetryLater(said, code=name, retry_after_s=wait_s)
    if code in SPAM:
        return RetryLater(said, code=name, retry_after_s=max(SPAM_S, wait_s or 0.0))
    if code in PAIR_RATE:
        return RetryLater(said, code=name, retry_after_s=4.0 ** (attempts + 1), channel_wide=False)
    if code in FILE_NOT_TAKEN and attempts >= FILE_ATTEMPTS:
        return Refused(said, code=name)
    if code in MESSAGE_LATER | FILE_NOT_TAKEN or (code is not None and failure.transient):
        return RetryLater(said, code=name, retry_after_s=wait_s, channel_wide=False)
    return None
