"""The only room that speaks SQL.

:class:`Storage` is its door. Hot writes are operations (``await storage.run(Accept(...))``), small frozen values that
the writer commits many at a time; reads are methods named for the question. Rows leave, sessions never.
"""

from gateway.storage.accept import Accept, Accepted
from gateway.storage.answers import Answer, Finished, FinishTurn
from gateway.storage.deliveries import ClaimDeliveries, Claimed, ClaimedDelivery, Pace
from gateway.storage.direct import BeginDirectTurn, Begun
from gateway.storage.errors import (
    ConversationBelongsToChannel,
    Fenced,
    SchemaMismatch,
    StorageError,
    StorageUnavailable,
)
from gateway.storage.incoming import Incoming
from gateway.storage.installation import TryWriting
from gateway.storage.maintenance import (
    ClaimLook,
    ClaimPoll,
    Drop,
    MarkReplayed,
    OpenChannels,
    PollTurn,
    Requeue,
    SaveFindings,
    SettleAttachment,
    TakeLeases,
)
from gateway.storage.outcomes import Outcome, Pause, SettleDelivery
from gateway.storage.people import Close, Compose, Composed, Resume, Speaker, Takeover
from gateway.storage.rejected import Rejected
from gateway.storage.statuses import OUTCOME_UNKNOWN
from gateway.storage.store import Storage
from gateway.storage.tables import ChannelState, TurnRound
from gateway.storage.turns import (
    Claim,
    ClaimTurns,
    ExtendLease,
    JournalRound,
    ReleaseTurn,
    StoredAttachment,
    StoredMessage,
)
from gateway.storage.unconfirmed import (
    ClaimUnconfirmed,
    NoteDraining,
    PostponeConfirmation,
    SweepDeliveries,
    Unconfirmed,
)

__all__ = [
    "OUTCOME_UNKNOWN",
    "Accept",
    "Accepted",
    "Answer",
    "BeginDirectTurn",
    "Begun",
    "ChannelState",
    "Claim",
    "ClaimDeliveries",
    "ClaimLook",
    "ClaimPoll",
    "ClaimTurns",
    "ClaimUnconfirmed",
    "Claimed",
    "ClaimedDelivery",
    "Close",
    "Compose",
    "Composed",
    "ConversationBelongsToChannel",
    "Drop",
    "ExtendLease",
    "Fenced",
    "FinishTurn",
    "Finished",
    "Incoming",
    "JournalRound",
    "MarkReplayed",
    "NoteDraining",
    "OpenChannels",
    "Outcome",
    "Pace",
    "Pause",
    "PollTurn",
    "PostponeConfirmation",
    "Rejected",
    "ReleaseTurn",
    "Requeue",
    "Resume",
    "SaveFindings",
    "SchemaMismatch",
    "SettleAttachment",
    "SettleDelivery",
    "Speaker",
    "Storage",
    "StorageError",
    "StorageUnavailable",
    "StoredAttachment",
    "StoredMessage",
    "SweepDeliveries",
    "TakeLeases",
    "Takeover",
    "TryWriting",
    "TurnRound",
    "Unconfirmed",
]
