"""Numbers as answers: where a channel had no buttons, the choices were a numbered list."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from channels.content import Choice, offered
from gateway.storage.sql import Steps, load_json, statement

_NUMBER = re.compile(r"\s*#?(\d{1,2})\s*[.)]?\s*")

OFFERED = statement(
    """
    SELECT m.conversation_id AS id, m.metadata FROM conversation_messages AS m
    JOIN {r} ON m.conversation_id = r.id AND m.sequence_number = (
        SELECT MAX(x.sequence_number) FROM conversation_messages AS x
        WHERE x.conversation_id = r.id AND x.role IN ('assistant', 'agent'))
    """,
    id="int",
)


def number_in(text: str) -> int | None:
    """Return the number that a message consists of, or None: ``2``, ``2.`` and ``#2`` are answers, ``at 2`` is text."""
    found = _NUMBER.fullmatch(text)
    return int(found.group(1)) if found else None


def offered_to(conversation_ids: Iterable[int]) -> Steps[Mapping[int, tuple[Choice, ...]]]:
    """Return the choices that each conversation's last message of ours offered."""
    records = [{"id": id_} for id_ in sorted(set(conversation_ids))]
    if not records:
        return {}
    rows = yield OFFERED, records
    return {row["id"]: offered(load_json(row["metadata"])) for row in rows}
