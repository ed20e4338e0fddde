"""Who speaks in a conversation: takeover, resume, close, and what a person or the owner writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from channels.base import Control
from gateway.storage import consent, contacts, threads
from gateway.storage.answers import INSERT_ANSWERS, INSERT_DELIVERIES, Answer, answer_record, delivery_records
from gateway.storage.hook_facts import Happened, Happening
from gateway.storage.hooks import Telling, emit
from gateway.storage.identities import ALIAS_OF
from gateway.storage.sql import Steps, lock_in_order, statement
from gateway.storage.writer import OneByOne, Operation


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who speaks now."""

    id: int
    conversation_id: str
    mode: str
    assigned_to: str | None
    changed: bool
    """False where the request was refused: somebody else has the conversation."""
    due_at: datetime | None = None


@dataclass(frozen=True)
class Takeover(Telling["Speaker | None"]):
    """A person takes a conversation; None where there is no such conversation.

    In one transaction the fence is raised, so a running turn cannot commit, and what the bot has queued is
    cancelled. Calls already in flight can end: ``Storage.calls_in_flight`` tells when they have.
    """

    conversation_id: str
    assigned_to: str
    now: datetime

    def told(self) -> Steps[tuple[Speaker | None, Happened]]:
        """Take it."""
        speaker, is_news = yield from self.take()
        if speaker is None or not is_news:
            return speaker, ()
        return speaker, [Happening("conversation.taken_over", speaker.id, self.now)]

    def take(self) -> Steps[tuple[Speaker | None, bool]]:
        """Take it, and say whether it was somebody else's, or nobody's, before."""
        rows = yield READ, [{"conversation_id": self.conversation_id}]
        if not rows:
            return None, False
        [row] = rows
        before = row["mode"], row["assigned_to"]
        if row["is_active"] and row["mode"] == "human" and row["assigned_to"] not in (None, self.assigned_to):
            return _speaker(row, changed=False), False
        [row] = yield TAKE_OVER, [{"id": row["id"], "assigned_to": self.assigned_to, "now": self.now}]
        yield from threads.silence_bot([row["id"]], "taken_over")
        return _speaker(row, changed=True), before != ("human", self.assigned_to)


READ = statement(
    """
    SELECT c.id, c.conversation_id, c.mode, c.assigned_to, c.due_at, c.channel_name, c.address, c.is_active
    FROM chat_conversations AS c
    JOIN {r} ON c.conversation_id = r.conversation_id {lock c}
    """,
    conversation_id="text",
)

LOCK_NAMED = lock_in_order("chat_conversations", "conversation_id", "text")

_SPEAKER = "{c.}id, {c.}conversation_id, {c.}mode, {c.}assigned_to, {c.}due_at"
_FENCED = """
    fence = c.fence + 1, input_sequence = NULL, lease_owner = NULL, lease_expires_at = NULL, turn_attempts = 0,
    due_cap_at = NULL
"""

TAKE_OVER = statement(
    f"""
    UPDATE chat_conversations AS c SET mode = 'human', assigned_to = r.assigned_to, is_active = TRUE,
        last_activity_at = r.now, handled_at = r.now, due_at = NULL, {_FENCED}
    FROM {{r}} WHERE c.id = r.id RETURNING {_SPEAKER}
    """,
    id="int",
    assigned_to="text",
    now="time",
)


@dataclass(frozen=True)
class Resume(Operation["Speaker | None"]):
    """Give a conversation back to the bot, which answers a waiting message that no person has answered."""

    conversation_id: str
    now: datetime
    answer_waiting: bool = True
    """False for the automatic return: only what comes afterwards is answered."""

    @classmethod
    def apply(cls, operations: Sequence[Resume]) -> Steps[list[Speaker | None]]:
        """Resume all that exist and that a person has, or is waited for, or that are closed."""
        records = [
            {"conversation_id": o.conversation_id, "now": o.now, "answer_waiting": o.answer_waiting} for o in operations
        ]
        yield LOCK_NAMED, records
        rows = yield RESUME, records
        resumed = {row["conversation_id"]: _speaker(row, changed=True) for row in rows}
        # Where the bot speaks already, its turn may be running: that is not begun again.
        others = [record for record in records if record["conversation_id"] not in resumed]
        spoken = (yield READ, others) if others else []
        resumed |= {row["conversation_id"]: _speaker(row, changed=False) for row in spoken}
        return [resumed.get(operation.conversation_id) for operation in operations]


# What a person has answered is behind their last message; `answered_sequence` moves there.
_ANSWERED = """
    (SELECT COALESCE(MAX(m.sequence_number), 0) FROM conversation_messages AS m
    WHERE m.conversation_id = c.id AND m.role = 'agent')
"""
_WAITS = f"(c.last_user_sequence > c.answered_sequence AND c.last_user_sequence > {_ANSWERED})"

