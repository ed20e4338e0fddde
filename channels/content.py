"""What a message says beside its text, whoever sends it and whatever a platform makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the answers that a customer may pick: a quick reply, a button, a row of a list, a number."""

    id: str
    """What comes back when it is picked; for programs, not for people."""
    title: str
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A button that opens a page."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Location:
    """A place: degrees north and east."""

    latitude: float
    longitude: float
    name: str | None = None
    address: str | None = None

    @property
    def words(self) -> str:
        """The place for somebody who reads: its name and address, and its coordinates."""
        named = ", ".join(filter(None, (self.name, self.address)))
        where = f"{_degrees(self.latitude)}, {_degrees(self.longitude)}"
        return f"{named} ({where})" if named else where

    @property
    def url(self) -> str:
        """A map of it, for whoever cannot be shown one (developers.google.com/maps/documentation/urls)."""
        return f"https://www.google.com/maps/search/?api=1&query={_degrees(self.latitude)}%2C{_degrees(self.longitude)}"


@dataclass(frozen=True, slots=True)
class Card:
    """A thing that is offered, with a picture and something to pick."""

    title: str
    subtitle: str | None = None
    image_url: str | None = None
    choices: tuple[Choice, ...] = ()
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Template:
    """A message that the platform has approved before: the only kind that it takes to somebody who is silent."""

    name: str
    """The platform's name of it; at Twilio its ContentSid."""
    language: str = "en_US"
    parameters: tuple[str, ...] = ()
    """What its text leaves open, in order."""
    components: tuple[Mapping[str, Any], ...] = ()
    """The platform's own description of everything else that it leaves open: headers, buttons."""


@dataclass(frozen=True, slots=True)
class Content:
    """What one message says. All of it may be empty; a template or a reaction stands alone."""

    text: str = ""
    attachment_urls: tuple[str, ...] = ()
    """Addresses that the platform fetches, or ``data:`` URLs (RFC 2397) that are uploaded to it."""
    choices: tuple[Choice, ...] = ()
    links: tuple[Link, ...] = ()
    cards: tuple[Card, ...] = ()
    location: Location | None = None
    template: Template | None = None
    reaction: str | None = None
    """An emoji as an answer to ``reply_to``."""
    reply_to: str | None = None
    """The external id of the message that this one quotes."""
    subject: str | None = None
    """What it is about, for channels that show that where something begins; others leave it out."""
    calendar: str | None = None
    """Appointments that it speaks of, as iCalendar (RFC 5545), for channels that can attach them; others leave it out,
    because the text says the same."""

    def extras(self) -> dict[str, Any]:
        """Return everything beside the text and the attachments as JSON-able data, without what is empty."""
        return {
            name: value for name, value in asdict(self).items() if value and name not in ("text", "attachment_urls")
        }

    @classmethod
    def read(cls, text: str, attachment_urls: tuple[str, ...], extras: Mapping[str, Any] | None) -> Self:
        """Put together what :meth:`extras` took apart."""
        found = dict(extras or {})
        return cls(
            text=text,
            attachment_urls=attachment_urls,
            choices=_choices(found.get("choices")),
            links=_links(found.get("links")),
            cards=_cards(found.get("cards")),
            location=Location(**found["location"]) if found.get("location") else None,
            template=_template(found.get("template")),
            reaction=found.get("reaction"),
            reply_to=found.get("reply_to"),
            subject=found.get("subject"),
            calendar=found.get("calendar"),
        )

    @property
    def all_choices(self) -> tuple[Choice, ...]:
        """Its own choices, then its cards': the order in which a numbered list has them."""
        return self.choices + tuple(choice for card in self.cards for choice in card.choices)

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all would be sent."""
        beside = ("reply_to", "subject", "calendar")
        return not any(getattr(self, field.name) for field in fields(self) if field.name not in beside)


def offered(extras: Mapping[str, Any] | None) -> tuple[Choice, ...]:
    """Return what a message of ours offers, by its :meth:`Content.extras`, in the order of its numbers."""
    found = extras or {}
    return Content(choices=_choices(found.get("choices")), cards=_cards(found.get("cards"))).all_choices


def _degrees(value: float) -> str:
    return f"{value:.9g}"  # six decimals of a degree are a hand's breadth


def _choices(rows: Any) -> tuple[Choice, ...]:
    return tuple(Choice(**row) for row in rows or ())


def _links(rows: Any) -> tuple[Link, ...]:
    return tuple(Link(**row) for row in rows or ())


def _cards(rows: Any) -> tuple[Card, ...]:
    return tuple(
        Card(**{**row, "choices": _choices(row["choices"]), "links": _links(row["links"])}) for row in rows or ()
    )


def _template(row: Mapping[str, Any] | None) -> Template | None:
    if not row:
        return None
    return Template(**{**row, "parameters": tuple(row["parameters"]), "components": tuple(row["components"])})
