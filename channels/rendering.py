"""One place that makes a reply fit a channel: cuts what is too long, and says in words what it cannot show."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

from channels.content import Card, Choice, Content, Link
from channels.text import Size, split, utf16_units

FileKind = Literal["image", "video", "audio", "file"]


class CannotShow(ValueError):
    """The channel can neither show this nor say it in words; the message tells what to leave out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shows:
    """What one message of a channel can show; sizes are in units of ``size``, 0 means none."""

    max_text: int
    size: Size = utf16_units
    max_attachments: int = 0
    captioned: frozenset[FileKind] = frozenset()
    """The files beside which a text may stand."""
    max_caption: int = 0
    max_choices: int = 0
    max_choice_title: int = 0
    max_links: int = 0
    max_link_title: int = 0
    max_text_with_choices: int = 0
    """How long a text may be beside choices or links."""
    max_cards: int = 0
    max_card_text: int = 0
    """How long a card's title, and its subtitle, may be."""
    uploads: bool = False
    """Whether ``data:`` URLs can be sent."""
    location: bool = False
    reactions: bool = False
    templates: bool = False
    subject: bool = False
    calendar: bool = False


def parts_of(content: Content, shows: Shows) -> tuple[Content, ...]:
    """Return the messages that say this on a channel, in order; nothing is lost, and none of them is empty.

    Files and places come first, because the choices of a message vanish on some platforms when another one follows.

    Raises:
        CannotShow: the channel knows no templates or cannot upload a file, or choices come without a text.
    """
    if content.template is not None:
        if not shows.templates:
            raise CannotShow("this channel has no templates; write a text")
        return (Content(template=content.template, reply_to=content.reply_to),)
    if content.reaction is not None:
        if shows.reactions and content.reply_to is not None:
            return (Content(reaction=content.reaction, reply_to=content.reply_to),)
        return parts_of(replace(content, text=content.reaction, reaction=None), shows)
    parts = list(_cut(_in_words(content, shows), shows))
    if parts and content.reply_to is not None:
        parts[0] = replace(parts[0], reply_to=content.reply_to)
    if parts and content.subject is not None and shows.subject:
        parts[0] = replace(parts[0], subject=content.subject)
    if parts and content.calendar is not None and shows.calendar:
        parts[-1] = replace(parts[-1], calendar=content.calendar)
    return tuple(parts)


def kind_of(url: str) -> FileKind:
    """Tell what a file is by its address alone; what cannot be told is a ``file``."""
    main = content_type_of(url).partition("/")[0]
    return main if main in ("image", "video", "audio") else "file"  # type: ignore[return-value]  # it is one of these


def content_type_of(url: str) -> str:
    """Return the content type that a file's address promises, ``application/octet-stream`` where it promises none."""
    if url.startswith("data:"):
        return url[5:].partition(",")[0].partition(";")[0] or "text/plain"  # RFC 2397's default
    try:
        path = urlsplit(url).path
    except ValueError:  # it is none
        path = ""
    return mimetypes.guess_type(path)[0] or "application/octet-stream"


def numbered(choices: Sequence[Choice]) -> str:
    """Write choices as a list whose numbers can be answered."""
    return "\n".join(
        f"{number}. {choice.title}{f' - {choice.description}' if choice.description else ''}"
        for number, choice in enumerate(choices, start=1)
    )


# --- in words ---


def _in_words(content: Content, shows: Shows) -> Content:
    """Say in the text what the channel cannot show; what is left beside the text can be shown."""
    cards = content.cards if _fit_cards(content.cards, shows) else ()
    if content.cards and not cards:
        content = _without_cards(content)
    said = [content.text.strip()]
    location = content.location
    if location is not None and not shows.location:
        said.append(f"{location.words}\n{location.url}")
        location = None
    choices = content.choices
    if not _fit(choices, shows.max_choices, shows.max_choice_title):
        said.append(numbered(choices))
        choices = ()
    links = content.links
    if choices or not _fit(links, shows.max_links, shows.max_link_title):
        said += [f"{link.title}: {link.url}" for link in links]
        links = ()
    attachment_urls = content.attachment_urls
    if any(url.startswith("data:") for url in attachment_urls) and not shows.uploads:
        raise CannotShow("this channel cannot upload a file; name an https address of it")
    if not shows.max_attachments:
        said += attachment_urls
        attachment_urls = ()
    text = "\n\n".join(filter(None, said))
    if (choices or links) and not text:
        raise CannotShow("choices and links need a text above them")
    return Content(text, attachment_urls, choices, links, cards, location)


def _fit(offered: Sequence[Choice | Link], at_most: int, longest_title: int) -> bool:
    """Tell whether buttons fit; titles that are equal when cut or repeated would not be told apart."""
    titles = [one.title for one in offered]
    return len(titles) <= at_most and len(set(titles)) == len(titles) and all(len(t) <= longest_title for t in titles)


def _fit_cards(cards: Sequence[Card], shows: Shows) -> bool:
    return len(cards) <= shows.max_cards and all(_fits_card(card, shows) for card in cards)


def _fits_card(card: Card, shows: Shows) -> bool:
    """Tell whether a card can be shown: its buttons and texts fit, and it has more than a title."""
    buttons: tuple[Choice | Link, ...] = (*card.choices, *card.links)
    texts = (card.title, card.subtitle or "")
    return (
        _fit(buttons, shows.max_links, shows.max_link_title)
        and all(len(text) <= shows.max_card_text for text in texts)
        and bool(buttons or card.subtitle or card.image_url)
        and not (card.image_url or "").startswith("data:")
    )


def _without_cards(content: Content) -> Content:
    said = [content.text, *("\n".join(filter(None, (card.title, card.subtitle))) for card in content.cards)]
    return replace(
        content,
        text="\n\n".join(filter(None, said)),
        attachment_urls=content.attachment_urls + tuple(card.image_url for card in content.cards if card.image_url),
        choices=content.all_choices,
        links=content.links + tuple(link for card in content.cards for link in card.links),
        cards=(),
    )


# --- in parts ---


def _cut(content: Content, shows: Shows) -> Iterator[Content]:
    texts = list(split(content.text, shows.max_text, shows.size))
    buttons = bool(content.choices or content.links)
    if buttons:
        texts[-1:] = split(texts[-1], shows.max_text_with_choices, shows.size)
    if content.location is not None:
        yield Content(location=content.location)
    files = content.attachment_urls
    for start in range(0, len(files), shows.max_attachments or 1):
        group = files[start : start + shows.max_attachments]
        last = start + len(group) == len(files)
        caption = texts.pop(0) if last and _captions(group, texts, shows, buttons=buttons) else ""
        yield Content(caption, group)
    for number, text in enumerate(texts, start=1):
        if number < len(texts):
            yield Content(text)
        else:
            yield Content(text, choices=content.choices, links=content.links)
    if content.cards:
        yield Content(cards=content.cards)


def _captions(files: Sequence[str], texts: Sequence[str], shows: Shows, *, buttons: bool) -> bool:
    """Tell whether the next text may stand beside these files; one with buttons stands alone."""
    return (
        len(texts) > (1 if buttons else 0)
        and all(kind_of(url) in shows.captioned for url in files)
        and shows.size(texts[0]) <= shows.max_caption
    )
