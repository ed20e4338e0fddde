"""When a conversation goes to a person: by the customer's words, the model's wish, or rules; the gravest reason wins.

Words decide before the model is asked, so a request for a person is heard also where no model answers. Rules look only
at what was said since the conversation was last handed over or given back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.assistant.escalation.words import Reason, admits_not_knowing, is_angry, language_of, reason_in, repeats
from gateway.storage import Handover

GRAVITY = (
    Reason.EMERGENCY,
    Reason.CUSTOMER_REQUEST,
    Reason.COMPLAINT,
    Reason.COMPLEX_QUESTION,
    Reason.AI_CONFIDENCE_LOW,
)
ANGRY_MESSAGES = 2
"""Of the customer's last few: one angry word is a mood, two are a complaint."""
RECENT_MESSAGES = 6
HEARD_MESSAGES = 12
"""Of those that wait together: the newest. Hundreds in one burst would hold up everybody else."""
UNANSWERED_ROUNDS = 3
COMPARED_MESSAGES = 3
"""Of a round, the newest, to see whether the customer asks the same again."""
FAILED_TOOLS = 2


class Said(Protocol):
    """An entry of the transcript, oldest first."""

    @property
    def role(self) -> str: ...

    @property
    def content(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Heard:
    """What the customer's words say before the model is asked."""

    handover: Handover | None
    language: str | None
    """The one that they write in, as far as a glance tells."""


def hear(texts: Sequence[str], earlier: Sequence[Said]) -> Heard:
    """Decide by what the customer writes now, and by what they have written before."""
    texts = texts[-HEARD_MESSAGES:]
    found = [match for match in map(reason_in, texts) if match is not None]
    said = [*(entry.content for entry in earlier if entry.role == "user"), *texts]
    language = next((match.language for match in found), None) or language_of(" ".join(texts))
    wishes = [Handover(match.reason, "words") for match in found]
    if sum(map(is_angry, said[-RECENT_MESSAGES:])) >= ANGRY_MESSAGES and any(map(is_angry, texts)):
        wishes.append(Handover(Reason.COMPLAINT, "rule:anger"))
    return Heard(gravest(wishes), language)


def judge(answer: str, texts: Sequence[str], earlier: Sequence[Said], *, failed_tools: int) -> Handover | None:
    """Decide by how the turn went: tools that failed, rounds in a row that left the customer without an answer."""
    wishes = []
    if failed_tools >= FAILED_TOOLS:
        wishes.append(Handover(Reason.AI_CONFIDENCE_LOW, "rule:failed_tools"))
    asked = tuple(texts[-COMPARED_MESSAGES:])
    if _unanswered_rounds([*_rounds(earlier), (asked, answer)]) >= UNANSWERED_ROUNDS:
        wishes.append(Handover(Reason.COMPLEX_QUESTION, "rule:unanswered"))
    return gravest(wishes)


def gravest(wishes: Iterable[Handover | None]) -> Handover | None:
    """Return the wish with the gravest reason, of equals the first."""
    known = [wish for wish in wishes if wish is not None]
    return min(known, key=lambda wish: GRAVITY.index(Reason(wish.reason)), default=None)


Round = tuple[tuple[str, ...], str]
"""What the customer wrote, and what the bot answered."""


def _rounds(entries: Sequence[Said]) -> list[Round]:
    """Cut a transcript into rounds; a person's answer ends the row, whatever was open before it."""
    rounds: list[Round] = []
    asked: deque[str] = deque(maxlen=COMPARED_MESSAGES)
    for entry in entries:
        if entry.role == "user":
            asked.append(entry.content)
        elif entry.role == "assistant":
            rounds.append((tuple(asked), entry.content))
            asked.clear()
        elif entry.role == "agent":
            rounds = []
            asked.clear()
    return rounds


def _unanswered_rounds(rounds: Sequence[Round]) -> int:
    """Count the rounds at the end in which the bot did not know, or was asked the same again."""
    count = 0
    for place in range(len(rounds) - 1, -1, -1):
        asked, answer = rounds[place]
        before = rounds[place - 1][0] if place else ()
        if not (admits_not_knowing(answer) or any(repeats(text, other) for text in asked for other in before)):
            break
        count += 1
    return count
