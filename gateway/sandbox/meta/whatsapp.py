"""WhatsApp's customers, and the owner who answers in the app (developers.facebook.com/docs/whatsapp, read 2026-11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.sandbox.meta.whatsapp_fields import FILES
from gateway.sandbox.meta.whatsapp_numbers import Numbers
from gateway.sandbox.meta.wire import Json, Sent, Update

PREFERENCES = {"stop": "User requested to stop marketing messages", "resume": "User requested to resume them"}


class WhatsApp(Numbers):
    """WhatsApp, as its customers use it."""

    # --- customers ---

    async def text(
        self,
        sender: str,
        text: str,
        wamid: str | None = None,
        number: str | None = None,
        *,
        reply_to: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> int:
        """Let a customer write; ``extra`` fields are added to the message, such as a referral."""
        more = {**self._context(number, reply_to), **(extra or {})}
        return await self.message(sender, "text", {"body": text}, wamid, number, **more)

    async def media(
        self,
        sender: str,
        content: bytes,
        content_type: str,
        caption: str = "",
        wamid: str | None = None,
        number: str | None = None,
        *,
        kind: str | None = None,
        name: str = "",
        **more: Any,
    ) -> int:
        """Let a customer send a file; ``more`` is told of it, such as ``voice=True``."""
        main = content_type.partition("/")[0]
        kind = kind or ("sticker" if content_type == "image/webp" else main if main in FILES else "document")
        file = self._files.add(self._number(number), content, content_type, name)
        named = {**({"caption": caption} if caption else {}), **({"filename": name} if name else {})}
        return await self.message(sender, kind, {**file.reference(), **named, **more}, wamid, number)

    async def location(
        self,
        sender: str,
        latitude: float,
        longitude: float,
        *,
        wamid: str | None = None,
        number: str | None = None,
        **more: str,
    ) -> int:
        """Let a customer share a place."""
        told = {"latitude": latitude, "longitude": longitude, **more}
        return await self.message(sender, "location", told, wamid, number)

    async def button_reply(
        self,
        sender: str,
        title: str,
        payload: str,
        wamid: str | None = None,
        number: str | None = None,
        *,
        reply_to: str | None = None,
    ) -> int:
        """Let a customer tap a reply button."""
        reply = {"type": "button_reply", "button_reply": {"id": payload, "title": title}}
        return await self.message(sender, "interactive", reply, wamid, number, **self._context(number, reply_to))

    async def list_reply(
        self,
        sender: str,
        title: str,
        payload: str,
        wamid: str | None = None,
        number: str | None = None,
        *,
        description: str | None = None,
        reply_to: str | None = None,
    ) -> int:
        """Let a customer pick a row of a list."""
        row = {"id": payload, "title": title, **({"description": description} if description else {})}
        reply = {"type": "list_reply", "list_reply": row}
        return await self.message(sender, "interactive", reply, wamid, number, **self._context(number, reply_to))

    async def template_button(
        self,
        sender: str,
        title: str,
        payload: str,
        wamid: str | None = None,
        number: str | None = None,
        *,
        reply_to: str | None = None,
    ) -> int:
        """Let a customer tap a button of a template."""
        button = {"payload": payload, "text": title}
        return await self.message(sender, "button", button, wamid, number, **self._context(number, reply_to))

    async def reaction(
        self, sender: str, message_id: str, emoji: str, wamid: str | None = None, number: str | None = None
    ) -> int:
        """Let a customer react to a message; an empty emoji takes that back."""
        return await self.message(sender, "reaction", {"message_id": message_id, "emoji": emoji}, wamid, number)

    async def edit(
        self, sender: str, original: str, text: str, wamid: str | None = None, number: str | None = None
    ) -> int:
        """Let a customer change a message."""
        message = {"context": {"id": "M0"}, "type": "text", "text": {"body": text}}
        told = {"original_message_id": original, "message": message}
        return await self.message(sender, "edit", told, wamid, number)

    async def revoke(self, sender: str, original: str, wamid: str | None = None, number: str | None = None) -> int:
        """Let a customer take a message back."""
        return await self.message(sender, "revoke", {"original_message_id": original}, wamid, number)

    async def message(
        self, sender: str, kind: str, content: Any, wamid: str | None = None, number: str | None = None, **more: Any
    ) -> int:
        """Let a customer send a message of any type; ``more`` stands beside its content."""
        wamid = wamid or self._new_wamid()

        def make() -> Update:
            person = self.people.find(sender)
            self.meet(sender, number)
            base = person.ids("from", "from_user_id", newer_fields=self.newer_fields)
            told = base | {"id": wamid, "timestamp": self._now(), **more, "type": kind, kind: content}
            return self._update("messages", number, contacts=[self._contact(person)], messages=[told])

        return await self._once(wamid, make)

    async def change_number(
        self, sender: str, phone: str, user_id: str | None = None, number: str | None = None
    ) -> int:
        """Let a customer move to another number; from now on they are found by both."""
        person = self.people.find(sender)
        told: Json = {"from": person.phone, "id": self._new_wamid(), "timestamp": self._now(), "type": "system"}
        before = person.phone
        self.people.move(person, phone, user_id)
        told["system"] = {
            "type": "user_changed_number",
            "body": f"User {person.name} changed from {before} to {person.phone}",
            **person.ids("wa_id", "user_id", newer_fields=self.newer_fields),
        }
        return await self.post(self._update("messages", number, messages=[told]))

    async def preference(self, sender: str, value: str, number: str | None = None) -> int:
        """Let a customer ``stop`` or ``resume`` marketing messages."""
        person = self.people.find(sender)
        told = person.ids("wa_id", "user_id", newer_fields=self.newer_fields) | {
            "detail": PREFERENCES.get(value, value),
            "category": "marketing_messages",
            "value": value,
            "timestamp": int(self._now()),
        }
        return await self.post(
            self._update("user_preferences", number, contacts=[self._contact(person)], user_preferences=[told])
        )

    # --- the business's side ---

    async def owner(self, recipient: str, text: str, wamid: str | None = None, number: str | None = None) -> int:
        """Let the owner answer in the WhatsApp Business app."""
        wamid = wamid or self._new_wamid()
        person = self.people.find(recipient)
        told: Json = {"from": self._display(number)}
        told |= person.ids("to", "to_user_id", newer_fields=self.newer_fields)
        told |= {"id": wamid, "timestamp": self._now(), "type": "text", "text": {"body": text}}
        if wamid not in self._told:
            self._shown[person.key].append(text)
        return await self._once(wamid, lambda: self._update("smb_message_echoes", number, message_echoes=[told]))

    async def status(self, sent: Sent, status: str, code: int | None = None) -> int:
        """Report on a message of ours, out of turn."""
        return await self.post(self.report(sent, status, code))

    async def change(self, field: str, number: str | None = None, **value: Any) -> int:
        """Tell anything else, under any field."""
        return await self.post(self._update(field, number, **value))
