"""Who speaks in a conversation, how it ended, and who is not answered."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Any, Self, TypeVar

from pydantic import Field, model_validator

from gateway.assistant.people import ConversationTaken, CustomerOptedOut, NoSuchConversation
from gateway.storage import Block, Rate, Unblock
from gateway.storage.ratings import LEAST, MOST
from gateway.web.api.conversations import ConversationTold, look_up
from gateway.web.api.problems import Problem, not_found
from gateway.web.api.route import Asked, Desk, Route, Scope
from gateway.web.api.shapes import Given, Words

T = TypeVar("T")
MAX_COMMENT = 10_000
Stars = Annotated[int, Field(ge=LEAST, le=MOST, strict=True, description="From 1, not at all content, to 5.")]
Comment = Annotated[Words, Field(max_length=MAX_COMMENT)]
Name = Annotated[Words, Field(min_length=1, max_length=200, pattern=r"\S")]


class Takeover(Given):
    """Who takes it."""

    assigned_to: Annotated[Name, Field(description="A person's name; only they are let speak until it is given back.")]


class Rating(Given):
    """How content the customer was."""

    rating: Stars
    comment: Comment | None = None


class Closing(Given):
    """How it ended, where that is known."""

    rating: Stars | None = None
    comment: Annotated[Comment | None, Field(description="Only beside a rating.")] = None

    @model_validator(mode="after")
    def _comment_on_something(self) -> Self:
        if self.comment is not None and self.rating is None:
            raise ValueError("a comment needs a rating beside it")
        return self


async def of_people(wish: Awaitable[T]) -> T:
    """Await what a person wishes for a conversation.

    Raises:
        Problem: it cannot be.
    """
    try:
        return await wish
    except NoSuchConversation:
        raise not_found("conversation") from None
    except ConversationTaken as error:
        raise Problem("taken", str(error)) from None
    except CustomerOptedOut as error:
        raise Problem("opted-out", str(error)) from None


async def take_over(desk: Desk, asked: Asked) -> ConversationTold:
    """Let a person speak."""
    await of_people(desk.service.people.takeover(asked.conversation_id, asked.body.assigned_to))
    return await look_up(desk, asked.conversation_id)


async def resume(desk: Desk, asked: Asked) -> ConversationTold:
    """Let the bot speak again."""
    await of_people(desk.service.people.resume(asked.conversation_id))
    return await look_up(desk, asked.conversation_id)


async def close(desk: Desk, asked: Asked) -> ConversationTold:
    """End it, and rate it where a rating came with it."""
    closing: Closing = asked.body or Closing()
    await of_people(desk.service.people.close(asked.conversation_id, closing.rating, closing.comment))
    return await look_up(desk, asked.conversation_id)


async def rate(desk: Desk, asked: Asked) -> ConversationTold:
    """Rate it."""
    rating: Rating = asked.body
    rated = await desk.storage.run(Rate(asked.conversation_id, rating.rating, rating.comment, desk.clock()))
    if rated is None:
        raise not_found("conversation")
    if not rated:
        raise Problem("not-closed", "this conversation is open; close it first, or rate it as you close it")
    return await look_up(desk, asked.conversation_id)


async def block(desk: Desk, asked: Asked) -> ConversationTold:
    """Answer its sender no more."""
    return await _after(desk, asked, done=await desk.storage.run(Block(asked.conversation_id, desk.clock())))


async def unblock(desk: Desk, asked: Asked) -> ConversationTold:
    """Answer its sender again."""
    return await _after(desk, asked, done=await desk.storage.run(Unblock(asked.conversation_id)))


async def _after(desk: Desk, asked: Asked, *, done: bool) -> ConversationTold:
    told = await look_up(desk, asked.conversation_id)
    if not done:
        raise Problem("no-sender", "this conversation is a caller's own, with no sender on a channel")
    return told


def _route(word: str, method: str = "POST", scope: Scope = Scope.WRITE, **more: Any) -> Route:
    path = f"/conversations/{{conversation_id}}/{word}"
    return Route(method=method, path=path, scope=scope, told=ConversationTold, **more)


ROUTES = (
    _route(
        "takeover",
        answer=take_over,
        body=Takeover,
        summary="Take a conversation over",
        description="From now on the bot is silent: what it was about to say is cancelled. Answers when nothing of it "
        "is on its way any more, after ten seconds at most.",
        problems=("taken",),
        examples={"a person": {"assigned_to": "front office"}},
        timeout_s=30.0,
    ),
    _route(
        "resume",
        answer=resume,
        summary="Give a conversation back to the bot",
        description="The bot answers what no person has answered.",
    ),
    _route(
        "close",
        answer=close,
        body=Closing,
        body_required=False,
        summary="Close a conversation",
        description="Nothing waits in it any more. A new message of the customer's opens it again, with the bot.",
        examples={"without a rating": {}, "with a rating": {"rating": 5, "comment": "Quick and friendly."}},
    ),
    _route(
        "rating",
        answer=rate,
        body=Rating,
        summary="Rate a closed conversation",
        description="A later rating takes the place of an earlier one.",
        problems=("not-closed",),
        examples={"content": {"rating": 4}},
    ),
    _route(
        "block",
        scope=Scope.ADMIN,
        answer=block,
        summary="Block the sender",
        description="What they write is stored and not answered, until they are unblocked; a person can still write "
        "to them. It holds for their address on this channel.",
        problems=("no-sender",),
    ),
    _route(
        "block",
        method="DELETE",
        scope=Scope.ADMIN,
        answer=unblock,
        summary="Unblock the sender",
        description="From their next message on they are answered again.",
        problems=("no-sender",),
    ),
)
