"""A template in an answer's place carries all of it, or the answer is refused."""

from __future__ import annotations

import pytest

from channels.base import Outbound
from channels.content import Card, Choice, Content, Link, Location, Template
from channels.errors import OutsideWindow
from channels.window import MAX_PARAMETER, FallbackTemplate, allowed

WITH_TEXT = FallbackTemplate(name="hello_again", text_parameter=True)


def late(content: Content) -> Outbound:
    return Outbound("d-1", "15551230000", content, silent_s=None)


@pytest.mark.parametrize(
    ("content", "parameter"),
    [
        (Content("One\n\ntwo\tthree     four"), "One two three four"),
        (Content("x" * MAX_PARAMETER), "x" * MAX_PARAMETER),
        (Content("x" * (MAX_PARAMETER - 2) + "  \n\n  y"), "x" * (MAX_PARAMETER - 2) + " y"),
        (Content("Yes", reply_to="wamid.1"), "Yes"),
    ],
)
def test_a_text_that_fits_goes_into_the_template(content: Content, parameter: str) -> None:
    """On one line, because Meta takes no other; what it quotes is no part of what it says."""
    sent, remark = allowed(late(content), WITH_TEXT)

    assert sent.content == Content(template=Template("hello_again", parameters=(parameter,)))
    assert remark is not None


@pytest.mark.parametrize(
    "content",
    [
        Content("x" * (MAX_PARAMETER + 1)),
        Content("Look", ("https://a.example/1.png",)),
        Content("When?", choices=(Choice("t9", "9:00"),)),
        Content("Read", links=(Link("Here", "https://a.example"),)),
        Content("Take", cards=(Card("Boiler", "new"),)),
        Content("Here", location=Location(1.0, 2.0)),
    ],
)
def test_an_answer_that_would_lose_something_is_refused(content: Content) -> None:
    """The operator reads why; nothing is cut or left out unsaid."""
    with pytest.raises(OutsideWindow, match="does not fit into fallback_template") as caught:
        allowed(late(content), WITH_TEXT)

    assert caught.value.code == "outside_window"


@pytest.mark.parametrize("content", [Content(location=Location(1.0, 2.0)), Content("", ("https://a.example/1.png",))])
def test_a_part_without_words_is_refused(content: Content) -> None:
    """It would leave the template's text open."""
    with pytest.raises(OutsideWindow, match="24 hours"):
        allowed(late(content), WITH_TEXT)


def test_an_invitation_stands_in_for_anything() -> None:
    """It says nothing of the answer, whose remark tells so, and asks the customer to write."""
    sent, _ = allowed(late(Content("x" * 2000, ("https://a.example/1.png",))), FallbackTemplate(name="hello_again"))

    assert sent.content == Content(template=Template("hello_again"))
