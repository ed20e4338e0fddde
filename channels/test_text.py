"""Measuring and cutting text."""

from __future__ import annotations

import time

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from channels.text import GSM_BASIC, GSM_EXTENSION, Measure, measure, sms_units, split, split_sms, utf16_units

FAMILY = "👩‍👩‍👧‍👦"  # one grapheme: 7 code points, 11 UTF-16 units
HOSTILE = "ab .\n\r\t\u00a0\u2003。、日本語カナ[]€\u0301\u200d👩👧🇩🇪🏽\u0600\u0e01\u0e33\u1100\uac00\u2028"


# --- measuring ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Measure("GSM-7", 0, 1)),
        ("a" * 160, Measure("GSM-7", 160, 1)),
        ("a" * 161, Measure("GSM-7", 161, 2)),
        ("a" * 306, Measure("GSM-7", 306, 2)),
        ("a" * 307, Measure("GSM-7", 307, 3)),
        ("€" * 80, Measure("GSM-7", 160, 1)),
        ("a" * 152 + "€" + "a" * 152, Measure("GSM-7", 306, 3)),
        ("ж" * 70, Measure("UCS-2", 70, 1)),
        ("ж" * 71, Measure("UCS-2", 71, 2)),
        ("€" + "ж" * 69, Measure("UCS-2", 70, 1)),
        ("😀" * 35, Measure("UCS-2", 70, 1)),
        ("😀" * 67, Measure("UCS-2", 134, 3)),
        ("“quoted”", Measure("UCS-2", 8, 1)),
    ],
)
def test_a_text_is_measured_as_it_is_sent(text: str, expected: Measure) -> None:
    """One character outside GSM-7 moves a text to UCS-2; escapes and surrogate pairs stay in one segment."""

    assert measure(text) == expected


def test_the_default_alphabet_is_whole() -> None:
    """GSM 03.38 has 127 characters beside the escape, and ten behind it."""

    assert (len(GSM_BASIC), len(GSM_EXTENSION), len(GSM_BASIC & GSM_EXTENSION)) == (127, 10, 0)


@given(st.text())
def test_units_are_never_fewer_than_sent(text: str) -> None:
    """What a part is counted as is at least its code points, its UTF-16 units and what it measures."""
    units = sms_units(text)

    assert units >= max(len(text), utf16_units(text), measure(text).units)
    assert utf16_units(text) == len(text.encode("utf-16-le", "surrogatepass")) // 2


# --- cutting ---


@pytest.mark.parametrize(
    ("text", "max_size", "expected"),
    [
        ("", 10, ()),
        (" \n\t ", 10, ()),
        ("  short  ", 10, ("short",)),
        ("exactly 10", 10, ("exactly 10",)),
        ("one two three", 8, ("one two", "three")),
        ("one two three", 7, ("one two", "three")),
        ("one  \t  two", 5, ("one", "two")),
        ("abcdefghijklm", 5, ("abcde", "fghij", "klm")),
        ("it is http://x.example/abc", 10, ("it is", "http://x.", "example/", "abc")),
        ("First part.\n\nSecond line\nis long", 20, ("First part.", "Second line\nis long")),
        ("A line of it\nthe next is long", 20, ("A line of it", "the next is long")),
        ("Tiny.\n\nThen something long follows", 20, ("Tiny.\n\nThen", "something long", "follows")),
        ("It is so. (Or is it?) We shall see then", 28, ("It is so. (Or is it?)", "We shall see then")),
        ("It costs 3.50 a piece", 12, ("It costs", "3.50 a piece")),
        ("営業は九時からです。土曜日は休みです", 14, ("営業は九時からです。", "土曜日は休みです")),
        ("日本語の文章、とても長い", 6, ("日本語の文", "章、とても長", "い")),
        ("彼は「はい」と言いました", 5, ("彼は「は", "い」と言い", "ました")),
        ("価格はEUROPEANです", 8, ("価格は", "EUROPEAN", "です")),
        ("line\r\nline\r\nline", 11, ("line\r\nline", "line")),
        (FAMILY * 3, 22, (FAMILY * 2, FAMILY)),
        (FAMILY * 2, 21, (FAMILY, FAMILY)),
        ("🇩🇪🇫🇷🇮🇹", 9, ("🇩🇪🇫🇷", "🇮🇹")),
        ("e\u0301" * 4, 3, ("e\u0301",) * 4),
        ("e" + "\u0301" * 6, 3, ("e\u0301\u0301", "\u0301\u0301\u0301", "\u0301")),
    ],
)
def test_a_text_is_cut_where_a_reader_would(text: str, max_size: int, expected: tuple[str, ...]) -> None:
    """Paragraphs before lines before sentences before words, and never inside a grapheme that fits."""

    assert split(text, max_size) == expected


@given(st.text(alphabet=HOSTILE, max_size=80) | st.text(max_size=80), st.integers(2, 30))
@example("a \u0301b", 2)
@example("\u0301" * 9, 2)
def test_nothing_is_lost_but_white_space(text: str, max_size: int) -> None:
    """Parts are not empty, not larger than allowed, stripped, and together the text without white space at cuts."""
    parts = split(text, max_size, sms_units)

    assert all(part and part == part.strip() and sms_units(part) <= max_size for part in parts)
    rest = text.strip()
    for part in parts:
        assert rest.startswith(part)
        rest = rest[len(part) :].lstrip()
    assert rest == ""


@given(st.text(alphabet=HOSTILE, max_size=60), st.integers(24, 40))
def test_a_cut_is_never_inside_a_grapheme(text: str, max_size: int) -> None:
    """Each grapheme that fits a part, and is not bound to white space, is found whole in one part."""
    graphemes = regex.findall(r"\X", text.strip())
    if any(utf16_units(grapheme) > max_size or grapheme[0].isspace() != grapheme.isspace() for grapheme in graphemes):
        return
    found = [grapheme for part in split(text, max_size) for grapheme in regex.findall(r"\X", part)]

    assert [g for g in found if not g.isspace()] == [g for g in graphemes if not g.isspace()]


@given(st.lists(st.text(alphabet="abcdefg", min_size=1, max_size=8), max_size=40))
def test_words_are_kept_whole(words: list[str]) -> None:
    """Where every word fits, no word is cut."""

    assert " ".join(split(" ".join(words), 12)).split() == words


@pytest.mark.parametrize("character", ["a", "[", "ж", "日", "😀", FAMILY, "🇩🇪"])
def test_a_part_is_what_one_message_carries(character: str) -> None:
    """No part is longer than 1600 characters however Twilio counts, and none is needlessly short."""
    parts = split_sms(character * 4000)

    assert all(max(len(part), utf16_units(part), measure(part).units) <= 1600 for part in parts)
    assert all(sms_units(part) > 1600 - sms_units(character) for part in parts[:-1])


@pytest.mark.parametrize(
    "unit", [" ", "\u0301", "👩\u200d", "🇩", "\n", " \n", "a ", ". ", "日", "a" + "\u0301" * 1700, "a" + " " * 1700]
)
def test_hostile_text_takes_linear_time(unit: str) -> None:
    """A long run of one nasty thing is cut in seconds; quadratic work would take minutes or hours."""
    text = "x" + unit * (250_000 // len(unit)) + "x"
    started = time.process_time()
    parts = split_sms(text)

    assert "".join("".join(parts).split()) == "".join(text.split())
    assert time.process_time() - started < 60


def test_a_part_has_room_for_every_character() -> None:
    """A part of one unit could not hold an emoji."""
    with pytest.raises(ValueError, match="2 units"):
        split("text", 1)
