"""The calls that hand a message to WhatsApp.

developers.facebook.com/documentation/business-messaging/whatsapp/reference/whatsapp-business-phone-number/message-api,
read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from channels.base import Outbound, Receipt
from channels.errors import OutcomeUnknown, RetryLater
from channels.meta.graph import Graph, own_node
from channels.meta.media import upload_of
from channels.meta.webhooks import a_list, a_text
from channels.whatsapp.people import address_of, is_user_id
from channels.whatsapp.wire import body_of, filename_of


async def send(graph: Graph, phone_number_id: str, outbound: Outbound) -> Receipt:
    """Post one message, after its file where that has to be uploaded.

    Raises:
        SendError: it was not sent, or nobody knows.
    """
    urls = outbound.content.attachment_urls
    body_of(outbound, {} if urls else None)  # what WhatsApp would refuse is refused before a file is uploaded
    file = await _file(graph, phone_number_id, urls[0]) if urls else None
    with own_node():
        answer = await graph.post(f"{phone_number_id}/messages", body_of(outbound, file))
    message_id = next((a_text(message.get("id")) for message in a_list(answer.get("messages"))), "")
    if not message_id:
        raise OutcomeUnknown("the answer names no message")
    return Receipt(message_id, recipient=_known_as(answer, outbound.recipient))


async def show_typing(graph: Graph, phone_number_id: str, message_id: str) -> None:
    """Mark a message as read, and show for up to 25 seconds that an answer is being written (.../typing-indicators).

    Raises:
        SendError: it could not be shown.
    """
    read = {"messaging_product": "whatsapp", "status": "read", "message_id": message_id}
    await graph.post(f"{phone_number_id}/messages", read | {"typing_indicator": {"type": "text"}})


def _known_as(answer: Mapping[str, Any], recipient: str) -> str | None:
    """Return the number under which WhatsApp knows the recipient, where it is spelled otherwise than ours."""
    contact = next(iter(a_list(answer.get("contacts"))), {})
    known = address_of(contact.get("wa_id"))
    return known if known and known != recipient and not is_user_id(recipient) else None


async def _file(graph: Graph, phone_number_id: str, url: str) -> dict[str, str]:
    """Return by what Meta finds a file, uploading it where its address is a ``data:`` URL."""
    upload = upload_of(url, "file")
    if upload is None:
        return {"link": url} | ({"filename": name} if (name := filename_of(url)) else {})
    fields = {"messaging_product": "whatsapp", "type": upload.content_type}
    try:
        with own_node():
            answer = await graph.upload(f"{phone_number_id}/media", fields, upload)
    except OutcomeUnknown as error:  # whether the file is there does not matter: nothing has been said
        raise RetryLater(f"the upload broke off: {error}", code=error.code, channel_wide=False) from error
    media_id = a_text(answer.get("id"))
    if not media_id:
        raise RetryLater("the upload has no id", channel_wide=False)
    return {"id": media_id, "filename": upload.filename}
