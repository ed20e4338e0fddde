"""Messenger's customers, and the pages' inboxes (developers.facebook.com/docs/messenger-platform, read 2026-11)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gateway.sandbox.meta.messenger_pages import Pages
from gateway.sandbox.meta.wire import Json, Update, milliseconds

PAGE_INBOX = "263902037430900"
"""The app behind the page's own inbox."""
KINDS = frozenset({"image", "video", "audio"})


class Messenger(Pages):
    """Messenger, as its customers use it."""

    # --- customers ---

    async def text(
        self,
        sender: str,
        text: str,
        mid: str | None = None,
        page: str | None = None,
        *,
        reply_to: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> int:
        """Let a customer write; ``extra`` fields are added to the message."""
        quoted = {"reply_to": {"mid": reply_to, "is_self_reply": False}} if reply_to else {}
        return await self._message(sender, {"text": text, **quoted, **(extra or {})}, mid, page)

    async def media(
        self,
        sender: str,
        content: bytes,
        content_type: str,
        text: str = "",
        mid: str | None = None,
        page: str | None = None,
        *,
        name: str = "",
    ) -> int:
        """Let a customer send a file."""
        main = content_type.partition("/")[0]
        file = self._files.add(self._page(page), content, content_type, name)
        attachment = {"type": main if main in KINDS else "file", "payload": {"url": self._files.public_url(file)}}
        return await self._message(sender, {**({"text": text} if text else {}), "attachments": [attachment]}, mid, page)

    async def quick_reply(
        self, sender: str, title: str, payload: str, mid: str | None = None, page: str | None = None
    ) -> int:
        """Let a customer tap a quick reply."""
        return await self._message(sender, {"text": title, "quick_reply": {"payload": payload}}, mid, page)

    async def standby(self, sender: str, text: str, mid: str | None = None, page: str | None = None) -> int:
        """Let a customer write to another app."""
        return await self._message(sender, {"text": text}, mid, page, field="standby")

    async def postback(
        self,
        sender: str,
        title: str,
        payload: str,
        mid: str | None = None,
        page: str | None = None,
        *,
        referral: Mapping[str, Any] | None = None,
    ) -> int:
        """Let a customer press a button."""
        mid = mid or self._new_mid()
        said: Json = {"mid": mid, "title": title, "payload": payload, **({"referral": referral} if referral else {})}
        if sender in self.threads:  # told, but not what was behind the button
            del said["payload"]
        return await self._once(mid, lambda: self._said(sender, {"postback": said}, page))

    async def reaction(
        self,
        sender: str,
        mid: str,
        emoji: str = "❤",
        reaction: str = "love",
        action: str = "react",
        page: str | None = None,
    ) -> int:
        """Let a customer react to a message, or take that back (``unreact``)."""
        said = {"reaction": reaction, "emoji": emoji, "action": action, "mid": mid}
        return await self.post(self._said(sender, {"reaction": said}, page))

    async def edit(self, sender: str, mid: str, text: str, num_edit: int = 1, page: str | None = None) -> int:
        """Let a customer change a message."""
        said = {"mid": mid, "text": text, "num_edit": num_edit}
        return await self.post(self._event(sender, {"message_edit": said}, page))

    async def read(self, sender: str, up_to: datetime | None = None, page: str | None = None) -> int:
        """Let a customer read everything up to a time."""
        watermark = milliseconds(up_to or self.app.clock())
        return await self.post(self._event(sender, {"read": {"watermark": watermark}}, page))

    async def referral(self, sender: str, ref: str, page: str | None = None, **more: Any) -> int:
        """Let a customer come back by a link or an advertisement."""
        said = {"ref": ref, "source": "SHORTLINK", "type": "OPEN_THREAD", **more}
        return await self.post(self._said(sender, {"referral": said}, page))

    async def opt_in(self, user_ref: str, ref: str = "", page: str | None = None) -> int:
        """Let somebody tick the checkbox of a page's plugin: they have no id yet, only a user_ref."""
        self.meet(user_ref, page)
        page = self._page(page)
        event = self._envelope({"user_ref": user_ref}, {"id": page})
        return await self.post(Update(page, "messaging", event | {"optin": {"ref": ref, "user_ref": user_ref}}))

    # --- the page's side ---

    async def person(
        self,
        recipient: str,
        text: str,
        mid: str | None = None,
        page: str | None = None,
        *,
        app_id: str | None = PAGE_INBOX,
    ) -> int:
        """Let a person answer in the page's inbox; ``app_id`` is None where the echo names none."""
        mid = mid or self._new_mid()
        named = {"app_id": int(app_id)} if app_id else {}
        message = {"is_echo": True, **named, "mid": mid, "text": text}
        if mid not in self._told:
            self._shown[recipient].append(text)
        return await self._once(mid, lambda: self._echo(self._page(page), {"id": recipient}, message))

    async def pass_thread(
        self, sender: str, to_app: str | None = None, page: str | None = None, metadata: str = ""
    ) -> int:
        """Let whoever holds a customer's thread pass it, to this app where no other is named."""
        return await self._hand(sender, "pass_thread_control", to_app or self.app.app_id, page, metadata)

    async def take_thread(
        self, sender: str, by_app: str = PAGE_INBOX, page: str | None = None, metadata: str = ""
    ) -> int:
        """Let another app take a customer's thread."""
        return await self._hand(sender, "take_thread_control", by_app, page, metadata)

    async def _hand(self, sender: str, how: str, to_app: str, page: str | None, metadata: str) -> int:
        from_app = self.threads.pop(sender, self.app.app_id)
        if to_app != self.app.app_id:
            self.threads[sender] = to_app
        told = {"previous_owner_app_id": from_app, "new_owner_app_id": to_app, "metadata": metadata}
        return await self.post(self._event(sender, {how: told}, page, field="messaging"))

    async def _message(
        self, sender: str, message: Json, mid: str | None, page: str | None, field: str | None = None
    ) -> int:
        mid = mid or self._new_mid()
        return await self._once(mid, lambda: self._said(sender, {"message": {"mid": mid, **message}}, page, field))
