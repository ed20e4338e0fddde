"""HTML becomes the customer's words, apart from what their mail program quotes."""

from __future__ import annotations

from pathlib import Path

import pytest

from channels.email.html.reading import LARGEST, HtmlText, cut_html, read_html
from channels.email.html.tags import Tag, read_tags
from channels.email.quoting import Own

FIXTURES = Path(__file__).parent / "fixtures" / "quoting"
OWN = Own(frozenset({"help@example.com"}), "example.com", None)
HEADING = (
    "<b>From:</b> Somebody &lt;{address}&gt;<br><b>Sent:</b> Wednesday, November 25, 2026 3:04 PM<br>"
    "<b>To:</b> Customer<br><b>Subject:</b> Leak"
)


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.html")), ids=lambda path: path.stem)
def test_a_mail_is_cut_as_its_fixture_says(path: Path) -> None:
    """Each mail program marks what it quotes in its own way."""
    words = cut_html(path.read_text("utf-8"), OWN)

    assert words.new == Path(f"{path}.new").read_text("utf-8").rstrip("\n")


@pytest.mark.parametrize(
    ("html", "text", "quoted"),
    [
        ("<p>Yes</p><blockquote type=cite>Would it suit?</blockquote>", "Yes", "Would it suit?"),
        ("<p>Yes</p><BLOCKQUOTE TYPE='CITE'>Would it suit?</BLOCKQUOTE>", "Yes", "Would it suit?"),
        ("<blockquote type=cite>Would it suit?</blockquote><p>Yes</p>", "Yes", "Would it suit?"),
        ("<blockquote type=cite>Would it suit?</blockquote>", "Would it suit?", ""),
        ("<p>A</p><blockquote type=cite>q</blockquote><p>B</p>", "A\n\n> q\n\nB", ""),
        ("<p>Yes</p><div class='gmail_quote'>q<blockquote>q2</blockquote></div>", "Yes", "q\n\nq2"),
        ("<p>Yes</p><div class='x yahoo_quoted y'>q</div>", "Yes", "q"),
        ("<p>Yes</p><div class=protonmail_quote>q</div>", "Yes", "q"),
        ("<p>Yes</p><div class=zmail_extra>q</div>", "Yes", "q"),
        ("<p>Yes</p><div class=moz-cite-prefix>q</div>", "Yes", "q"),
        ("<p>Yes</p><div class=gmail_signature>the customer</div>", "Yes", "the customer"),
        ("<p>Yes</p><div id=Signature>the customer</div>", "Yes\n\nthe customer", ""),
        (f"<p>Yes</p><hr><div id=divRplyFwdMsg>{HEADING}</div><p>q</p>", "Yes", None),
        (f"<p>Yes</p><div id=appendonsend></div><hr><div>{HEADING}</div><p>q</p>", "Yes", None),
        ("<p>Yes</p><div id=appendonsend></div><p>and more</p>", "Yes\n\nand more", ""),
        (f"<p>Yes</p><div><div style='border-top:solid #B5C4DF 1pt'>{HEADING}</div></div><p>q</p>", "Yes", None),
        ("", "", ""),
    ],
)
def test_what_is_marked_as_quoted_is_taken_out(html: str, text: str, quoted: str | None) -> None:
    """It is kept beside the words; where those stand around it, or nothing else is there, it stays."""
    read = read_html(html)

    assert read.text == text
    assert quoted is None or read.quoted_text == quoted


@pytest.mark.parametrize(("address", "text"), [("help@example.com", "Is it true?"), ("plumber@example.net", None)])
def test_a_message_between_others_below_outlooks_heading_stays(address: str, text: str | None) -> None:
    """The heading names us, or the customer shows us somebody else's message."""
    html = f"<p>Is it true?</p><hr><div id=divRplyFwdMsg>{HEADING.format(address=address)}</div><p>It leaks.</p>"

    words = cut_html(html, OWN)

    assert words.new == text if text else words.new.endswith("It leaks.")


