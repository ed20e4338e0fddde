"""``POST /messages``: a message that we begin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Self, TypeVar

from pydantic import Field, model_validator

from channels.abilities import ChecksRecipient
from channels.base import Channel
from channels.content import Card, Choice, Content, Link, Location, Template
from channels.rendering import CannotShow, parts_of
from gateway.storage import Answer, Compose
from gateway.web.api.conversations import row_of
from gateway.web.api.problems import Problem, invalid
from gateway.web.api.route import Asked, Desk, Route, Scope
from gateway.web.api.shapes import Given, Words
from gateway.web.api.transcripts import Content as Text
from gateway.web.api.transcripts import FileUrls, SaidTold, said_told

T = TypeVar("T")
MAX_BUTTONS = 20
Title = Annotated[Words, Field(min_length=1, max_length=1000)]
Url = Annotated[Words, Field(max_length=2000, pattern="^https?://")]


class ChoiceGiven(Given):
    """An answer to pick."""

    id: Annotated[Words | None, Field(max_length=200, description="What comes back; otherwise the title.")] = None
    title: Title
    description: Title | None = None


class LinkGiven(Given):
    """A button that opens a page."""

    title: Title
    url: Url


class CardGiven(Given):
    """A thing that is offered."""

    title: Title
    subtitle: Title | None = None
    image_url: Url | None = None
    choices: Annotated[tuple[ChoiceGiven, ...], Field(max_length=MAX_BUTTONS)] = ()
    links: Annotated[tuple[LinkGiven, ...], Field(max_length=MAX_BUTTONS)] = ()


class LocationGiven(Given):
    """A place, in degrees north and east."""

    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]
    name: Title | None = None
    address: Title | None = None


class TemplateGiven(Given):
    """A message that the platform has approved before, for a customer who has been silent for too long."""

    name: Title
    language: Annotated[Words, Field(min_length=1, max_length=20)] = "en_US"
    parameters: Annotated[tuple[Words, ...], Field(max_length=100)] = ()


class Beginning(Given):
    """What is said to whom; a template stands alone."""

    channel: Annotated[Words, Field(min_length=1, description="The channel's name: its key in config.yaml.")]
    recipient: Annotated[Words, Field(min_length=1, max_length=512, pattern=r"\S", description="Their address there.")]
    content: Text = ""
    subject: Annotated[Title | None, Field(description="What it is about, where it is a mail.")] = None
    attachment_urls: FileUrls = ()
    choices: Annotated[tuple[ChoiceGiven, ...], Field(max_length=MAX_BUTTONS)] = ()
    links: Annotated[tuple[LinkGiven, ...], Field(max_length=MAX_BUTTONS)] = ()
    cards: Annotated[tuple[CardGiven, ...], Field(max_length=MAX_BUTTONS)] = ()
    location: LocationGiven | None = None
    template: TemplateGiven | None = None

    @model_validator(mode="after")
    def _say_something(self) -> Self:
        if self.as_content().is_empty:
            raise ValueError("content must not be empty where nothing else is said")
        return self

    def as_content(self) -> Content:
        """Return what it says as channels read it."""
        return Content(
            text=self.content.strip(),
            attachment_urls=self.attachment_urls,
            choices=_choices(self.choices),
            links=_links(self.links),
            cards=tuple(
                Card(card.title, card.subtitle, card.image_url, _choices(card.choices), _links(card.links))
                for card in self.cards
            ),
            location=_made(Location, self.location),
            template=_made(Template, self.template),
            subject=self.subject,
        )


def _choices(given: tuple[ChoiceGiven, ...]) -> tuple[Choice, ...]:
    return tuple(Choice(choice.id or choice.title, choice.title, choice.description) for choice in given)


def _links(given: tuple[LinkGiven, ...]) -> tuple[Link, ...]:
    return tuple(Link(link.title, link.url) for link in given)


def _made(kind: Callable[..., T], given: Given | None) -> T | None:
    return None if given is None else kind(**given.model_dump())


async def begin(desk: Desk, asked: Asked) -> SaidTold:
    """Store it and queue its deliveries."""
    given: Beginning = asked.body
    channel = _channel(desk, given.channel)
    recipient = _checked(channel, given.recipient.strip())
    content = given.as_content()
    try:
        answer = Answer(content, parts_of(content, channel.shows))
    except CannotShow as error:
        raise Problem("cannot-show", str(error)) from None
    composed = await desk.storage.run(Compose(channel.name, channel.kind, recipient, answer, desk.clock()))
    if composed.conversation_id is None or composed.sequence_number is None:
        raise Problem(
            "opted-out", f"this customer wants no messages on {channel.name}; only their own START there lifts that"
        )
    desk.bus.publish("outbox", {})
    conversation = await row_of(desk, composed.conversation_id)
    return said_told(conversation, *await desk.storage.pages.said(conversation.id or 0, composed.sequence_number))


def _channel(desk: Desk, name: str) -> Channel:
    channel = desk.roster.get(name)
    if channel is None:
        configured = ", ".join(desk.roster.names) or "none"
        raise invalid("body.channel", f"no enabled channel has this name; there are: {configured}")
    return channel


def _checked(channel: Channel, recipient: str) -> str:
    """Return the recipient as the channel writes it: what is queued for an address that is none fails much later."""
    if not isinstance(channel, ChecksRecipient):
        return recipient
    try:
        return channel.check_recipient(recipient)
    except ValueError as error:
        raise invalid("body.recipient", str(error)) from None


_EXAMPLES: dict[str, Any] = {
    "a text": {"channel": "sms", "recipient": "+15550100123", "content": "Your technician is on the way."},
    "choices": {
        "channel": "sms",
        "recipient": "+15550100123",
        "content": "When may we come?",
        "choices": [{"id": "am", "title": "In the morning"}, {"id": "pm", "title": "In the afternoon"}],
    },
}

ROUTES = (
    Route(
        method="POST",
        path="/messages",
        answer=begin,
        scope=Scope.WRITE,
        body=Beginning,
        told=SaidTold,
        status=202,
        summary="Begin a message",
        description="The conversation with the recipient is found or made, and the message is queued. What the channel "
        "cannot show is said in words. A platform that takes no free text from you at this time, because the customer "
        "has been silent for too long, refuses the delivery: it becomes `failed`, and `error_code` in "
        "`GET /api/v1/deliveries` says why. Send a template then.",
        problems=("opted-out", "cannot-show"),
        examples=_EXAMPLES,
    ),
)
