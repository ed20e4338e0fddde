"""How mail has been going with one address: what tells a robot that answers a robot, whatever its headers say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.storage.sql import Statement, Steps, statement
from gateway.storage.writer import Operation


@dataclass(frozen=True, slots=True)
class Exchange:
    """What went to an address lately, and whether it keeps saying the same."""

    answers_lately: int
    """Of the bot's messages, those since ``since``."""
    answers_today: int
    """... and those since ``since_yesterday``."""
    repeats: int
    """How many earlier messages since then say exactly what this one says."""
    forged: int
    """How many earlier messages since then came from somebody who only used the address."""


@dataclass(frozen=True)
class ReadExchange(Operation[Exchange]):
    """Count it, for a message of a conversation that waits for an answer."""

    conversation_id: int
    sequence_number: int
    since: datetime
    since_yesterday: datetime

    @classmethod
    def apply(cls, operations: Sequence[ReadExchange]) -> Steps[list[Exchange]]:
        """Count for all askers."""
        records = [operation.record(place) for place, operation in enumerate(operations)]
        answers = {row["place"]: row for row in (yield ANSWERS, records)}
        earlier = {row["place"]: row for row in (yield EARLIER, records)}
        return [_exchange(answers[place], earlier.get(place, {})) for place in range(len(operations))]

    def record(self, place: int) -> dict[str, Any]:
        return {
            "place": place,
            "id": self.conversation_id,
            "sequence_number": self.sequence_number,
            "since": self.since,
            "since_yesterday": self.since_yesterday,
        }


def _exchange(answers: Mapping[str, Any], earlier: Mapping[str, Any]) -> Exchange:
    return Exchange(
        answers["lately"] or 0, answers["today"] or 0, earlier.get("repeats") or 0, earlier.get("forged") or 0
    )


_COLUMNS = {"place": "int", "id": "int", "sequence_number": "int", "since": "time", "since_yesterday": "time"}

ANSWERS = statement(
    """
    SELECT r.place, COUNT(DISTINCT CASE WHEN d.created_at > r.since THEN d.message_id END) AS lately,
        COUNT(DISTINCT d.message_id) AS today
    FROM {r} JOIN chat_conversations AS c ON c.id = r.id
    LEFT JOIN deliveries AS d ON d.channel_name = c.channel_name AND d.recipient = c.address AND d.role = 'assistant'
        AND d.created_at > r.since_yesterday
    GROUP BY r.place
    """,
    **_COLUMNS,
)

_EARLIER = """
    SELECT r.place, SUM(CASE WHEN {e_said} = {m_said} THEN 1 ELSE 0 END) AS repeats,
        SUM(CASE WHEN {e_trust} = 'failed' THEN 1 ELSE 0 END) AS forged
    FROM {{r}} JOIN chat_conversations AS c ON c.id = r.id
    JOIN conversation_messages AS m ON m.conversation_id = r.id AND m.sequence_number = r.sequence_number
    JOIN chat_conversations AS o ON o.channel_name = c.channel_name AND o.address = c.address
    JOIN conversation_messages AS e ON e.conversation_id = o.id AND e.asks AND e.timestamp > r.since_yesterday
        AND e.id < m.id
    GROUP BY r.place
"""
_SQLITE = {
    "e_said": "json_extract(e.metadata, '$.fingerprint')",
    "m_said": "json_extract(m.metadata, '$.fingerprint')",
    "e_trust": "json_extract(e.metadata, '$.trust')",
}
_POSTGRES = {
    "e_said": "e.metadata ->> 'fingerprint'",
    "m_said": "m.metadata ->> 'fingerprint'",
    "e_trust": "e.metadata ->> 'trust'",
}
EARLIER = Statement(
    sqlite=statement(_EARLIER.format(**_SQLITE), **_COLUMNS).sqlite,
    postgres=statement(_EARLIER.format(**_POSTGRES), **_COLUMNS).postgres,
)
