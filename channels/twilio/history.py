"""Twilio's log of messages: asked for what a webhook or an answer should have told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from channels.abilities import Polled
from channels.base import DeliveryStatus, Inbound, Outbound, Receipt
from channels.content import Content
from channels.twilio.codes import STATUSES
from channels.twilio.parsing import read_message
from channels.twilio.settings import TwilioSettings

if TYPE_CHECKING:
    from channels.twilio.client import LoggedMessage, TwilioApi  # they load the SDK

OVERLAP = timedelta(hours=1)  # messages that appeared late, and clocks that differ: the inbox knows the rest
POLL_LIMIT = 10_000  # messages in one poll: a month away of a busy number, and still little memory
FIND_LIMIT = 1_000  # messages to one recipient: far more than can be sent before an outcome is looked up
# www.twilio.com/docs/usage/tutorials/how-to-use-your-free-trial-account, read 2026-11
TRIAL_PREFIX = "Sent from your Twilio trial account - "


async def poll(api: TwilioApi, settings: TwilioSettings, checkpoint: Mapping[str, Any] | None, now: datetime) -> Polled:
    """List the messages to us since the checkpoint, oldest first.

    A first poll only begins: what customers wrote before that is nothing that they wait for an answer to.
    ``{"since": time of the last poll, "first": time of the first}``, both ISO 8601.

    Raises:
        SendError: Twilio cannot be asked.
    """
    if checkpoint is None:
        return Polled((), {"since": now.isoformat(), "first": now.isoformat()})
    first = checkpoint.get("first", checkpoint["since"])
    # Twilio's times have whole seconds.
    since = max(_time(checkpoint["since"]) - OVERLAP, _time(first)).replace(microsecond=0)
    asked = settings.sender if settings.messaging_service_sid is None else None
    messages = await api.messages(limit=POLL_LIMIT, to=asked, sent_since=since)
    ours = [message for message in messages if _is_to(settings, message) and _time_of(message, since) >= since]
    # Twilio lists the newest first: turned round, messages of one second keep the order in which they were written.
    ours.reverse()
    ours.sort(key=lambda message: _time_of(message, since))
    events = tuple([await _inbound(api, message) for message in ours])
    return Polled(events, {"since": now.isoformat(), "first": first})


async def find(api: TwilioApi, outbound: Outbound, since: datetime, known_ids: frozenset[str]) -> Receipt | None:
    """Return the oldest message like this one that was made since, or None.

    The whole log of the recipient is asked for, not only ``DateSent>=``: a message that still waits in Twilio's queue
    has been taken, but has no such date yet.

    Raises:
        SendError: Twilio cannot be asked.
    """
    since = since.replace(microsecond=0)
    alike = [
        message
        for message in await api.messages(limit=FIND_LIMIT, to=outbound.recipient)
        if _is_like(message, outbound)
        and message.sid not in known_ids
        and (message.created_at is None or message.created_at >= since)
    ]
    if not alike:
        return None
    oldest = min(alike, key=lambda message: message.created_at or since)
    return Receipt(oldest.sid, STATUSES.get(oldest.status, DeliveryStatus.SENT))


def _is_like(message: LoggedMessage, outbound: Outbound) -> bool:
    # A Messaging Service picks the sender after it has taken the message.
    from_us = not message.sender or outbound.account in (None, message.sender)
    return message.direction.startswith("outbound") and from_us and _says(message.text, outbound.content)


def _says(text: str, content: Content) -> bool:
    """Tell whether a logged text may be this content's; what an approved template says, Twilio alone knows."""
    if content.template is not None:
        return True
    said = content.location.words if content.location is not None else content.text
    return text.removeprefix(TRIAL_PREFIX).strip() == said.strip()


def _is_to(settings: TwilioSettings, message: LoggedMessage) -> bool:
    if message.direction != "inbound" or message.status != "received" or not message.sender:
        return False
    service = settings.messaging_service_sid
    return message.recipient == settings.sender or (service is not None and message.messaging_service_sid == service)


async def _inbound(api: TwilioApi, message: LoggedMessage) -> Inbound:
    """Return the event that the message's webhook would have told."""
    fields = {
        "MessageSid": message.sid,
        "From": message.sender,
        "To": message.recipient,
        "Body": message.text.replace("\0", ""),
        "NumSegments": message.num_segments,
        "MessagingServiceSid": message.messaging_service_sid or "",
    }
    attachments = tuple(await api.media(message.sid)) if message.num_media else ()
    return replace(read_message(fields), attachments=attachments, sent_at=message.sent_at or message.created_at)


def _time_of(message: LoggedMessage, otherwise: datetime) -> datetime:
    return message.sent_at or message.created_at or otherwise


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
