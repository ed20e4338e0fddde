"""People in conversations: who takes one over, what they write, and how it goes back to the bot.

::

    PeopleError
    ├── NoSuchConversation     nothing has this id
    ├── ConversationTaken      another person has it: ``assigned_to``
    └── CustomerOptedOut       the customer wants no messages from this channel
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from channels.content import Content
from channels.rendering import parts_of
from gateway.bus import Bus
from gateway.clock import Clock
from gateway.roster import Roster
from gateway.storage import Answer, Close, Conversation, Resume, Say, Speaker, Storage, Takeover

IN_FLIGHT_S = 10.0
"""How long a takeover waits for the bot's calls that are on their way; no other can begin."""
LOOK_S = 0.1


class PeopleError(Exception):
    """A person's wish for a conversation cannot be met."""


class NoSuchConversation(PeopleError):
    """There is no conversation with this id."""


class ConversationTaken(PeopleError):
    """Another person has this conversation."""

    def __init__(self, assigned_to: str | None) -> None:
        super().__init__(f"{assigned_to or 'somebody'} has this conversation; ask them, or resume it first")
        self.assigned_to = assigned_to


class CustomerOptedOut(PeopleError):
    """This customer wants no messages from this channel; reach them another way."""

    def __init__(self) -> None:
        super().__init__((type(self).__doc__ or "").strip())


class People:
    """What people do in conversations, whichever door they come through."""

    def __init__(self, storage: Storage, roster: Roster, bus: Bus, clock: Clock) -> None:
        self._storage = storage
        self._roster = roster
        self._bus = bus
        self._clock = clock

    async def takeover(self, conversation_id: str, assigned_to: str) -> Conversation:
        """Let a person speak: the bot is silent from the commit on, whatever it was about to say.

        Returns when the calls that were on their way have ended, after ``IN_FLIGHT_S`` at most.

        Raises:
            NoSuchConversation: there is none.
            ConversationTaken: another person has it.
            ValueError: ``assigned_to`` names nobody.
        """
        speaker = await self._storage.run(Takeover(conversation_id, _named(assigned_to), self._clock()))
        if speaker is not None and not speaker.changed:
            raise ConversationTaken(speaker.assigned_to)
        conversation = await self._after(speaker, conversation_id)
        await self._calls_ended(conversation)
        return conversation

    async def reply(
        self, conversation_id: str, author: str, content: str, attachment_urls: Sequence[str] = ()
    ) -> tuple[Conversation, int]:
        """Say something as a person, who has the conversation from then on; returns the message's sequence number.

        Raises:
            NoSuchConversation: there is none.
            ConversationTaken: another person has it.
            CustomerOptedOut: the customer wants no messages.
            CannotShow: the channel cannot carry this (``channels.rendering``).
            ValueError: there is nothing to say, or nobody who says it.
        """
        if not (content.strip() or attachment_urls):
            raise ValueError("content must not be empty")
        row = await self._storage.conversation(conversation_id)
        if row is None:
            raise NoSuchConversation("there is no conversation with this id")
        answer = self._answer(row.channel_name, Content(content, tuple(attachment_urls)))
        said = await self._storage.run(Say(conversation_id, _named(author), answer, self._clock()))
        if said is None:
            raise NoSuchConversation("there is no conversation with this id")
        if said.refused == "opted_out":
            raise CustomerOptedOut
        if said.refused is not None:
            raise ConversationTaken(said.held_by)
        self._bus.publish("outbox", {})
        return await self._conversation(conversation_id), said.sequence_number or 0

    async def resume(self, conversation_id: str) -> Conversation:
        """Give a conversation back to the bot, which answers what no person has answered.

        Raises:
            NoSuchConversation: there is none.
        """
        speaker = await self._storage.run(Resume(conversation_id, self._clock()))
        if speaker is not None and speaker.due_at is not None:
            self._bus.publish("turns", {"due_at": speaker.due_at.timestamp()})
        return await self._after(speaker, conversation_id)

    async def close(self, conversation_id: str, rating: int | None = None, comment: str | None = None) -> Conversation:
        """End a conversation: nothing waits in it any more; a new message opens it again.

        ``rating`` (1 to 5) and the comment beside it are kept in the same commit.

        Raises:
            NoSuchConversation: there is none.
        """
        closed = await self._storage.run(Close(conversation_id, self._clock(), rating, comment))
        return await self._after(closed, conversation_id)

    def _answer(self, channel_name: str | None, content: Content) -> Answer:
        """Return the words as the channel sends them; those for a channel that does not run here wait as they are."""
        if channel_name is None:
            return Answer(content)
        channel = self._roster.get(channel_name)
        return Answer(content, (content,) if channel is None else parts_of(content, channel.shows))

    async def _after(self, speaker: Speaker | None, conversation_id: str) -> Conversation:
        if speaker is None:
            raise NoSuchConversation("there is no conversation with this id")
        return await self._conversation(conversation_id)

    async def _conversation(self, conversation_id: str) -> Conversation:
        row = await self._storage.conversation(conversation_id)
        if row is None:
            raise NoSuchConversation("there is no conversation with this id")
        return row

    async def _calls_ended(self, conversation: Conversation) -> None:
        until = time.monotonic() + IN_FLIGHT_S
        while await self._storage.calls_in_flight(conversation.id or 0) and time.monotonic() < until:  # noqa: ASYNC110  what ends them may be another process
            await asyncio.sleep(LOOK_S)


def _named(person: str) -> str:
    if not person.strip():
        raise ValueError("the person must have a name")
    return person.strip()
