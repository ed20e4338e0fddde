"""The only room that speaks SQL.

:class:`Storage` is its door. Hot writes are operations (``await storage.run(Accept(...))``), small frozen values that
the writer commits many at a time; reads are methods named for the question. Rows leave, sessions never.
"""

from gateway.storage.accept import Accept, Accepted, Checkpoint
from gateway.storage.answers import Answer, Finished, FinishTurn, Handover
from gateway.storage.api_keys import AddKey, NoteKeyUses, RevokeKey
from gateway.storage.api_tables import ApiKey
from gateway.storage.appointments import Book, Booking, Cancel, Move, Visit
from gateway.storage.blocks import Block, Unblock
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
from gateway.storage.floods import TellLater, TellTogether, ToldLately
from gateway.storage.handoffs import EndIncident, ReturnToBot, Tell, TellStopped, Waiting
from gateway.storage.hook_deliveries import (
    OUTAGES,
    PROBE_AFTER,
    ClaimedHook,
    ClaimHooks,
    DisableReceiver,
    ForgetEvents,
    SettleHook,
)
from gateway.storage.hook_receivers import (
    EnableReceiver,
    FailedHook,
    OpenReceivers,
    ReadFailedHooks,
    ReadReceivers,
    ReceiverState,
    RetryHooks,
)
from gateway.storage.incoming import Incoming, KeptFile
from gateway.storage.installation import TryWriting
from gateway.storage.journal import TurnRound
from gateway.storage.leads import LeadFacts, SaveLead
from gateway.storage.mail import Exchange, ReadExchange
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
from gateway.storage.pages import KnownConversation, Page, Pages, Place, Shown
from gateway.storage.people import Close, Compose, Composed, Resume, Say, Speaker, Takeover
from gateway.storage.prepared import KeepPrepared, ReadAnswered
from gateway.storage.raster import KeepRaster
from gateway.storage.ratings import Rate
from gateway.storage.records import Appointment, Lead
from gateway.storage.rejected import Rejected
from gateway.storage.repeated import Began, BeginRequest, KeepWorking, ReleaseRequest, SettleRequest
from gateway.storage.statuses import OUTCOME_UNKNOWN
from gateway.storage.store import Storage
from gateway.storage.summaries import KeepSummary
from gateway.storage.tables import ChannelState, Conversation, Delivery, Message
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
    "OUTAGES",
    "OUTCOME_UNKNOWN",
    "PROBE_AFTER",
    "Accept",
    "Accepted",
    "AddKey",
    "Answer",
    "ApiKey",
    "Appointment",
    "Began",
    "BeginDirectTurn",
    "BeginRequest",
    "Begun",
    "Block",
    "Book",
    "Booking",
    "Cancel",
    "ChannelState",
    "Checkpoint",
    "Claim",
    "ClaimDeliveries",
    "ClaimHooks",
    "ClaimLook",
    "ClaimNotices",
    "ClaimPoll",
    "ClaimTurns",
    "ClaimUnconfirmed",
    "Claimed",
    "ClaimedDelivery",
    "ClaimedHook",
    "ClaimedNotice",
    "Close",
    "Compose",
    "Composed",
    "Conversation",
    "ConversationBelongsToChannel",
    "Delivery",
    "DisableReceiver",
    "Drop",
    "Effect",
    "Effected",
    "EnableReceiver",
    "EndIncident",
    "Exchange",
    "ExtendLease",
    "FailedHook",
    "Fenced",
    "FinishTurn",
    "Finished",
    "ForgetEvents",
    "Handover",
    "Incoming",
    "JournalRound",
    "KeepPrepared",
    "KeepRaster",
    "KeepSummary",
    "KeepToolResults",
    "KeepWorking",
    "KeptFile",
    "KnownConversation",
    "Lead",
    "LeadFacts",
    "MarkReplayed",
    "Message",
    "Move",
    "NewNotice",
    "NoteDraining",
    "NoteKeyUses",
    "OpenChannels",
    "OpenReceivers",
    "Outcome",
    "Pace",
    "Page",
    "Pages",
    "Pause",
    "Place",
    "PollTurn",
    "PostponeConfirmation",
    "Rate",
    "ReadAnswered",
    "ReadExchange",
    "ReadFailedHooks",
    "ReadReceivers",
    "ReceiverState",
    "Rejected",
    "ReleaseRequest",
    "ReleaseTurn",
    "Requeue",
    "Resume",
    "RetryHooks",
    "ReturnToBot",
    "RevokeKey",
    "RunEffect",
    "SaveFindings",
    "SaveLead",
    "Say",
    "SchemaMismatch",
    "SettleAttachment",
    "SettleDelivery",
    "SettleHook",
    "SettleNotice",
    "SettleRequest",
    "Shown",
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
    "TellLater",
    "TellStopped",
    "TellTogether",
    "ToldLately",
    "ToolPlace",
    "ToolResult",
    "TryWriting",
    "TurnRound",
    "Unblock",
    "Unconfirmed",
    "Visit",
    "Waiting",
]
