"""Messenger's words and numbers, and what they mean to us."""

from __future__ import annotations

from collections.abc import Mapping

from channels.errors import (
    CredentialsRejected,
    OutcomeUnknown,
    OutsideWindow,
    OwnedElsewhere,
    Refused,
    RetryLater,
    SendError,
)
from channels.meta.codes import by_status
from channels.meta.graph import GraphFailure

# What a page tells of a reaction that has a name but no emoji:
# developers.facebook.com/docs/messenger-platform/reference/webhook-events/message-reactions, read 2026-11.
REACTIONS: Mapping[str, str] = {
    "smile": "😆",
    "angry": "😠",
    "sad": "😢",
    "wow": "😮",
    "love": "❤",
    "like": "👍",
    "dislike": "👎",
}

# developers.facebook.com/docs/messenger-platform/error-codes, read 2026-11; a subcode is of one code only, so that
# these tables need no pairs. What is not on that page carries its own source.

OUTSIDE_WINDOW = frozenset({2018278, 2018065, 2534022})
# github.com/davidchua/pymessenger/issues/93, read 2026-11; 2018105 is the same for handing a thread over.
OWNED_ELSEWHERE = frozenset({2018300, 2018105})
# The page may not write for a while; a vendor of inboxes waits half an hour before it asks again.
PAGE_RESTRICTED = frozenset({1893063, 2534122, 2534029})
RESTRICTED_S = 1800.0
# Blocked us, deactivated, turned off: nothing that a START of theirs would lift, and so no opt-out.
UNAVAILABLE = frozenset({1545041, 2018108})
NO_SUCH_RECIPIENT = frozenset({2018001})
TOO_LARGE = frozenset({2018109})
# Meta could not fetch or take the file: once more, then it is refused.
FILE_NOT_TAKEN = frozenset({2018007, 2018008})
# "The messages are all sent successfully, but the endpoint returns an error."
SENT_OR_NOT = frozenset({1357046})
APP_REMOVED = frozenset({2534041})

USER_UNAVAILABLE = 551
INVALID, PERMISSIONS = 100, frozenset({10, 200})
CREDENTIALS = frozenset({190, 230, 368})  # the token; the permission to write; "deemed abusive"
CHANNEL_LATER = frozenset({4, 17, 32, 613, 80006})  # the app's, the page's, the business's rates
# 2 is a service out of order or one customer who has blocked the page: the others do not wait for that to be known.
MESSAGE_LATER = frozenset({1, 2, 1200})


def send_error(failure: GraphFailure, *, as_human_agent: bool = False, attempts: int = 0) -> SendError:
    """Return what an unsuccessful answer means: its subcode first, then its code, then the HTTP status.

    ``as_human_agent`` says that the message was sent under the Human Agent tag: a refusal without a meaning of its
    own then says that the app lacks the feature. ``attempts`` is how often the message has been refused before.
    """
    known = _by_subcode(failure, attempts)
    if known is not None:
        return known
    if as_human_agent and (failure.code == INVALID or failure.code in PERMISSIONS):
        said = f"Meta does not let this app answer after 24 hours, check its Human Agent feature: {failure.message}"
        return OutsideWindow(said, code=failure.name)
    return _by_code(failure) or by_status(failure)


def _by_subcode(failure: GraphFailure, attempts: int) -> SendError | None:
    subcode, said, name = failure.subcode, failure.message, failure.name
    if subcode in OUTSIDE_WINDOW:
        return OutsideWindow(said, code=name)
    if subcode in OWNED_ELSEWHERE:
        return OwnedElsewhere(said, code=name)
    if subcode in PAGE_RESTRICTED:
        return RetryLater(said, code=name, retry_after_s=max(RESTRICTED_S, failure.retry_after_s or 0.0))
    if subcode in FILE_NOT_TAKEN and not attempts:
        return RetryLater(said, code=name, retry_after_s=failure.retry_after_s, channel_wide=False)
    if subcode in UNAVAILABLE | NO_SUCH_RECIPIENT | TOO_LARGE | FILE_NOT_TAKEN:
        return Refused(said, code=name)
    if subcode in SENT_OR_NOT:
        return OutcomeUnknown(said, code=name)
    if subcode in APP_REMOVED:
        return CredentialsRejected(said, code=name)
    return None


def _by_code(failure: GraphFailure) -> SendError | None:
    code, said, name = failure.code, failure.message, failure.name
    if code == USER_UNAVAILABLE:
        return Refused(said, code=name)
    # A permission that is missing for one recipient or one kind of message has a subcode, which is no reason to stop.
    if code in CREDENTIALS or (code in PERMISSIONS and not failure.subcode):
        return CredentialsRejected(said, code=name)
    if code in CHANNEL_LATER:
        return RetryLater(said, code=name, retry_after_s=failure.retry_after_s)
    if code in MESSAGE_LATER or (code is not None and failure.transient):
        return RetryLater(said, code=name, retry_after_s=failure.retry_after_s, channel_wide=False)
    return None
