"""A reply in each mail program's style and language gives back exactly the customer's new words."""

from __future__ import annotations

from datetime import datetime

import pytest

from channels.email.html.reading import cut_html
from channels.email.quoting import Own, cut
from gateway.sandbox.mail.clients import LANGUAGES, STYLES, Original, reply_text

OWN = Own(frozenset({"help@example.com"}), "example.com", None)
NEW = "Thursday is fine.\n\nThank you!"
TEXT = "Hello,\n\nyour boiler is due. Would Thursday suit you?\nThe price is that of 2025: 90.\n\nExample Help"
SENDERS = [
    ("Example Help", "help@example.com"),
    ("Example Heating and Plumbing Customer Service Team", "help+01hzx3k7m2v8q4tq9w2e7r5t1y.abcdefghij@example.com"),
]
DAYS = [datetime(2026, 11, 5, 9, 4, 7), datetime(2027, 1, 31, 23, 59, 59)]  # noqa: DTZ001 - as a customer's clock shows


def original(sender: tuple[str, str], at: datetime) -> Original:
    return Original(*sender, "Customer", "customer@example.org", at, "Re: Your inspection", TEXT)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("style", STYLES)
def test_the_new_words_are_found_in_text_and_html(style: str, language: str) -> None:
    """Whatever our name's length wraps, on any day."""
    for sender in SENDERS:
        for at in DAYS:
            text, html = reply_text(style, language, NEW, original(sender, at))

            assert cut(text, OWN).new == NEW
            assert cut_html(html, OWN).new == NEW


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("style", STYLES)
def test_the_original_is_kept_beside_them(style: str, language: str) -> None:
    """An operator can look at what was quoted."""
    text, html = reply_text(style, language, NEW, original(SENDERS[0], DAYS[0]))

    assert "Would Thursday suit you?" in cut(text, OWN).quoted
    assert "Would Thursday suit you?" in cut_html(html, OWN).quoted


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("style", STYLES)
def test_an_answer_to_an_answer_quotes_both(style: str, language: str) -> None:
    """A thread grows by what it quotes; the new words stay the same."""
    text, html = reply_text(style, language, "First.", original(SENDERS[0], DAYS[0]))
    second = Original(*SENDERS[1], "Customer", "customer@example.org", DAYS[1], "Re: Your inspection", text, html)

    text, html = reply_text(style, language, NEW, second)

    assert cut(text, OWN).new == NEW
    assert cut_html(html, OWN).new == NEW
