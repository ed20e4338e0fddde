"""Leads: one for a contact; what is learned later goes into it, and nothing that was known is lost."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from gateway.storage.effects import Effected
from gateway.storage.hook_facts import Happening
from gateway.storage.sql import Steps, statement

FACTS = ("name", "phone", "email", "address")
MAX_NOTES = 8_000
"""Characters; what comes later is dropped, with a mark."""


@dataclass(frozen=True, slots=True)
class LeadFacts:
    """What a conversation tells about somebody; None where it does not."""

    name: str | None = None
    phone: str | None = None
    email: str | None = None
    address: str | None = None
    notes: str | None = None


@dataclass(frozen=True)
class SaveLead:
    """Make the contact's lead, or merge what is new into it: ``created``, ``updated`` or ``unchanged``.

    The conversation is linked and marked either way. A later fact wins, and the earlier one goes to the notes.
    """

    facts: LeadFacts
    source: str
    now: datetime
    known: LeadFacts = LeadFacts()
    """What nobody had to tell, a profile's name for one: it fills what is empty and replaces nothing."""

    def steps(self, conversation: Mapping[str, Any]) -> Steps[Effected]:
        """Save it under the contact's lock: a person may write on two channels at once."""
        contact_id = yield from self._contact(conversation)
        rows = yield READ, [{"contact_id": contact_id}]
        if rows:
            lead_id, status = rows[0]["id"], (yield from self._merge(rows[0]))
        else:
            record = {"conversation_id": conversation["id"], "contact_id": contact_id, "source": self.source}
            facts = merged(asdict(LeadFacts()), self.facts, self.known)
            [made] = yield INSERT, [{**record, **facts, "now": self.now}]
            lead_id, status = made["id"], "created"
        yield LINK, [{"id": conversation["id"], "lead_id": lead_id, "contact_id": contact_id}]
        is_news = status != "unchanged"
        told = [Happening(f"lead.{status}", conversation["id"], self.now, lead_id)] if is_news else []
        return Effected({"status": status, "lead_id": lead_id}, told=told)

    def _contact(self, conversation: Mapping[str, Any]) -> Steps[int]:
        """Lock the conversation's contact; a caller's conversation gets one now."""
        known: int | None = conversation["contact_id"]
        if known is None:
            name = self.facts.name or conversation["user_name"]
            [made] = yield MAKE_CONTACT, [{"contact_id": str(uuid.uuid4()), "name": name, "now": self.now}]
            known = int(made["id"])
        yield LOCK_CONTACT, [{"id": known}]
        return known

    def _merge(self, lead: Mapping[str, Any]) -> Steps[str]:
        changed = merged(lead, self.facts, self.known)
        if all(changed[name] == lead[name] for name in changed):
            return "unchanged"
        yield UPDATE, [{**changed, "id": lead["id"], "now": self.now}]
        return "updated"


def merged(lead: Mapping[str, Any], facts: LeadFacts, otherwise: LeadFacts = LeadFacts()) -> dict[str, Any]:
    """Return a lead's facts with later ones merged in, and others where there is none."""
    result: dict[str, Any] = {}
    notes = [lead["notes"]] if lead["notes"] else []
    for name in FACTS:
        known, told = lead[name], getattr(facts, name)
        result[name] = told or known or getattr(otherwise, name)
        if known and told and known != told:
            notes.append(f"Earlier {name}: {known}")
    if facts.notes and facts.notes not in (lead["notes"] or ""):
        notes.append(facts.notes)
    text = "\n".join(notes)
    result["notes"] = (text if len(text) <= MAX_NOTES else f"{text[: MAX_NOTES - 2]} …") or None
    return result


MAKE_CONTACT = statement(
    """
    INSERT INTO contacts (contact_id, name, created_at) SELECT r.contact_id, r.name, r.now FROM {r} RETURNING id
    """,
    contact_id="text",
    name="text",
    now="time",
)

LOCK_CONTACT = statement("SELECT c.id FROM contacts AS c JOIN {r} ON c.id = r.id {lock c}", id="int")

READ = statement(
    """
    SELECT l.id, l.name, l.phone, l.email, l.address, l.notes FROM leads AS l JOIN {r} ON l.contact_id = r.contact_id
    """,
    contact_id="int",
)

_FACTS = {"name": "text", "phone": "text", "email": "text", "address": "text", "notes": "text"}

INSERT = statement(
    """
    INSERT INTO leads (name, phone, email, address, source, notes, status, conversation_id, contact_id, created_at,
        updated_at)
    SELECT r.name, r.phone, r.email, r.address, r.source, r.notes, 'new', r.conversation_id, r.contact_id, r.now, r.now
    FROM {r} RETURNING id
    """,
    **_FACTS,
    source="text",
    conversation_id="int",
    contact_id="int",
    now="time",
)

UPDATE = statement(
    """
    UPDATE leads AS l SET name = r.name, phone = r.phone, email = r.email, address = r.address, notes = r.notes,
        updated_at = r.now
    FROM {r} WHERE l.id = r.id
    """,
    **_FACTS,
    id="int",
    now="time",
)

# What a caller has linked by himself stays linked.
LINK = statement(
    """
    UPDATE chat_conversations AS c SET lead_id = COALESCE(c.lead_id, r.lead_id), converted_to_lead = TRUE,
        contact_id = COALESCE(c.contact_id, r.contact_id)
    FROM {r} WHERE c.id = r.id
    """,
    id="int",
    lead_id="int",
    contact_id="int",
)
