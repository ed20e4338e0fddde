"""pymessenger's builders of payloads, over our own HTTP client.

The SDK (0.0.7.0) posts with ``requests``, without a timeout, to a version of the Graph API that is gone, and returns an
error like a receipt. Its builders are good: they all end in ``send_raw``, which is replaced here, so that what they
return is awaited. What it builds wrongly is corrected or closed.

Importing this module imports the SDK.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NoReturn

from pymessenger import Button, Element
from pymessenger.bot import Bot

from channels.base import Outbound, Receipt
from channels.content import Card, Choice, Content, Link
from channels.errors import OutcomeUnknown, Refused, RetryLater
from channels.messenger.parsing import USER_REF
from channels.meta.graph import Graph, own_node
from channels.meta.media import upload_of
from channels.meta.webhooks import a_text
from channels.rendering import kind_of

# developers.facebook.com/docs/messenger-platform/reference/buttons/postback and .../templates/generic, read 2026-11.
MAX_PAYLOAD = 1000

Answer = dict[str, Any]


class PageBot(Bot):  # type: ignore[misc]  # the SDK carries no types
    """Builds and posts what one page says to one customer.

    ``envelope`` are the fields that every message has beside the recipient, ``metadata`` what its echo brings back.
    Every method raises SendError: one of its subclasses, each of which says what to do next.
    """

    def __init__(self, graph: Graph, page_id: str, envelope: Mapping[str, Any], metadata: str = "") -> None:
        super().__init__("")  # the token is the Graph's
        self._graph = graph
        self._page_id = page_id
        self._envelope = envelope
        self._metadata = metadata

    async def send_raw(self, payload: Mapping[str, Any]) -> Answer:
        """Post what a builder has built."""
        # The builders for files write JSON into the JSON.
        body = {name: _unpacked(value) for name, value in payload.items()}
        body["recipient"] = _recipient(body["recipient"]["id"])
        if "message" in body:
            body["message"] = {**body["message"], "metadata": self._metadata}
            body = {**self._envelope, **body}
        with own_node():
            return await self._graph.post(f"{self._page_id}/messages", body)

    def send_video_url(self, recipient_id: str, video_url: str) -> Awaitable[Answer]:
        """Send a film by its address, and not as sound."""
        return self.send_attachment(recipient_id, "video", {"url": video_url})

    def send_attachment(self, recipient_id: str, kind: str, payload: Mapping[str, str]) -> Awaitable[Answer]:
        """Send one file, by its address or as what has been uploaded."""
        message = {"attachment": {"type": kind, "payload": payload}}
        sent: Awaitable[Answer] = self.send_message(recipient_id, message)
        return sent

    def send_reaction(self, recipient_id: str, message_id: str, reaction: str) -> Awaitable[Answer]:
        """React to a message (developers.facebook.com/docs/graph-api/reference/page/messages, read 2026-11)."""
        payload = {"message_id": message_id, "reaction": reaction}
        return self.send_raw({"recipient": {"id": recipient_id}, "sender_action": "react", "payload": payload})

    def send_image(self, recipient_id: str, image_path: str) -> NoReturn:
        """Refuse: the SDK opens the file, and then fails."""
        raise NotImplementedError("files are uploaded by message_attachments")

    send_audio = send_video = send_file = send_image


class PageApi:
    """What the channel asks of a page, each time over a Graph that knows what an error means to that message.

    Every method raises SendError: one of its subclasses, each of which says what to do next.
    """

    def __init__(self, page_id: str) -> None:
        self._page_id = page_id

    async def send(self, graph: Graph, outbound: Outbound, envelope: Mapping[str, Any]) -> Receipt:
        """Send one part of a reply; ``envelope`` says by which rule it may be sent."""
        content, recipient = outbound.content, outbound.recipient
        if content.reply_to is not None:
            envelope = {**envelope, "reply_to": {"mid": content.reply_to}}
        bot = PageBot(graph, self._page_id, envelope, outbound.delivery_id)
        if content.reaction is not None:
            await bot.send_reaction(recipient, content.reply_to or "", content.reaction)
            return Receipt(f"reaction:{outbound.delivery_id}")  # Meta gives a reaction no id
        if content.attachment_urls:
            answer = await self._send_file(graph, bot, recipient, content.attachment_urls[0])
        else:
            answer = await _send_words(bot, recipient, content)
        message_id = a_text(answer.get("message_id"))
        if not message_id:
            raise OutcomeUnknown("the answer names no message")
        return Receipt(message_id)

    async def show_typing(self, graph: Graph, recipient: str) -> None:
        """Mark what the customer wrote as seen, and show that an answer is being written."""
        bot = PageBot(graph, self._page_id, {})
        await bot.send_action(recipient, "mark_seen")
        await bot.send_action(recipient, "typing_on")

    async def _send_file(self, graph: Graph, bot: PageBot, recipient: str, url: str) -> Answer:
        kind = kind_of(url)
        if url.startswith("data:"):
            return await bot.send_attachment(recipient, kind, {"attachment_id": await self._upload(graph, kind, url)})
        builders: Mapping[str, Callable[[str, str], Awaitable[Answer]]] = {
            "image": bot.send_image_url,
            "audio": bot.send_audio_url,
            "video": bot.send_video_url,
            "file": bot.send_file_url,
        }
        return await builders[kind](recipient, url)

    async def _upload(self, graph: Graph, kind: str, url: str) -> str:
        """Upload the file in a ``data:`` URL and return its id.

        developers.facebook.com/docs/messenger-platform/reference/attachment-upload-api, read 2026-11.
        """
        file = upload_of(url, "filedata")
        assert file is not None
        message = json.dumps({"attachment": {"type": kind, "payload": {"is_reusable": True}}})
        try:
            with own_node():
                answer = await graph.upload(f"{self._page_id}/message_attachments", {"message": message}, file)
        except OutcomeUnknown as error:  # whether the file is there does not matter: nothing has been said
            raise RetryLater(f"the upload broke off: {error}", code=error.code, channel_wide=False) from error
        attachment_id = a_text(answer.get("attachment_id"))
        if not attachment_id:
            raise RetryLater("the upload has no attachment_id", channel_wide=False)
        return attachment_id


# --- what a message shows ---


def _send_words(bot: PageBot, recipient: str, content: Content) -> Awaitable[Answer]:
    if content.cards:
        sent = bot.send_generic_message(recipient, [_element(card) for card in content.cards])
    elif content.links:
        sent = bot.send_button_message(recipient, content.text, _buttons((), content.links))
    elif content.choices:
        quick_replies = [{"content_type": "text", **_tapped(choice)} for choice in content.choices]
        sent = bot.send_message(recipient, {"text": content.text, "quick_replies": quick_replies})
    else:
        sent = bot.send_text_message(recipient, content.text)
    posted: Awaitable[Answer] = sent
    return posted


def _element(card: Card) -> Element:
    fields = {
        "title": card.title,
        "subtitle": card.subtitle,
        "image_url": card.image_url,
        "buttons": _buttons(card.choices, card.links),
    }
    return Element(**{name: value for name, value in fields.items() if value})


def _buttons(choices: Sequence[Choice], links: Sequence[Link]) -> list[Button]:
    return [
        *(Button(type="postback", **_tapped(choice)) for choice in choices),
        *(Button(type="web_url", title=link.title, url=link.url) for link in links),
    ]


def _tapped(choice: Choice) -> dict[str, str]:
    if len(choice.id) > MAX_PAYLOAD:
        raise Refused(f"a choice's id has at most {MAX_PAYLOAD} characters", code="choice_too_long")
    return {"title": choice.title, "payload": choice.id}


def _recipient(address: str) -> dict[str, str]:
    if address.startswith(USER_REF):
        return {"user_ref": address.removeprefix(USER_REF)}
    return {"id": address}


def _unpacked(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value.startswith("{") else value
