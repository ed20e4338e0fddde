"""The history window: which messages the model sees, in which order, and how they become lines. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from gateway.assistant.model import CUT_MARK, LINE_SHOWN, Image, Line, PastCall

MAX_IMAGES = 2
"""Pictures are paid for again with every call; older ones are only named."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of a message; ``image`` is its content where the model can and may look at it."""

    content_type: str
    image: Image | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of the transcript."""

    sequence_number: int
    role: str
    """``user``, ``assistant``, ``agent``, or ``system``, which the model never sees."""
    content: str
    answers_sequence: int | None = None
    """On an answer: the sequence number of the last message that it answers."""
    files: tuple[File, ...] = ()
    calls: tuple[PastCall, ...] = ()

    @property
    def place(self) -> tuple[int, int, int]:
        """Where the entry stands: an answer directly behind what it answers, whatever arrived meanwhile."""
        if self.answers_sequence is None:
            return (self.sequence_number, 0, self.sequence_number)
        return (self.answers_sequence, 1, self.sequence_number)


@dataclass(frozen=True, slots=True)
class Window:
    """What a turn's prompt shows of the transcript."""

    start: int
    """The sequence number behind which it starts; what lies before is told by the summary."""
    next_start: int
    """Behind which it will start next."""
    earlier: tuple[Entry, ...]
    asked: tuple[Entry, ...]
    """The turn's own messages."""
    is_nearly_full: bool
    """Whether it will move on within the next turns: what it leaves behind then has to be summed up by then."""

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All of it, in the order in which it is read."""
        return (*self.earlier, *self.asked)

    @property
    def lines(self) -> tuple[Line, ...]:
        """All of it as the model sees it."""
        return _lines(self.entries)


def window(
    entries: Iterable[Entry],
    *,
    answered_sequence: int,
    input_sequence: int,
    limit: int,
    budget_tokens: int = 1 << 30,
    start: int = 0,
) -> Window:
    """Return the window of a turn that answers the user messages in (answered_sequence, input_sequence].

    At most ``limit`` earlier messages of ``budget_tokens`` in all come first, oldest first; then the turn's own, each
    once. Later user messages stay out: they get their own turn. Of two entries with one number the last given counts.

    ``start`` is where the last window began. It stays there until it holds too much, and then moves on in one step, by
    half of what it may hold: so the prompt's beginning, and with it the provider's prefix cache, survives several
    turns. For ``limit`` 10: up to message 10 it starts at 0, with 11 to 16 at 6, with 17 to 22 at 12.
    """
    unique = {entry.sequence_number: entry for entry in entries if entry.role != "system"}
    inside = sorted((entry for entry in unique.values() if entry.place[0] <= input_sequence), key=lambda e: e.place)
    asked = _readable([e for e in inside if e.role == "user" and e.sequence_number > answered_sequence])
    earlier = [entry for entry in inside if not (entry.role == "user" and entry.sequence_number > answered_sequence)]
    last = max((entry.sequence_number for entry in earlier), default=0)
    step = limit - limit // 2 + 1
    while last - start > limit:
        start += step
    sizes = [(entry.sequence_number, estimated_tokens(entry)) for entry in earlier]
    half_spent = _affordable(sizes, start, budget_tokens // 2)
    if _spent(sizes, start) > budget_tokens:
        start = half_spent
    kept = tuple(entry for entry in earlier if entry.sequence_number > start)
    is_dear = _spent(sizes, start) > NEARLY * budget_tokens
    after = last + len(asked) + 1  # the newest message once the turn is answered
    next_start = max(half_spent, start) if is_dear else start + step
    return Window(start, next_start, kept, asked, is_dear or after - start > limit - AHEAD)


AHEAD = 2
NEARLY = 0.7
ASKED_TOKENS = 12_000
"""What the messages of one turn may take of its prompt: some customers send hundreds at once."""
CUT_TO = 80


def _readable(asked: Sequence[Entry]) -> tuple[Entry, ...]:
    """Cut the older ones of a turn's messages where all of them are too much to read; the newest stay whole."""
    left = ASKED_TOKENS
    kept: list[Entry] = []
    for entry in reversed(asked):
        left -= estimated_tokens(entry)
        is_long = left < 0 and len(entry.content) > CUT_TO
        kept.append(replace(entry, content=f"{entry.content[:CUT_TO]} {CUT_MARK}") if is_long else entry)
    return tuple(reversed(kept))


def _spent(sizes: Iterable[tuple[int, int]], start: int) -> int:
    return sum(size for number, size in sizes if number > start)


def _affordable(sizes: Sequence[tuple[int, int]], start: int, budget_tokens: int) -> int:
    """Return the message behind which what is left fits a budget; no earlier one than ``start``."""
    for number in sorted(number for number, _ in sizes if number > start):
        if _spent(sizes, start) <= budget_tokens:
            break
        start = number
    return start


BYTES_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4


def estimated_tokens(entry: Entry) -> int:
    """Estimate what a message takes of a prompt; no tokenizer is at hand for models that are known by name only.

    UTF-8 bytes by four is near enough for what OpenAI's encodings make of most scripts; pictures are not counted.
    """
    texts = [entry.content[:LINE_SHOWN], *(text for call in entry.calls for text in (call.arguments, call.output))]
    return sum(-(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN) + TOKENS_PER_MESSAGE for text in texts)


_CONTENT_TYPE = re.compile(r"[\w.+-]{1,64}/[\w.+-]{1,64}", re.ASCII)


def _named(file: File) -> str:
    """Name a file by its type, which is the sender's word and goes into the prompt only where it looks like one."""
    return f"[attachment: {file.content_type if _CONTENT_TYPE.fullmatch(file.content_type) else 'a file'}]"


def _lines(entries: Sequence[Entry]) -> tuple[Line, ...]:
    """Give the newest pictures to their lines; every other file is named in the text."""
    room = MAX_IMAGES
    lines: list[Line] = []
    for entry in reversed(entries):
        shown = [file for file in entry.files if file.image is not None][-room:] if room else []
        room -= len(shown)
        # By identity: the same picture may have been sent twice.
        named = [file for file in entry.files if not any(file is other for other in shown)]
        text = "\n".join(filter(None, [entry.content, *map(_named, named)]))
        images = tuple(file.image for file in shown if file.image is not None)
        lines.append(Line(cast("Literal['user', 'assistant', 'agent']", entry.role), text, images, entry.calls))
    return tuple(reversed(lines))
