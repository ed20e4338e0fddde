"""One try of a turn, as far as its rounds and tools are concerned."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gateway.assistant.model import NOTHING, Completion, ToolCall, Usage
from gateway.assistant.tools.base import Customer
from gateway.assistant.tools.escalation import NAME as ESCALATE
from gateway.storage import Claim, Handover, StoredRun

UNKNOWN = "unknown_outcome"
UNCONFIRMED = "needs_confirmation"
CHANGED = frozenset({"booked", "moved", "cancelled"})
"""What a tool's output says where it has changed an appointment."""
NOT_RUN = frozenset({"duplicate_call", "too_many_calls"})
"""Errors of calls that were not run at all: they say nothing about their tool."""


@dataclass(frozen=True, slots=True)
class JournalledRound:
    """A round of an earlier try, for these messages or for some of them."""

    input_sequence: int
    number: int
    completion: Completion


@dataclass(slots=True)
class TurnRun:
    """What a try runs for, what earlier ones have journalled, and what its tools have given."""

    claim: Claim
    now: datetime
    rounds: tuple[JournalledRound, ...] = ()
    known: Mapping[tuple[int, int, int], StoredRun] = field(default_factory=dict)
    """What calls of those rounds gave, by input, round and position."""
    done: list[tuple[int, ToolCall, StoredRun]] = field(default_factory=list)
    """The number of its round, the call, and what it gave; in the order in which they were called."""
    _ran: int = 0
    usage: Usage = NOTHING
    """What the turn's rounds have cost so far, in this try and before."""

    @property
    def failures(self) -> int:
        """How many rounds failed with tools that have not succeeded since: one bad round may be corrected."""
        open_: dict[str, set[int]] = {}
        for number, call, run in self.done:
            if run.output.get("error") in NOT_RUN:
                continue
            if run.status == "failed":
                open_.setdefault(call.name, set()).add(number)
            else:
                open_.pop(call.name, None)
        return len(set().union(*open_.values()))

    @property
    def handover(self) -> Handover | None:
        """Why a person is needed: the model wants one, or somebody has to look what a tool did."""
        asked = [run.output for _, _, run in self.done if run.name == ESCALATE and "reason" in run.output]
        if asked:
            return Handover(asked[-1]["reason"], "model", asked[-1]["summary"])
        wanted = [call for _, call, run in self.done if run.output.get("error") == UNCONFIRMED]
        if wanted:
            what = f"They ask for {wanted[-1].name} {canonical(wanted[-1].arguments)}, and who writes is not proven."
            return Handover("complex_question", f"rule:{UNCONFIRMED}", what)
        unknown = next((call.name for _, call, run in self.done if run.output.get("error") == UNKNOWN), None)
        if unknown is None:
            return None
        return Handover("ai_confidence_low", f"rule:{UNKNOWN}", f"Nobody knows whether {unknown} happened.")

    @property
    def changed_appointments(self) -> frozenset[int]:
        """The numbers of the appointments that the turn has booked, moved or cancelled."""
        return frozenset(
            run.output["appointment_id"]
            for _, _, run in self.done
            if run.output.get("status") in CHANGED and isinstance(run.output.get("appointment_id"), int)
        )

    @property
    def trust(self) -> str | None:
        """The least that its channel says of who wrote the messages: ``failed``, ``unverified``, ``verified``.

        None where the channel cannot be mistaken about it.
        """
        return least_trust(self.claim)

    def is_unknown(self, name: str, arguments: str) -> bool:
        """Tell whether the same was tried in this turn and nobody knows whether it happened."""
        wanted = canonical(arguments)
        return any(
            call.name == name and canonical(call.arguments) == wanted and run.output.get("error") == UNKNOWN
            for _, call, run in self.done
        )

    def note(self, calls: Sequence[tuple[ToolCall, StoredRun]]) -> None:
        """Add what the calls of one more round gave."""
        self._ran += 1
        self.done += [(self._ran, call, run) for call, run in calls]

    def recall(self) -> None:
        """Take for done what earlier tries have settled, where this one gets no further."""
        for row in self.rounds:
            self.usage += row.completion.usage
            settled = ((call, self._settled(row, at)) for at, call in enumerate(row.completion.calls))
            self.note([(call, run) for call, run in settled if run is not None])

    def _settled(self, row: JournalledRound, position: int) -> StoredRun | None:
        run = self.known.get((row.input_sequence, row.number, position))
        return run if run is not None and run.status != "started" else None

    @property
    def customer(self) -> Customer:
        """Who the turn is for."""
        claim = self.claim
        return Customer(
            claim.id,
            claim.contact_id,
            claim.conversation_id,
            claim.channel,
            claim.user_name,
            claim.user_phone,
            claim.user_email,
            claim.lead_id is not None,
        )


def least_trust(claim: Claim) -> str | None:
    """Return the least that the channel says of who wrote the messages of a turn; None where it cannot be mistaken."""
    said = {(message.metadata or {}).get("trust") for message in claim.messages}
    return next((level for level in ("failed", "unverified", "verified") if level in said), None)


def canonical(arguments: str) -> str:
    """Return arguments in one spelling, or as they are where they are no JSON."""
    try:
        return json.dumps(json.loads(arguments), sort_keys=True)
    except (ValueError, RecursionError):
        return arguments
