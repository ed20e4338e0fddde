"""What an unsuccessful answer of Meta's means where nothing in it has a meaning of its own."""

from __future__ import annotations

from channels.errors import CredentialsRejected, OutcomeUnknown, Refused, RetryLater, SendError
from channels.meta.graph import GraphFailure

UNAUTHORIZED, REQUEST_TIMEOUT = 401, 408
BUSY = frozenset({429, 503})


def by_status(failure: GraphFailure) -> SendError:
    """Return what the HTTP status alone says."""
    status, said, name = failure.status, failure.message, failure.name
    if status in BUSY:
        return RetryLater(said, code=name, retry_after_s=failure.retry_after_s)
    if status == UNAUTHORIZED:
        return CredentialsRejected(said, code=name)
    # An error in a 200 was understood and refused just as one in a 400 was.
    if status < 500 and status != REQUEST_TIMEOUT:
        return Refused(said, code=name)
    return OutcomeUnknown(said, code=name)