@pytest.mark.parametrize(
    "hidden",
    [
        "<script>if (a < b) { x }</script>",
        "<STYLE>p > a { color: red }</STYLE>",
        "<title>Re: Leak</title>",
        "<!-- <p>no</p> -->",
        "<!--[if mso]><p>no</p><![endif]-->",
        "<div style='display:none'>no <div>no</div> no</div>",
        '<span style="FONT-SIZE: 0px; color: white">no</span>',
        "<p style='visibility : hidden'>no</p>",
        "<div hidden>no</div>",
        "<template>no</template>",
        '<img alt="a > b" src="data:image/png;base64,AAAA">',
    ],
)
def test_what_nobody_sees_is_left_out(hidden: str) -> None:
    """The customer did not write it, and a prompt should not hold it."""
    assert read_html(f"<p>Before</p>{hidden}<p>After</p>") == HtmlText("Before\n\nAfter", "")


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("5 < 6 & 7 > 3", "5 < 6 & 7 > 3"),
        ("<p>a</b></i></p></div>b", "a\n\nb"),
        ("<p>never closed", "never closed"),
        ("<a href='x>y", "y"),
        ("<a href='x", "<a href='x"),
        ("a <!-- never closed", "a  never closed"),
        ("<script>never closed", "never closed"),
        ("&lt;b&gt; &euro;&nbsp;5 &#128512;", "<b> € 5 😀"),
        ("x<br><br><br><br>y", "x\n\ny"),
        ("<div>a</div><div><br></div><div>b</div>", "a\n\nb"),
        ("a\n\n\n b", "a b"),
        ("a\x00b", "a\x00b"),
    ],
)
def test_broken_html_keeps_its_words(html: str, text: str) -> None:
    """What is no tag is text."""
    assert read_html(html).text == text


@pytest.mark.parametrize("tag", ["<div>", "<b>", "<blockquote>", "<table><tr><td>", "<ul><li>"])
def test_the_deepest_word_is_read(tag: str) -> None:
    """A parser's tree would end before it."""
    html = tag * (LARGEST // 2 // len(tag)) + "deep" + "</div>" * 100 + "<p>after</p>"

    text = read_html(html).text

    assert text.endswith("after")
    assert "deep" in text


def test_a_large_mail_is_stripped_of_its_tags() -> None:
    """No word of it is lost, and nothing is looked at closely."""
    html = "<style>p {}</style><p>first</p>" + "<p>word &amp; word</p>" * (LARGEST // 20) + "<p>last</p>"

    lines = read_html(html).text.split("\n")

    assert (lines[0], lines[2], lines[-1]) == ("first", "word & word", "last")


def test_a_picture_in_the_html_makes_no_mail_large() -> None:
    """Its quote is still found."""
    picture = f'<img src="data:image/png;base64,{"A" * 2 * LARGEST}">'

    assert read_html(f"<p>Yes{picture}</p><blockquote type=cite>q</blockquote>") == HtmlText("Yes", "q")


def test_tags_and_texts_come_in_their_order() -> None:
    """Attributes are read with and without quotes, the first of a name."""
    first, text, end = read_tags("<DIV Class='a b' id=x hidden id=y title=\"a > b\">a &amp; b</div>")

    assert isinstance(first, Tag)
    assert first.attributes == {"class": "a b", "id": "x", "hidden": "", "title": "a > b"}
    assert (first.name, text, end) == ("div", "a & b", Tag("div", True, ""))


class Searched(str):
    """A text that counts how often it is searched."""

    __slots__ = ("searches",)
    searches: int

    def find(self, *args: object) -> int:
        self.searches += 1
        return str.find(self, *args)  # type: ignore[arg-type]


@pytest.mark.parametrize("opening", ["<!--", "<!", "<?", "<a"])
def test_what_is_never_closed_is_searched_for_once(opening: str) -> None:
    """Each search reads to the end of the mail, so that a search for each opening would take a day."""
    html = Searched(opening * 1000)
    html.searches = 0

    list(read_tags(html))

    assert html.searches < 1100
