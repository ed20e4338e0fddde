"""Answers that run on are ended before they leave."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.assistant.turn import shortened


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("Short.", 20, "Short."),
        ("One is here. Two is here. Three is not.", 28, "One is here. Two is here. …"),
        ("No sentence ends in this line", 20, "No sentence ends …"),
        ("x" * 40, 20, "x" * 10 + " …"),
    ],
)
def test_an_answer_ends_behind_a_sentence_or_a_word(text: str, limit: int, expected: str) -> None:
    """And says that it was cut."""
    assert shortened(text, limit) == expected


@given(st.text(max_size=300), st.integers(10, 200))
def test_an_answer_is_never_longer(text: str, limit: int) -> None:
    """Whatever it is made of."""
    assert len(shortened(text, limit)) <= limit