RESUME = statement(
    f"""
    UPDATE chat_conversations AS c SET mode = 'bot', assigned_to = NULL, is_active = TRUE, {_FENCED},
        handoff_sequence = c.total_messages,
        due_at = CASE WHEN r.answer_waiting AND c.channel_name IS NOT NULL AND {_WAITS} THEN r.now ELSE NULL END,
        answered_sequence = CASE WHEN NOT r.answer_waiting THEN c.total_messages
            WHEN {_ANSWERED} > c.answered_sequence THEN {_ANSWERED} ELSE c.answered_sequence END
    FROM {{r}} WHERE c.conversation_id = r.conversation_id AND (c.mode <> 'bot' OR NOT c.is_active)
    RETURNING {_SPEAKER}
    """,
    conversation_id="text",
    now="time",
    answer_waiting="bool",
)


@dataclass(frozen=True)
class Close(Operation["Speaker | None"]):
    """End a conversation: nothing waits any more, the bot's queued words are cancelled; a new message reopens it."""

    conversation_id: str
    now: datetime
    rating: int | None = None
    """How content the customer was, as of ``Rate``; None leaves an earlier rating as it is."""
    comment: str | None = None

    @classmethod
    def apply(cls, operations: Sequence[Close]) -> Steps[list[Speaker | None]]:
        """Close all that exist."""
        names = ("conversation_id", "now", "rating", "comment")
        records = [{name: getattr(o, name) for name in names} for o in operations]
        open_before = {row["id"] for row in (yield LOCK_TO_CLOSE, records) if row["is_active"]}
        rows = yield CLOSE, records
        yield from threads.silence_bot([row["id"] for row in rows], "closed")
        ended = [(row["id"], row["closed_at"]) for row in rows if row["id"] in open_before]
        yield from emit([Happening("conversation.closed", id_, at) for id_, at in ended])
        closed = {row["conversation_id"]: _speaker(row, changed=True) for row in rows}
        return [closed.get(operation.conversation_id) for operation in operations]


_CLOSING = {"conversation_id": "text", "now": "time", "rating": "int", "comment": "text"}

CLOSE = statement(
    f"""
    UPDATE chat_conversations AS c SET is_active = FALSE, answered_sequence = c.total_messages, due_at = NULL,
        last_activity_at = r.now, closed_at = r.now, {_FENCED},
        rating = COALESCE(r.rating, c.rating),
        rating_comment = CASE WHEN r.rating IS NULL THEN c.rating_comment ELSE r.comment END,
        rated_at = CASE WHEN r.rating IS NULL THEN c.rated_at ELSE r.now END
    FROM {{r}} WHERE c.conversation_id = r.conversation_id RETURNING {_SPEAKER}, {{c.}}closed_at
    """,
    **_CLOSING,
)

LOCK_TO_CLOSE = statement(
    """
    SELECT c.id, c.is_active FROM chat_conversations AS c JOIN {r} ON c.conversation_id = r.conversation_id
    ORDER BY c.id {lock c}
    """,
    **_CLOSING,
)


# A redelivery, and what overtook it, must not undo what a person has done since.
_IS_NEWS = "(c.control_at IS NULL OR c.control_at < r.at)"

# Another app of the platform has the customer: a person may sit behind it, and the bot is silent.
LOSE_CONTROL = statement(
    f"""
    UPDATE chat_conversations AS c SET mode = 'human', due_at = NULL, control_at = r.at, handled_at = r.at, {_FENCED}
    FROM {{r}} WHERE c.channel_name = r.channel_name AND c.mode <> 'human'
    AND c.thread_key = {ALIAS_OF.format(address="recipient")} AND {_IS_NEWS} RETURNING {_SPEAKER}
    """,
    channel_name="text",
    recipient="text",
    at="time",
)

# It comes back to the bot, unless somebody of ours has taken it meanwhile.
GAIN_CONTROL = statement(
    f"""
    UPDATE chat_conversations AS c SET control_at = r.at
    FROM {{r}} WHERE c.channel_name = r.channel_name AND c.mode = 'human' AND c.assigned_to IS NULL
    AND c.thread_key = {ALIAS_OF.format(address="recipient")} AND {_IS_NEWS} RETURNING {{c.}}conversation_id
    """,
    channel_name="text",
    recipient="text",
    at="time",
)


def apply_controls(
    controls: Sequence[tuple[str, Control, datetime]], happened: list[Happening]
) -> Steps[list[datetime | None]]:
    """Hand conversations over as the platform says; returns for each when a turn is due that was not before.

    What receivers are to be told goes to ``happened``.
    """
    due: list[datetime | None] = []
    for channel_name, control, now in controls:  # rare, and each sees what the one before did
        at = min(control.sent_at or now, now)
        record = {"channel_name": channel_name, "recipient": control.recipient, "at": at}
        if control.ours:
            rows = yield GAIN_CONTROL, [record]
            resumed = yield from Resume.apply([Resume(row["conversation_id"], now) for row in rows])
            due.append(next((speaker.due_at for speaker in resumed if speaker is not None), None))
        else:
            rows = yield LOSE_CONTROL, [record]
            yield from threads.silence_bot([row["id"] for row in rows], "taken_over")
            happened += [Happening("conversation.taken_over", row["id"], now) for row in rows]
            due.append(None)
    return due


