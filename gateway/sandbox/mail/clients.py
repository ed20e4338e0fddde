"""Mail programs' habits: how each puts a customer's new words together with the message that they answer."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from html import escape

from gateway.sandbox.mail.client_words import WORDS, Words

COLUMNS = 76
"""Where Gmail wraps a line of plain text."""


@dataclass(frozen=True, slots=True)
class Original:
    """The message that is answered."""

    from_name: str
    from_address: str
    to_name: str
    to_address: str
    sent_at: datetime
    """As the customer's clock showed it."""
    subject: str
    text: str
    html: str | None = None
    """None where it came as text only."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a style makes its two alternatives from."""

    words: Words
    new: str
    original: Original

    def line(self, template: str) -> str:
        """Fill in one of the language's lines."""
        return template.format(**fields_of(self.words, self.original))

    @property
    def new_html(self) -> str:
        """The new words, a ``<div>`` for each line as most programs write them."""
        return "".join(f"<div>{escape(line, quote=False) or '<br>'}</div>" for line in self.new.split("\n"))

    @property
    def original_html(self) -> str:
        """The original as HTML, made from its text where it had none."""
        if self.original.html is not None:
            return self.original.html
        return "".join(f"<p>{escape(part, quote=False)}</p>" for part in self.original.text.split("\n\n"))

    @property
    def block(self) -> tuple[tuple[str, str], ...]:
        """Outlook's four lines: name and value."""
        it = self.original
        values = (
            f"{it.from_name} <{it.from_address}>",
            self.line(self.words.sent),
            f"{it.to_name} <{it.to_address}>",
            it.subject,
        )
        return tuple(zip(self.words.fields, values, strict=True))


def fields_of(words: Words, original: Original) -> Mapping[str, object]:
    """Return what a language's lines can name."""
    at = original.sent_at
    half = "AM" if at.hour < 12 else "PM"
    hour = at.hour % 12 or 12
    return {
        "name": original.from_name,
        "address": original.from_address,
        "y": at.year,
        "yy": f"{at.year % 100:02}",
        "m": at.month,
        "mm": f"{at.month:02}",
        "month": words.months[at.month - 1],
        "mon": words.short_months[at.month - 1],
        "d": at.day,
        "dd": f"{at.day:02}",
        "weekday": words.weekdays[at.weekday()],
        "wd": words.short_weekdays[at.weekday()],
        "t": f"{at:%H:%M}",
        "ts": f"{at:%H:%M:%S}",
        "t12": f"{hour}:{at:%M}\u202f{half}",
        "t12s": f"{hour:02}:{at:%M:%S} {half}",
    }


def reply_text(style: str, language: str, new: str, original: Original) -> tuple[str, str]:
    """Return an answer's plain text and its HTML as a mail program writes them.

    Raises:
        KeyError: an unknown style or language; :data:`STYLES` and :data:`LANGUAGES` name them.
    """
    return _STYLES[style](Reply(WORDS[language], new, original))


def _marked(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def _wrapped(line: str) -> str:
    return textwrap.fill(line, COLUMNS, break_long_words=False, break_on_hyphens=False)


def _gmail(reply: Reply) -> tuple[str, str]:
    heading = reply.line(reply.words.gmail)
    text = f"{reply.new}\n\n{_wrapped(heading)}\n\n{_marked(reply.original.text)}\n"
    return text, (
        f'<div dir="ltr">{reply.new_html}</div><br><div class="gmail_quote gmail_quote_container">'
        f'<div dir="ltr" class="gmail_attr">{escape(heading, quote=False)}<br></div>'
        '<blockquote class="gmail_quote" style="margin:0px 0px 0px 0.8ex;border-left:1px solid rgb(204,204,204);'
        f'padding-left:1ex">{reply.original_html}</blockquote></div>'
    )


def _outlook(reply: Reply) -> tuple[str, str]:
    block = "\n".join(f"{name} {value}" for name, value in reply.block)
    paragraphs = "".join(
        f'<p class="MsoNormal">{escape(line, quote=False) or "&nbsp;"}<o:p></o:p></p>' for line in reply.new.split("\n")
    )
    return f"{reply.new}\n\n{block}\n\n{reply.original.text}\n", (
        '<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><style><!-- p.MsoNormal {margin:0cm} --></style>'
        "<!--[if gte mso 9]><xml><o:shapedefaults/></xml><![endif]--></head><body><div class=WordSection1>"
        f'{paragraphs}<p class="MsoNormal"><o:p>&nbsp;</o:p></p><div>'
        '<div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm">'
        f'<p class="MsoNormal">{_bold_block(reply)}<o:p></o:p></p></div></div>{reply.original_html}</div></body></html>'
    )


def _outlook_ios(reply: Reply) -> tuple[str, str]:
    block = "\n".join(f"{name} {value}" for name, value in reply.block)
    note = reply.words.outlook_ios
    text = f"{reply.new}\n\n{note}<https://aka.ms/o0ukef>\n{'_' * 32}\n{block}\n\n{reply.original.text}\n"
    return text, (
        f'<html><body>{reply.new_html}<div id="ms-outlook-mobile-signature"><a href="https://aka.ms/o0ukef">{note}</a>'
        '</div><hr style="display:inline-block;width:98%" tabindex="-1"><div id="divRplyFwdMsg" dir="ltr">'
        f'<font face="Calibri">{_bold_block(reply)}</font><div>&nbsp;</div></div>{reply.original_html}</body></html>'
    )


def _bold_block(reply: Reply) -> str:
    return "<br>".join(f"<b>{name}</b> {escape(value, quote=False)}" for name, value in reply.block)


def _apple_mail(reply: Reply) -> tuple[str, str]:
    heading, note = reply.line(reply.words.apple), reply.words.iphone
    return f"{reply.new}\n\n{note}\n\n{_marked(heading)}\n>\n{_marked(reply.original.text)}\n", (
        f'<html><body dir="auto">{reply.new_html}<br><div dir="ltr">{note}</div><div dir="ltr"><br>'
        f'<blockquote type="cite">{escape(heading, quote=False)}<br><br></blockquote></div>'
        f'<blockquote type="cite"><div dir="ltr">\ufeff{reply.original_html}</div></blockquote></body></html>'
    )


def _thunderbird(reply: Reply) -> tuple[str, str]:
    heading = reply.line(reply.words.thunderbird)
    return f"{reply.new}\n\n{heading}\n{_marked(reply.original.text)}\n", (
        f'<html><body>{reply.new_html}<div class="moz-cite-prefix">{escape(heading, quote=False)}<br></div>'
        f'<blockquote type="cite" cite="mid:original">{reply.original_html}</blockquote></body></html>'
    )


def _yahoo(reply: Reply) -> tuple[str, str]:
    heading = reply.line(reply.words.yahoo)
    return f"{reply.new}\n\n    {heading}  \n \n {reply.original.text}\n", (
        f'<html><body><div class="ydpyahoo-style-wrap"><div dir="ltr">{reply.new_html}</div><div><br></div></div>'
        f'<div id="ydpyahoo_quoted_1" class="yahoo_quoted"><div><div>{escape(heading, quote=False)}</div>'
        f"<div><br></div>{reply.original_html}</div></div></body></html>"
    )


_STYLES: Mapping[str, Callable[[Reply], tuple[str, str]]] = {
    "gmail": _gmail,
    "outlook": _outlook,
    "outlook_ios": _outlook_ios,
    "apple_mail": _apple_mail,
    "thunderbird": _thunderbird,
    "yahoo": _yahoo,
}
STYLES = tuple(_STYLES)
LANGUAGES = tuple(WORDS)
