"""Everything a channel can raise, named by what the caller should do next.

::

    ChannelError
    ├── SignatureError            answer 403, tell nothing; its ``doubt`` is for the log
    ├── PayloadError              acknowledge, keep the body whole, let a person look
    ├── MediaError
    │   ├── MediaLater            ask again after a while
    │   └── MediaRefused          never ask again
    └── SendError
        ├── RetryLater            not processed: send it again after ``retry_after_s``
        ├── OutcomeUnknown        it may have been sent: confirm before sending again
        ├── Refused               final for this message
        │   ├── OptedOut          ... and for this recipient, until they opt in
        │   ├── Undeliverable     ... and for this recipient, until they write again
        │   ├── OutsideWindow     ... until the recipient writes again
        │   └── OwnedElsewhere    ... until the platform gives the recipient's thread back to us
        └── CredentialsRejected   stop the channel, keep its messages, tell the operator

A class's docstring is its default message.
"""

from __future__ import annotations

from enum import StrEnum

from channels.base import Scope


class ChannelError(Exception):
    """The channel could not do what was asked."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().partition("\n")[0])


class Doubt(StrEnum):
    """Why a request is not believed, for the owner's log: fixed words, and nothing that the request says."""

    UNSIGNED = "no signature"
    MISMATCH = "the signature does not match server.public_url and the channel's secrets"
    OTHER_ACCOUNT = "signed rightly, but for another account than the channel's"
    WRONG_TOKEN = "another verify token than the channel's"  # noqa: S105 - it is none
    WRONG_LOGIN = "another user name or password than the channel's"
    OTHER_TOPIC = "about another topic than the channel's"
    EXPIRED = "signed rightly, but at a time that is too far from this machine's clock"
    REUSED = "signed rightly, but what proves it came with another message before"


class SignatureError(ChannelError):
    """The request does not prove that it comes from the platform."""

    def __init__(self, doubt: Doubt | None = None) -> None:
        super().__init__()  # whatever the doubt, the message is the same: it may reach the one who asks
        self.doubt = doubt


class PayloadError(ChannelError):
    """The request is authentic, but this parser cannot read it."""


class MediaError(ChannelError):
    """The attachment could not be fetched."""


class MediaLater(MediaError):
    """The attachment is not available yet."""


class MediaRefused(MediaError):
    """The attachment is too large, of a refused type, gone, or at an address we do not visit."""


class SendError(ChannelError):
    """The message was not accepted by the platform.

    ``code`` is the platform's own error code as text, for the operator and the dead letters.
    """

    def __init__(self, message: str | None = None, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class RetryLater(SendError):
    """The platform did not process the message; it can be sent again.

    ``retry_after_s`` is the platform's own wish in seconds, or None. ``channel_wide`` is True where every
    message of the channel would fare the same (platform down, account throttled), and False where only this
    one has to wait.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        retry_after_s: float | None = None,
        channel_wide: bool = True,
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s
        self.channel_wide = channel_wide


class OutcomeUnknown(SendError):
    """The request left, and no answer says whether the message was sent."""


class Refused(SendError):
    """The platform refuses this message for good."""


class OptedOut(Refused):
    """The recipient has opted out of messages from this sender.

    ``scope`` says of which.
    """

    def __init__(self, message: str | None = None, *, code: str | None = None, scope: Scope = Scope.ALL) -> None:
        super().__init__(message, code=code)
        self.scope = scope


class Undeliverable(Refused):
    """The recipient's address takes no messages."""


class OutsideWindow(Refused):
    """The platform takes no free-form message to this recipient now."""


class OwnedElsewhere(Refused):
    """Another app of the platform answers this recipient now."""


class CredentialsRejected(SendError):
    """The platform rejects the channel's credentials."""
