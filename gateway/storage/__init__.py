"""The only room that speaks SQL.

:class:`Storage` is its door. Hot writes are operations (``await storage.run(Accept(...))``), small frozen values that
the writer commits many at a time; reads are methods named for the question. Rows leave, sessions never.
"""

from gateway.storage.accept import Accept, Accepted
from gateway.storage.answers import Answer, Finished, FinishTurn, Handover
from gateway.storage.appointments import Book, Booking, Cancel, Move, Visit
from gateway.storage.deliveries import ClaimDeliveries, Claimed, ClaimedDelivery, Pace
from gateway.storage.direct import BeginDirectTurn, Begun
from gateway.storage.effects import Effect, Effected, KeepToolResults, RunEffect, StoredRun, ToolPlace, ToolResult
from gateway.storage.errors import (
    ConversationBelongsToChannel,
    Fenced,
    SchemaMismatch,
    StorageError,
    StorageUnavailable,
)
from gateway.storage.handoffs import EndIncident, ReturnToBot, Tell, TellStopped, Waiting
from gateway.storage.incoming import Incoming
from gateway.storage.installation import TryWriting
from gateway.storage.journal import TurnRound
from gateway.storage.leads import LeadFacts, SaveLead
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
from gateway.storage.notices import ClaimedNotice, ClaimNotices, NewNotice, SettleNotice
from gateway.storage.outcomes import Outcome, Pause, SettleDelivery
from gateway.storage.people import Close, Compose, Composed, Resume, Say, Speaker, Takeover
from gateway.storage.records import Appointment, Lead
from gateway.storage.rejected import Rejected
from gateway.storage.statuses import OUTCOME_UNKNOWN
from gateway.storage.store import Storage
from gateway.storage.summaries import KeepSummary
from gateway.storage.tables import ChannelState, Conversation
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
    "Appointment",
    "BeginDirectTurn",
    "Begun",
    "Book",
    "Booking",
    "Cancel",
    "ChannelState",
    "Claim",
    "ClaimDeliveries",
    "ClaimLook",
    "ClaimNotices",
    "ClaimPoll",
    "ClaimTurns",
    "ClaimUnconfirmed",
    "Claimed",
    "ClaimedDelivery",
    "ClaimedNotice",
    "Close",
    "Compose",
    "Composed",
    "Conversation",
    "ConversationBelongsToChannel",
    "Drop",
    "Effect",
    "Effected",
    "EndIncident",
    "ExtendLease",
    "Fenced",
    "FinishTurn",
    "Finished",
    "Handover",
    "Incoming",
    "JournalRound",
    "KeepSummary",
    "KeepToolResults",
    "Lead",
    "LeadFacts",
    "MarkReplayed",
    "Move",
    "NewNotice",
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
    "ReturnToBot",
    "RunEffect",
    "SaveFindings",
    "SaveLead",
    "Say",
    "SchemaMismatch",
    "SettleAttachment",
    "SettleDelivery",
    "SettleNotice",
    "Speaker",
    "Storage",
    "StorageError",
    "StorageUnavailable",
    "StoredAttachment",
    "StoredMessage",
    "StoredRun",
    "SweepDeliveries",
    "TakeLeases",
    "Takeover",
    "Tell",
    "TellStopped",
    "ToolPlace",
    "ToolResult",
    "TryWriting",
    "TurnRound",
    "Unconfirmed",
    "Visit",
    "Waiting",
]
