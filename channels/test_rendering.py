"""Making a reply fit a channel."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.content import Card, Choice, Content, Link, Location, Template, offered
from channels.rendering import CannotShow, Shows, kind_of, numbered, parts_of

WORDS = Shows(max_text=1600)
"""A channel that can show nothing but words."""
SMS = Shows(
    max_text=1600, max_attachments=10, captioned=frozenset({"image", "video", "audio", "file"}), max_caption=1600
)
RICH = Shows(
    max_text=100,
    max_attachments=1,
    captioned=frozenset({"image", "video", "file"}),
    max_caption=50,
    max_choices=3,
    max_choice_title=20,
    max_links=2,
    max_link_title=20,
    max_text_with_choices=60,
    max_cards=10,
    max_card_text=80,
    uploads=True,
    location=True,
    reactions=True,
    templates=True,
)
TIMES = (Choice("t9", "9:00"), Choice("t14", "14:00", "the last one"))
PLACE = Location(42.36, -83.1, "Shop", "1 Main St")
PAGE = Link("Our shop", "https://example.com/shop")
PICTURE = "https://example.com/a.jpg"
SOUND = "https://example.com/a.mp3?size=2"
MAP = "https://www.google.com/maps/search/?api=1&query=42.36%2C-83.1"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (Content("When?", choices=TIMES), ["When?\n\n1. 9:00\n2. 14:00 - the last one"]),
        (Content("Look:", links=(PAGE,)), ["Look:\n\nOur shop: https://example.com/shop"]),
        (Content("Here.", location=PLACE), [f"Here.\n\nShop, 1 Main St (42.36, -83.1)\n{MAP}"]),
        (Content("See", attachment_urls=(PICTURE,)), [f"See\n\n{PICTURE}"]),
        (Content(attachment_urls=(PICTURE,)), [PICTURE]),
        (Content(reaction="👍", reply_to="m1"), ["👍"]),
        (
            Content("Take one:", cards=(Card("Boiler", "new", PICTURE, (Choice("b", "Buy"),), (PAGE,)),)),
            [f"Take one:\n\nBoiler\nnew\n\n1. Buy\n\nOur shop: https://example.com/shop\n\n{PICTURE}"],
        ),
        (Content("  "), []),
    ],
)
def test_what_a_channel_cannot_show_it_says(content: Content, expected: list[str]) -> None:
    """Nothing that was meant for the customer is lost on a channel that has only words."""
    parts = parts_of(content, WORDS)

    assert [part.text for part in parts] == expected
    assert all(part.extras().keys() <= {"reply_to"} for part in parts)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (Content("When?", choices=TIMES), [Content("When?", choices=TIMES)]),
        (Content("Look:", links=(PAGE,)), [Content("Look:", links=(PAGE,))]),
        (Content("Here.", location=PLACE), [Content(location=PLACE), Content("Here.")]),
        (Content("A boiler", (PICTURE,)), [Content("A boiler", (PICTURE,))]),
        (Content("A song", (SOUND,)), [Content("", (SOUND,)), Content("A song")]),
        (Content("Two", (PICTURE, PICTURE)), [Content("", (PICTURE,)), Content("Two", (PICTURE,))]),
        (Content("When?", (PICTURE,), TIMES), [Content("", (PICTURE,)), Content("When?", choices=TIMES)]),
        (Content(cards=(Card("Boiler", "new"),)), [Content(cards=(Card("Boiler", "new"),))]),
        (Content(cards=(Card("Boiler"),)), [Content("Boiler")]),
        (Content(cards=(Card("Boiler", "x" * 81),)), [Content("Boiler\n" + "x" * 81)]),
        (Content(reaction="👍", reply_to="m1"), [Content(reaction="👍", reply_to="m1")]),
        (Content("Yes", reply_to="m1"), [Content("Yes", reply_to="m1")]),
        (Content(template=Template("hello")), [Content(template=Template("hello"))]),
        (Content("", ("data:image/png;base64,AA==",)), [Content("", ("data:image/png;base64,AA==",))]),
    ],
)
def test_what_a_channel_can_show_it_shows(content: Content, expected: list[Content]) -> None:
    """Files and places come before the text, and choices stand on the last message."""
    assert list(parts_of(content, RICH)) == expected


@pytest.mark.parametrize(
    "choices",
    [
        tuple(Choice(str(n), f"at {n}") for n in range(4)),
        (Choice("1", "a title of over twenty characters"),),
        (Choice("1", "the same"), Choice("2", "the same")),
    ],
)
def test_choices_that_do_not_fit_become_a_list(choices: tuple[Choice, ...]) -> None:
    """Too many, too long, or not to be told apart: the customer answers with a number."""
    [part] = parts_of(Content("Pick:", choices=choices), RICH)

    assert part.choices == ()
    assert part.text.startswith("Pick:\n\n1. ")


def test_the_numbers_of_a_list_are_those_of_its_extras() -> None:
    """Whoever reads a stored message counts as the customer does: the message's own choices, then its cards'."""
    cards = (
        Card("Boiler", choices=(Choice("b", "Buy"),)),
        Card("Tap", "new"),
        Card("Pump", choices=(Choice("p", "Rent"),)),
    )
    content = Content("Pick:", choices=TIMES, cards=cards)
    [part] = parts_of(content, WORDS)

    assert [choice.id for choice in offered(json.loads(json.dumps(content.extras())))] == ["t9", "t14", "b", "p"]
    assert numbered(offered(content.extras())) in part.text
    assert offered(None) == offered({"sent_at": "2026-11-25"}) == ()


def test_links_beside_choices_are_said() -> None:
    """A message has one kind of button."""
    [part] = parts_of(Content("Pick:", choices=TIMES, links=(PAGE,)), RICH)

    assert part == Content("Pick:\n\nOur shop: https://example.com/shop", choices=TIMES)


def test_a_long_text_with_choices_ends_in_a_short_part() -> None:
    """The text beside buttons has a limit of its own; the buttons stay on the last part."""
    parts = parts_of(Content("word " * 19, choices=TIMES), RICH)

    assert [bool(part.choices) for part in parts] == [False, True]
    assert all(len(part.text) <= 60 for part in parts)
    assert "".join(part.text for part in parts).replace(" ", "") == "word" * 19


def test_files_go_ten_at_a_time_with_the_text_beside_the_last() -> None:
    """As an MMS has them."""
    parts = parts_of(Content("Twelve", (PICTURE,) * 12), SMS)

    assert [(len(part.attachment_urls), part.text) for part in parts] == [(10, ""), (2, "Twelve")]


def test_only_the_first_part_quotes() -> None:
    """A reply that is cut quotes once."""
    parts = parts_of(Content("word " * 50, reply_to="m1"), RICH)

    assert [part.reply_to for part in parts] == ["m1", *[None] * (len(parts) - 1)]


@pytest.mark.parametrize(
    ("content", "shows", "said"),
    [
        (Content(template=Template("hello")), WORDS, "no templates"),
        (Content("", ("data:image/png;base64,AA==",)), SMS, "https address"),
        (Content(choices=TIMES), RICH, "need a text"),
    ],
)
def test_what_cannot_be_said_is_an_error(content: Content, shows: Shows, said: str) -> None:
    """It says what to do instead, and nothing is silently dropped."""
    with pytest.raises(CannotShow, match=said):
        parts_of(content, shows)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        (PICTURE, "image"),
        (SOUND, "audio"),
        ("https://example.com/film.mp4#t=3", "video"),
        ("https://example.com/a.pdf", "file"),
        ("https://example.com/", "file"),
        ("data:image/png;base64,AA==", "image"),
        ("data:,hello", "file"),
        ("http://[", "file"),
    ],
)
def test_a_file_is_known_by_its_address(url: str, kind: str) -> None:
    """A platform wants to know what it will fetch before it does."""
    assert kind_of(url) == kind


text = st.text(max_size=300)
choice = st.builds(Choice, id=st.text(min_size=1, max_size=5), title=st.text(min_size=1, max_size=30))


@given(
    st.builds(
        Content,
        text=text,
        attachment_urls=st.lists(st.sampled_from([PICTURE, SOUND]), max_size=3).map(tuple),
        choices=st.lists(choice, max_size=5).map(tuple),
        location=st.none() | st.just(PLACE),
        reply_to=st.none() | st.just("m1"),
    ),
    st.sampled_from([WORDS, SMS, RICH]),
)
def test_no_part_is_empty_or_too_large(content: Content, shows: Shows) -> None:
    """Whatever is said, each part fits and the channel can show it; and it survives the database."""
    try:
        parts = parts_of(content, shows)
    except CannotShow:
        assert not content.text.strip()
        return

    assert not any(part.is_empty for part in parts)
    for part in parts:
        assert shows.size(part.text) <= shows.max_text
        assert len(part.attachment_urls) <= shows.max_attachments
        assert Content.read(part.text, part.attachment_urls, part.extras()) == part
