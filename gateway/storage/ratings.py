"""How content customers were with conversations that are closed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.storage.sql import Steps, statement
from gateway.storage.writer import OneByOne

LEAST, MOST = 1, 5


@dataclass(frozen=True)
class Rate(OneByOne["bool | None"]):
    """Rate a closed conversation, anew where it was rated; False while it is open, None where there is none."""

    conversation_id: str
    rating: int
    """From ``LEAST`` to ``MOST``."""
    comment: str | None
    now: datetime

    def steps(self) -> Steps[bool | None]:
        """Rate it."""
        names = ("conversation_id", "rating", "comment", "now")
        rows = yield RATE, [{name: getattr(self, name) for name in names}]
        if rows:
            return True
        return False if (yield FIND, [{"conversation_id": self.conversation_id}]) else None


RATE = statement(
    """
    UPDATE chat_conversations AS c SET rating = r.rating, rating_comment = r.comment, rated_at = r.now
    FROM {r} WHERE c.conversation_id = r.conversation_id AND NOT c.is_active RETURNING {c.}id
    """,
    conversation_id="text",
    rating="int",
    comment="text",
    now="time",
)

FIND = statement(
    "SELECT c.id FROM chat_conversations AS c JOIN {r} ON c.conversation_id = r.conversation_id",
    conversation_id="text",
)
