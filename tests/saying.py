"""What tests let the bot, or a person, say."""

from __future__ import annotations

from channels.content import Content
from gateway.storage import Answer


def said(*parts: str) -> Answer:
    """Return an answer of plain texts, one for each message that carries it."""
    return Answer(Content(" ".join(parts)), tuple(Content(part) for part in parts))


def words(text: str) -> Answer:
    """Return an answer that no channel carries."""
    return Answer(Content(text))
