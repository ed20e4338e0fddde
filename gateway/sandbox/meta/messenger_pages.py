"""What a page sends on Messenger, and what is reported of it.

Sources, read 2026-11: developers.facebook.com/docs/messenger-platform/reference/send-api, and its webhook reference for
echoes, deliveries and reads.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from gateway.sandbox.meta.app import MetaApp
from gateway.sandbox.meta.errors import (
    NO_MATCHING_USER,
    OUTSIDE_WINDOW,
    THREAD_OF_ANOTHER_APP,
    Refusal,
    invalid,
)
from gateway.sandbox.meta.files import Files
from gateway.sandbox.meta.line import Address, Line
from gateway.sandbox.meta.messenger_rules import PERSONS_TAG, address_of, attachments_of, check, words_of
from gateway.sandbox.meta.webhooks import Webhooks
from gateway.sandbox.meta.wire import Json, Sent, Update, milliseconds

WINDOW = timedelta(hours=24)
PERSONS_WINDOW = timedelta(days=7)


class Pages(Line):
    """The pages of one app.

    A customer who never wrote is unknown; ``meet`` makes one known. Where another app holds a customer's thread, what
    they write is only overheard (``standby``), and nothing may be sent to them.
    """

    def __init__(self, app: MetaApp, webhooks: Webhooks, files: Files, webhook_url: Address) -> None:
        super().__init__(app, webhooks, webhook_url)
        self.tells_mids = True
        """Whether reports of delivery name messages; older clients' name only a time."""
        self.threads: dict[str, str] = {}
        """The app that holds a customer's thread, where that is not this one."""
        self.names: dict[str, tuple[str, str]] = {}
        """The first and last names of customers; the others are Ann Example."""
        self._files = files
        self._wrote_at: dict[tuple[str, str], datetime] = {}

    def meet(self, sender: str, page: str | None = None, at: datetime | None = None) -> None:
        """Make a customer known, as if they had written; now, where no time is given."""
        self._wrote_at[self._page(page), sender] = at or self.app.clock()

    def profile(self, sender: str) -> Json | None:
        """Return what a page may know of a customer, or None where there is none."""
        if all(known != sender for _, known in self._wrote_at):
            return None
        first, last = self.names.get(sender, ("Ann", "Example"))
        return {"first_name": first, "last_name": last, "profile_pic": f"{self.app.url}/profile.jpg"}

    async def accept(self, account: str, body: Json) -> Json:
        """Take a message or an action.

        Raises:
            Refusal: it is not taken.
        """
        check(body)
        kind, recipient = address_of(body)
        self.app.check_recipient(recipient)
        self._check_customer(account, recipient, body)
        answer = {"recipient_id": recipient} if kind == "id" else {}
        message = body.get("message")
        if message is None:
            self.actions.append(body)
            return answer
        self._check_files(account, message)
        sent = Sent(self._new_mid(), account, recipient, body, words_of(message), self.app.clock())
        await self._take(sent)
        return {**answer, "message_id": sent.id}

    def _check_customer(self, page: str, recipient: str, body: Json) -> None:
        wrote_at = self._wrote_at.get((page, recipient))
        if wrote_at is None:
            raise Refusal(100, NO_MATCHING_USER)
        if recipient in self.threads:
            raise Refusal(10, THREAD_OF_ANOTHER_APP)
        window = PERSONS_WINDOW if body.get("tag") == PERSONS_TAG else WINDOW
        if body.get("message") is not None and self.app.clock() - wrote_at > window:
            raise Refusal(10, OUTSIDE_WINDOW)

    def _check_files(self, page: str, message: Json) -> None:
        for attachment in attachments_of(message):
            file_id = attachment["payload"].get("attachment_id")
            file = self._files.get(str(file_id)) if file_id is not None else None
            if file_id is not None and (file is None or file.owner != page):
                raise invalid("Param message[attachment][payload][attachment_id] is not known")

    def report(self, sent: Sent, step: str, code: int | None) -> Update:
        """Return the echo of a message, or the word that it was delivered or read."""
        if step == "sent":
            return self._echo(sent.account, sent.body["recipient"], self._echoed(sent), sent.at)
        told: Json = {"watermark": milliseconds(sent.at)}  # everything up to this message, which bears the same time
        if step == "delivered" and self.tells_mids:
            told["mids"] = [sent.id]
        event = self._envelope(sent.body["recipient"], {"id": sent.account})
        return Update(sent.account, "messaging", event | {"read" if step == "read" else "delivery": told})

    def _echoed(self, sent: Sent) -> Json:
        message = sent.body["message"]
        echoed: Json = {"is_echo": True, "app_id": int(self.app.app_id), "mid": sent.id}
        echoed |= {name: message[name] for name in ("text", "metadata") if name in message}
        attachments = [self._with_address(attachment) for attachment in attachments_of(message)]
        return echoed | ({"attachments": attachments} if attachments else {})

    def _with_address(self, attachment: Json) -> Json:
        """Return a file as echoes tell it: what was uploaded has an address by now."""
        file = self._files.get(str(attachment["payload"].get("attachment_id")))
        return attachment if file is None else {**attachment, "payload": {"url": self._files.public_url(file)}}

    # --- shapes ---

    def _said(self, sender: str, told: Json, page: str | None, field: str | None = None) -> Update:
        """Make the event of something that opens the window."""
        self.meet(sender, page)
        return self._event(sender, told, page, field)

    def _event(self, sender: str, told: Json, page: str | None, field: str | None = None) -> Update:
        page = self._page(page)
        field = field or ("standby" if sender in self.threads else "messaging")
        return Update(page, field, self._envelope({"id": sender}, {"id": page}) | told)

    def _echo(self, page: str, recipient: Json, message: Json, at: datetime | None = None) -> Update:
        return Update(page, "messaging", self._envelope({"id": page}, recipient, at) | {"message": message})

    def _envelope(self, sender: Json, recipient: Json, at: datetime | None = None) -> Json:
        return {"sender": sender, "recipient": recipient, "timestamp": milliseconds(at or self.app.clock())}

    def _page(self, page: str | None) -> str:
        return page or next(iter(self.app.pages))

    def _new_mid(self) -> str:
        return f"m_{self.app.new_hex()}"
