"""What goes by itself: conversations after a long silence, webhooks that nobody has mended, files without an owner."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from gateway.storage.erasure import EMPTY, Erased, erase_conversations, erase_outcomes
from gateway.storage.sql import Steps, statement
from gateway.storage.writer import OneByOne


@dataclass(frozen=True)
class EraseInactive(OneByOne[Erased]):
    """Erase the conversations without activity since ``before`` that rested longest, at most ``limit`` of them.

    Leads and appointments have a time of their own, and with them the contact. A contact of whom nothing is left goes
    with the last conversation; its addresses go with it, but for what somebody has said about consent, or has blocked.
    """

    before: datetime
    now: datetime
    limit: int

    def steps(self) -> Steps[Erased]:
        asked = {"before": self.before, "now": self.now, "at_most": self.limit}
        rows = yield INACTIVE, [asked]
        erased = Erased()
        if not rows:
            return erased
        records = [{"id": row["id"]} for row in rows]
        yield UNLINK_LEADS, records
        yield UNLINK_APPOINTMENTS, records
        yield from erase_conversations([row["id"] for row in rows], erased)
        yield from _leave({row["contact_id"] for row in rows if row["contact_id"] is not None}, erased)
        return erased


# What somebody works on, or changes at this moment, is looked at again the next time.
INACTIVE = statement(
    f"""
    SELECT c.id, c.contact_id FROM chat_conversations AS c
    WHERE c.last_activity_at < (SELECT r.before FROM {{r}})
    AND NOT (c.conversation_id LIKE '{EMPTY}%' AND c.total_messages = 0 AND NOT c.is_active)
    AND (c.lease_expires_at IS NULL OR c.lease_expires_at <= (SELECT r.now FROM {{r}}))
    ORDER BY c.last_activity_at LIMIT (SELECT r.at_most FROM {{r}}) {{skip c}}
    """,
    before="time",
    now="time",
    at_most="int",
)

UNLINK_LEADS = statement(
    "UPDATE leads SET conversation_id = NULL WHERE conversation_id IN (SELECT r.id FROM {r})", id="int"
)
UNLINK_APPOINTMENTS = statement(
    "UPDATE appointments SET conversation_id = NULL WHERE conversation_id IN (SELECT r.id FROM {r})", id="int"
)


def _leave(contacts: Iterable[int], erased: Erased) -> Steps[None]:
    """Delete those of these contacts of whom nothing is left."""
    asked = [{"id": id_} for id_ in sorted(contacts)]
    bare = [{"id": row["id"]} for row in (yield BARE_CONTACTS, asked)] if asked else []
    if bare:
        erased.count("addresses", (yield DELETE_ADDRESSES, bare))
        yield UNLINK_ADDRESSES, bare
        erased.count("contacts", (yield DELETE_CONTACTS, bare))


BARE_CONTACTS = statement(
    """
    SELECT p.id FROM contacts AS p JOIN {r} ON p.id = r.id
    WHERE NOT EXISTS (SELECT 1 FROM chat_conversations AS c WHERE c.contact_id = p.id)
    AND NOT EXISTS (SELECT 1 FROM leads AS l WHERE l.contact_id = p.id)
    AND NOT EXISTS (SELECT 1 FROM appointments AS a WHERE a.contact_id = p.id)
    ORDER BY p.id {lock p}
    """,
    id="int",
)

DELETE_ADDRESSES = statement(
    """
    DELETE FROM addresses WHERE contact_id IN (SELECT r.id FROM {r}) AND opted_out_at IS NULL
    AND marketing_opted_out_at IS NULL AND blocked_at IS NULL RETURNING 1 AS gone
    """,
    id="int",
)

UNLINK_ADDRESSES = statement(
    "UPDATE addresses SET contact_id = NULL WHERE contact_id IN (SELECT r.id FROM {r})", id="int"
)

DELETE_CONTACTS = statement("DELETE FROM contacts WHERE id IN (SELECT r.id FROM {r}) RETURNING 1 AS gone", id="int")


@dataclass(frozen=True)
class EraseOutcomes(OneByOne[Erased]):
    """Erase visits that were before that time and leads that nobody has changed since, at most ``limit`` of each.

    Whatever their status: nothing that has to be done by hand decides how long somebody's data is kept.
    """

    before: datetime
    limit: int

    def steps(self) -> Steps[Erased]:
        asked = [{"before": self.before, "at_most": self.limit}]
        appointments = yield OLD_APPOINTMENTS, asked
        leads = yield OLD_LEADS, asked
        erased = Erased()
        yield from erase_outcomes(
            [{"id": row["id"]} for row in appointments], [{"id": row["id"]} for row in leads], erased
        )
        contacts = {row["contact_id"] for row in (*appointments, *leads) if row["contact_id"] is not None}
        yield from _leave(contacts, erased)
        return erased


OLD_APPOINTMENTS = statement(
    """
    SELECT a.id, a.contact_id FROM appointments AS a
    WHERE a.starts_at < (SELECT r.before FROM {r}) ORDER BY a.id LIMIT (SELECT r.at_most FROM {r}) {skip a}
    """,
    before="time",
    at_most="int",
)

OLD_LEADS = statement(
    """
    SELECT l.id, l.contact_id FROM leads AS l
    WHERE COALESCE(l.updated_at, l.created_at) < (SELECT r.before FROM {r})
    ORDER BY l.id LIMIT (SELECT r.at_most FROM {r}) {skip l}
    """,
    before="time",
    at_most="int",
)


@dataclass(frozen=True)
class EraseRejected(OneByOne[int]):
    """Delete webhooks that were kept before that time, at most ``limit`` of them; returns how many."""

    before: datetime
    limit: int

    def steps(self) -> Steps[int]:
        rows = yield ERASE_REJECTED, [{"before": self.before, "at_most": self.limit}]
        return len(rows)


ERASE_REJECTED = statement(
    """
    DELETE FROM rejected_webhooks WHERE id IN (SELECT w.id FROM rejected_webhooks AS w
        WHERE w.received_at < (SELECT r.before FROM {r}) ORDER BY w.id LIMIT (SELECT r.at_most FROM {r}) {skip w})
    RETURNING id
    """,
    before="time",
    at_most="int",
)


@dataclass(frozen=True)
class DropEmptied(OneByOne[int]):
    """Delete the rows that only kept a number, and are not the newest any more."""

    def steps(self) -> Steps[int]:
        rows = yield DROP_EMPTIED, [{"n": 1}]
        return len(rows)


DROP_EMPTIED = statement(
    f"""
    DELETE FROM chat_conversations WHERE conversation_id LIKE '{EMPTY}%' AND total_messages = 0 AND NOT is_active
    AND id < (SELECT MAX(x.id) FROM chat_conversations AS x WHERE (SELECT r.n FROM {{r}}) = 1) RETURNING id
    """,
    n="int",
)


@dataclass(frozen=True)
class FilesInUse(OneByOne[frozenset[str]]):
    """Return those of these hashes that a message, or a webhook that was kept, has."""

    hashes: tuple[str, ...]

    def steps(self) -> Steps[frozenset[str]]:
        rows = (yield IN_USE, [{"sha256": sha256} for sha256 in self.hashes]) if self.hashes else []
        return frozenset(row["sha256"] for row in rows)


IN_USE = statement(
    """
    SELECT a.sha256 FROM attachments AS a WHERE a.sha256 IN (SELECT r.sha256 FROM {r})
    UNION SELECT w.body_sha256 FROM rejected_webhooks AS w WHERE w.body_sha256 IN (SELECT r.sha256 FROM {r})
    """,
    sha256="text",
)
