"""No line of a mail is ever lost by the cut, and none takes long."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.email.html.reading import cut_html
from channels.email.quoting import Own, cut

OWN = Own(frozenset({"help@example.com"}), "example.com", "##- above -##")
ATTRIBUTION = "On Wed, Nov 25, 2026 at 3:04 PM Example Help <help@example.com> wrote:"
PIECES = [
    "",
    ">",
    "> text",
    ">> deeper",
    "> > Am 25.11.2026 um 15:04 schrieb help@example.com:",
    "words of the customer",
    "Yes",
    "--",
    "-- ",
    "-----",
    "_" * 32,
    "-----Original Message-----",
    "---------- Forwarded message ---------",
    ATTRIBUTION,
    f"> {ATTRIBUTION}",
    "On Wed, Nov 25, 2026 at 3:04 PM Example Help <",
    "help@example.com> wrote:",
    "wrote:",
    "On 25/11/2026 15:04, Somebody wrote:",
    "From: Example Help <help@example.com>",
    "Sent: Wednesday, November 25, 2026 3:04 PM",
    "To: Customer <customer@example.org>",
    "Subject: Your inspection",
    "Von: Somebody <somebody@example.net>",
    "> From: help@example.com",
    "##- above -##",
    "> ##- above -##",
    "Sent from my iPhone",
    "see my answers below in red",
    "\r",
    "\u2028\x0b\x85",
]


def lines_of(*texts: str) -> Counter[str]:
    return Counter(line for text in texts for line in text.split("\n") if line.strip())


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=12), max_size=24).map("\n".join))
def test_every_line_is_in_one_of_the_two_parts(text: str) -> None:
    """Whatever a mail consists of, and in their order."""
    words = cut(text, OWN)

    assert lines_of(words.new, words.quoted) == lines_of(text)
    assert words.new.strip() or not text.strip()


@given(
    st.lists(st.sampled_from(["<div>", "</div>", "<p>", "<", ">", "<!--", "-->", "<a ='", "'", "&amp", "x y", "<td>"]))
)
def test_any_html_gives_a_text(pieces: list[str]) -> None:
    """However broken it is."""
    words = cut_html("".join(pieces), OWN)

    assert isinstance(words.new, str)


@given(st.lists(st.sampled_from(PIECES).filter(str.isprintable).map(str.strip), max_size=16))
def test_html_loses_no_line_either(lines: list[str]) -> None:
    """Each of its words is in one of the two parts."""
    page = "".join(f"<div>{line.replace('<', '&lt;')}</div>" for line in lines)

    words = cut_html(page, OWN)

    assert lines_of(words.new, words.quoted) == lines_of("\n".join(lines)) or not any(lines)


def steps(work: Callable[[], object]) -> int:
    """Count the calls that a piece of work takes, those of C functions too."""
    count = 0

    def counted(_frame: FrameType, _event: str, _arg: object) -> None:
        nonlocal count
        count += 1

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


HOSTILE = [
    "\n",
    ">\n",
    ">\n\n",
    ":\n",
    "a:\n\n\n",
    "a:\n>\n>\nb\n",
    "On x:\n",
    f"{ATTRIBUTION}\n",
    f"> {ATTRIBUTION}\n",
    f"{ATTRIBUTION}\n> x\n",
    "help@example.com\n",
    "From: help@example.com\nSent: 25.11.2026 15:04\nTo: x\n\n",
    "> From: a\n",
    "--\n",
    "-----\n",
    "Sent from my iPhone\n",
    "##- above -##\n",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_the_cut_takes_time_in_proportion(piece: str) -> None:
    """Sixteen times the text takes about sixteen times the steps."""
    small, large = piece * (4_096 // len(piece)), piece * (65_536 // len(piece))

    assert steps(lambda: cut(large, OWN)) < 24 * steps(lambda: cut(small, OWN))


@pytest.mark.parametrize(
    "piece", ["a@", "@", "help@example.com ", "1.", " ", "<a@", "On x ", "-", "_", ">", "\xa0", "a:"]
)
def test_one_endless_line_is_looked_at_only_at_its_beginning(piece: str) -> None:
    """No rule reads on."""
    small, large = piece * (8_192 // len(piece)), piece * (65_536 // len(piece))

    assert steps(lambda: cut(large, OWN)) < 2 * steps(lambda: cut(small, OWN))


DEEP = [
    *("<div>", "<b>", "</div>", "<td>x", "<", "<a", "<a ='>'", "<!--", "<!", "<script>", "<ul><li>", "<p>x", "<br>"),
    *("<blockquote type=cite>x", "<div class=gmail_quote>x<blockquote>y</blockquote>z</div>", "<div hidden>x", "&amp"),
]


@pytest.mark.parametrize("piece", DEEP)
def test_html_takes_time_in_proportion(piece: str) -> None:
    """Sixteen times the HTML takes about sixteen times the steps."""
    small, large = piece * (4_096 // len(piece)), piece * (65_536 // len(piece))

    assert steps(lambda: cut_html(large, OWN)) < 24 * steps(lambda: cut_html(small, OWN))