def _speaker(row: dict[str, Any], *, changed: bool) -> Speaker:
    return Speaker(row["id"], row["conversation_id"], row["mode"], row["assigned_to"], changed, row["due_at"])


@dataclass(frozen=True, slots=True)
class Composed:
    """A message that we begin is committed, or refused."""

    conversation_id: str | None
    sequence_number: int | None
    delivery_ids: tuple[str, ...] = ()
    refused: str | None = None
    """Why nothing was committed: ``opted_out``, of everything or of what we begin; ``taken`` by another person."""
    held_by: str | None = None
    """Who has the conversation, where it is taken."""


@dataclass(frozen=True)
class Compose(OneByOne[Composed]):
    """A message that we begin: the conversation is found or made, and its deliveries are queued."""

    channel_name: str
    kind: str
    recipient: str
    answer: Answer
    now: datetime
    role: str = "agent"

    def steps(self) -> Steps[Composed]:
        found = yield from self._find()
        if (yield from self._is_refused(found)):
            return Composed(None, None, refused="opted_out")
        if not found:
            found = yield from self._make()
            if (yield from self._is_refused(found)):  # their STOP was being stored at this moment
                return Composed(None, None, refused="opted_out")
        [row] = yield APPEND, [{"id": found[0]["id"], "now": self.now}]
        [message] = yield INSERT_ANSWERS, [answer_record(self.answer, row, self.now, role=self.role)]
        records = delivery_records(self.answer, row, self.now, message_id=message["id"], role=self.role)
        yield INSERT_DELIVERIES, records
        return Composed(row["conversation_id"], row["total_messages"], tuple(record["id"] for record in records))

    def _is_refused(self, found: list[dict[str, Any]]) -> Steps[bool]:
        place = (self.channel_name, found[0]["address"] if found else self.recipient)
        return (yield from consent.of([place])).get(place, consent.UNSAID).stops_what_we_begin

    def _find(self) -> Steps[list[dict[str, Any]]]:
        return (yield threads.LOCK, [{"channel_name": self.channel_name, "thread_key": self.recipient}])

    def _make(self) -> Steps[list[dict[str, Any]]]:
        """Make it, and whoever it is with; what another transaction has made at this moment is found, too."""
        made = threads.new_conversation(self.channel_name, self.kind, self.recipient, self.now)
        yield from contacts.make_contacts([made])
        yield threads.MAKE_CONVERSATIONS, [made]
        return (yield from self._find())


APPEND = statement(
    """
    UPDATE chat_conversations AS c SET total_messages = c.total_messages + 1, last_activity_at = r.now,
        handled_at = r.now
    FROM {r} WHERE c.id = r.id
    RETURNING {c.}id, {c.}conversation_id, {c.}total_messages, {c.}answered_sequence, {c.}channel_name, {c.}address,
        {c.}account
    """,
    id="int",
    now="time",
)


@dataclass(frozen=True)
class Say(Telling["Composed | None"]):
    """A person's reply in a conversation, which is theirs from then on; None where there is no such conversation.

    Refused where another person has it (``taken``) or the customer wants no messages (``opted_out``).
    """

    conversation_id: str
    author: str
    answer: Answer
    now: datetime

    def told(self) -> Steps[tuple[Composed | None, Happened]]:
        """Say it."""
        rows = yield READ, [{"conversation_id": self.conversation_id}]
        if rows and rows[0]["channel_name"] is not None:
            place = (rows[0]["channel_name"], rows[0]["address"])
            if (yield from consent.of([place])).get(place, consent.UNSAID).opted_out:
                return Composed(None, None, refused="opted_out"), ()
        speaker, is_news = yield from Takeover(self.conversation_id, self.author, self.now).take()
        if speaker is None:
            return None, ()
        if not speaker.changed:
            return Composed(None, None, refused="taken", held_by=speaker.assigned_to), ()
        [row] = yield APPEND, [{"id": speaker.id, "now": self.now}]
        record = answer_record(self.answer, row, self.now, role="agent")
        [message] = yield INSERT_ANSWERS, [{**record, "metadata": {**record["metadata"], "author": self.author}}]
        happened = [Happening("conversation.taken_over", speaker.id, self.now)] if is_news else []
        records: list[dict[str, Any]] = []
        if row["channel_name"] is None:  # whoever asks by themselves reads it in the transcript
            happened.append(Happening("message.sent", speaker.id, self.now, message["id"]))
        else:
            records = delivery_records(self.answer, row, self.now, message_id=message["id"], role="agent")
            if records:
                yield INSERT_DELIVERIES, records
        said = Composed(row["conversation_id"], row["total_messages"], tuple(record["id"] for record in records))
        return said, happened
