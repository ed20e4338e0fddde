"""Escalation by words: what it finds of a labelled set, what it wrongly takes for a reason, what a message costs.

The words were chosen with the set at hand: of new messages in plain words they find a little less, of odd ones half.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.assistant.escalation.words import Reason, reason_in

LABELLED = Path(__file__).parents[1] / "tests" / "data" / "escalation.jsonl"
PASSES = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """A message of the set: the reason that it has, and the one that its words gave."""

    given: str | None
    found: str | None


def measure() -> list[tuple[str, str]]:
    """Return the rows of the table: precision and recall by reason, false alarms, time."""
    texts, given = _labelled()
    outcomes = [Outcome(reason, _found(text)) for text, reason in zip(texts, given, strict=True)]
    ordinary = [outcome for outcome in outcomes if outcome.given is None]
    alarms = sum(outcome.found is not None for outcome in ordinary)
    rows = [(f"escalation, {reason.value}", _share(outcomes, reason)) for reason in Reason]
    rows.append(("escalation, false alarms", f"{alarms} of {len(ordinary)} ordinary messages"))
    rows.append(("escalation, by message", f"{_shortest_us(texts):.0f} us, {len(texts)} messages in four languages"))
    return rows


def _labelled() -> tuple[list[str], list[str | None]]:
    rows = [json.loads(line) for line in LABELLED.read_text(encoding="utf-8").splitlines()]
    return [row["text"] for row in rows], [row["reason"] for row in rows]


def _found(text: str) -> str | None:
    found = reason_in(text)
    return found.reason.value if found else None


def _share(outcomes: Sequence[Outcome], reason: Reason) -> str:
    right = Counter(outcome.given == outcome.found for outcome in outcomes if reason in {outcome.given, outcome.found})
    given = sum(outcome.given == reason for outcome in outcomes)
    found = sum(outcome.found == reason for outcome in outcomes)
    return f"precision {right[True] / max(found, 1):.3f}, recall {right[True] / max(given, 1):.3f} of {given}"


def _shortest_us(texts: Sequence[str]) -> float:
    """Return the microseconds of one message, by the quickest of a few passes over all."""
    passes = []
    for _ in range(PASSES):
        started = time.perf_counter()
        for text in texts:
            reason_in(text)
        passes.append(time.perf_counter() - started)
    return min(passes) / len(texts) * 1_000_000


if __name__ == "__main__":
    for name, value in measure():
        print(f"{name:<34}{value}")
