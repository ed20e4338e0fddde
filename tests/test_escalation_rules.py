"""When a conversation goes to a person: words, rules, and which of several reasons counts."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from gateway.assistant.escalation.rules import gravest, hear, judge
from gateway.storage import Handover


@dataclass(frozen=True)
class Line:
    """An entry of a transcript."""

    role: str
    content: str


def user(*texts: str) -> list[Line]:
    """Return what a customer wrote."""
    return [Line("user", text) for text in texts]


def rounds(*pairs: tuple[str, str]) -> list[Line]:
    """Return questions with the bot's answers."""
    return [line for asked, answer in pairs for line in (Line("user", asked), Line("assistant", answer))]


UNKNOWN = "I'm sorry, I don't know that."


@pytest.mark.parametrize(
    ("texts", "reason", "language"),
    [
        (["Can I talk to a human please?"], "customer_request", "en"),
        (["Quiero hablar con una persona"], "customer_request", "es"),
        (["Je veux parler à un conseiller"], "customer_request", "fr"),
        (["Ich möchte mit einem Menschen sprechen"], "customer_request", "de"),
        (["Hello", "I smell gas in the kitchen"], "emergency", "en"),
        (["I want to file a complaint", "I smell gas in the kitchen"], "emergency", "en"),
    ],
)
def test_words_decide(texts, reason, language):
    """The gravest reason among the waiting messages counts, whoever answers them, and tells the language."""
    heard = hear(texts, [])

    assert heard.handover is not None
    assert (heard.handover.reason, heard.handover.source, heard.language) == (reason, "words", language)


def test_ordinary_words_decide_nothing():
    """A question about hours is nobody's business but the bot's."""
    assert hear(["When are you open on Monday?"], []).handover is None


@pytest.mark.parametrize(
    ("earlier", "texts", "handed_over"),
    [
        ([], ["This is ridiculous!"], False),
        (user("This is ridiculous!"), ["I am so angry right now"], True),
        (user("This is ridiculous!", *["fine"] * 6), ["I am so angry right now"], False),
        (user("This is ridiculous!", "I am so angry right now"), ["When are you open?"], False),
        ([Line("assistant", "This is ridiculous!")], ["I am so angry right now"], False),
    ],
)
def test_repeated_anger_is_a_complaint(earlier, texts, handed_over):
    """Anger twice among the customer's last six messages, the newest included, brings a person."""
    found = hear(texts, earlier).handover

    assert found == (Handover("complaint", "rule:anger") if handed_over else None)


@pytest.mark.parametrize(
    ("earlier", "texts", "answer", "handed_over"),
    [
        (rounds(("a?", UNKNOWN), ("b?", UNKNOWN)), ["c?"], UNKNOWN, True),
        (rounds(("a?", UNKNOWN), ("b?", "At nine.")), ["c?"], UNKNOWN, False),
        (rounds(("a?", UNKNOWN), ("b?", UNKNOWN)), ["c?"], "At nine.", False),
        (rounds(("b?", UNKNOWN)), ["c?"], UNKNOWN, False),
        (
            rounds(
                ("What does the boiler repair cost?", "It depends."), ("What does boiler repair cost?", "It depends.")
            ),
            ["what does a boiler repair cost??"],
            UNKNOWN,
            False,  # the first round was answered: only two in a row were not
        ),
        ([*rounds(("a?", UNKNOWN), ("b?", UNKNOWN)), Line("agent", "It is 40.")], ["c?"], UNKNOWN, False),
    ],
)
def test_three_rounds_without_an_answer(earlier, texts, answer, handed_over):
    """Three rounds in a row in which the bot did not know, or was asked the same again, bring a person."""
    found = judge(answer, texts, earlier, failed_tools=0)

    assert found == (Handover("complex_question", "rule:unanswered") if handed_over else None)


@pytest.mark.parametrize(("failed", "handed_over"), [(0, False), (1, False), (2, True), (5, True)])
def test_two_failed_tools(failed, handed_over):
    """A tool may fail once."""
    found = judge("Let me see.", ["Book it"], [], failed_tools=failed)

    assert found == (Handover("ai_confidence_low", "rule:failed_tools") if handed_over else None)


def test_the_gravest_reason_wins():
    """An emergency goes before a request, a request before a complaint; of equals the first is told."""
    wishes = [
        Handover("complaint", "rule:anger"),
        None,
        Handover("customer_request", "model", "wants Tom"),
        Handover("customer_request", "words"),
    ]

    assert gravest(wishes) == Handover("customer_request", "model", "wants Tom")
    assert gravest([*wishes, Handover("emergency", "words")]) == Handover("emergency", "words")
    assert gravest([None]) is None
