"""What a business sends on WhatsApp, and what is reported of it.

Sources, read 2026-11: developers.facebook.com/docs/whatsapp/cloud-api/reference/messages, and
developers.facebook.com/docs/whatsapp/cloud-api/webhooks for the statuses.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from gateway.sandbox.meta.app import MetaApp
from gateway.sandbox.meta.errors import TEXTS, Refusal, invalid
from gateway.sandbox.meta.files import Files
from gateway.sandbox.meta.line import Address, Line
from gateway.sandbox.meta.reports import FAILED
from gateway.sandbox.meta.webhooks import Webhooks
from gateway.sandbox.meta.whatsapp_fields import FILES
from gateway.sandbox.meta.whatsapp_people import People, Person, bare_of
from gateway.sandbox.meta.whatsapp_rules import PairRate, check, check_mark
from gateway.sandbox.meta.whatsapp_words import words_of
from gateway.sandbox.meta.wire import Json, Sent, Update, seconds

WINDOW = timedelta(hours=24)
UNDELIVERABLE = 131026
HREF = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/"


class Numbers(Line):
    """The numbers of one app.

    A customer is written to by number, or by business-scoped id where the number is hidden; ``people`` finds them.
    Outside 24 hours from the customer's last message only templates are taken.
    """

    default_failure = UNDELIVERABLE

    def __init__(self, app: MetaApp, webhooks: Webhooks, files: Files, webhook_url: Address) -> None:
        super().__init__(app, webhooks, webhook_url)
        self.people = People()
        self.newer_fields = True
        """Whether webhooks name business-scoped ids beside numbers."""
        self.templates: dict[tuple[str, str], int] | None = None
        """How many parameters the body of each approved template has, by name and language; None: all are taken."""
        self.pair_rate: PairRate | None = None
        """How fast one customer may be written to; None: as fast as one likes."""
        self._files = files
        self._wrote_at: dict[tuple[str, str], datetime] = {}

    def telephone(self, address: str) -> str:
        """Return what all addresses of one customer have in common."""
        return self.people.find(address).key

    def meet(self, sender: str, number: str | None = None, at: datetime | None = None) -> None:
        """Let a customer count as having written; now, where no time is given."""
        self._wrote_at[self._number(number), self.telephone(sender)] = at or self.app.clock()

    async def accept(self, account: str, body: Json) -> Json:
        """Take a message or a mark.

        Raises:
            Refusal: it is not taken.
        """
        if body.get("messaging_product") != "whatsapp":
            raise invalid("The parameter messaging_product is required.")
        if "status" in body:
            return self._mark(body)
        check(body)
        recipient = body.get("to") or body["recipient"]
        self._check_customer(account, recipient, body)
        self._check_files(account, body)
        person = self.people.find(recipient)
        sent = Sent(self._new_wamid(), account, recipient, body, words_of(body), self.app.clock())
        await self._take(sent)
        contact: Json = {"input": recipient, **person.ids("wa_id", "user_id", newer_fields=self.newer_fields)}
        paced = {"message_status": "accepted"} if body.get("type") == "template" else {}
        return {"messaging_product": "whatsapp", "contacts": [contact], "messages": [{"id": sent.id, **paced}]}

    def addresses(self, recipient: str) -> Iterable[str]:
        """Return everything that a customer may be called in the tables of refusals."""
        person = self.people.find(recipient)
        known = (recipient, person.user_id, person.phone or "", f"+{person.phone}", f"+{bare_of(recipient)}")
        return dict.fromkeys((*known, bare_of(recipient)))

    def _mark(self, body: Json) -> Json:
        check_mark(body)
        if body["message_id"] not in self._told:
            raise Refusal(131009, details="message_id is not valid")
        self.actions.append(body)
        return {"success": True}

    def _check_customer(self, number: str, recipient: str, body: Json) -> None:
        for address in self.addresses(recipient):
            self.app.check_recipient(address)
        if bare_of(recipient) == self.app.display_numbers[number]:
            raise Refusal(131021)
        pair, now = (number, self.telephone(recipient)), self.app.clock()
        if body.get("type") == "template":
            self._check_template(body["template"])
        elif now - self._wrote_at.get(pair, datetime.min.replace(tzinfo=now.tzinfo)) > WINDOW:
            raise Refusal(131047, details="More than 24 hours have passed since the recipient last replied.")
        if self.pair_rate is not None:
            self.pair_rate.check(pair, now)

    def _check_template(self, template: Json) -> None:
        if self.templates is None:
            return
        expected = self.templates.get((template["name"], template["language"]["code"]))
        if expected is None:
            raise Refusal(132001, details="template name does not exist in the language")
        bodies = [part for part in template.get("components", []) if part["type"] == "body"]
        given = sum(len(part.get("parameters", [])) for part in bodies)
        if given != expected:
            raise Refusal(132000, details=f"number of parameters ({given}) does not match ({expected})")

    def _check_files(self, number: str, body: Json) -> None:
        kind = body.get("type", "text")
        if kind in FILES and "id" in body[kind]:
            file = self._files.get(str(body[kind]["id"]))
            if file is None or file.owner != number:
                raise invalid(f"Param {kind}['id'] is not a valid whatsapp business account media attachment ID")

    def report(self, sent: Sent, step: str, code: int | None) -> Update:
        """Return the status of a message."""
        person = self.people.find(sent.recipient)
        told: Json = {"id": sent.id, "status": step, "timestamp": self._now()}
        told |= person.ids("recipient_id", "recipient_user_id", newer_fields=self.newer_fields)
        opaque = sent.body.get("biz_opaque_callback_data")
        more: Json = {"biz_opaque_callback_data": opaque} if opaque else {}
        if step == FAILED:
            more["errors"] = [_error(code or UNDELIVERABLE)]
        elif step != "read":
            more["pricing"] = _pricing(free=sent.body.get("type") != "template")
        return self._update("messages", sent.account, contacts=[self._contact(person)], statuses=[told | more])

    # --- shapes ---

    def _update(self, field: str, number: str | None, **value: Any) -> Update:
        number = self._number(number)
        metadata = {"display_phone_number": self._display(number), "phone_number_id": number}
        told = {"messaging_product": "whatsapp", "metadata": metadata, **value}
        return Update(self.app.business_accounts[number], field, told)

    def _contact(self, person: Person) -> Json:
        return person.contact(newer_fields=self.newer_fields)

    def _context(self, number: str | None, reply_to: str | None) -> Json:
        return {"context": {"from": self._display(number), "id": reply_to}} if reply_to else {}

    def _display(self, number: str | None) -> str:
        return self.app.display_numbers[self._number(number)]

    def _number(self, number: str | None) -> str:
        return number or next(iter(self.app.numbers))

    def _now(self) -> str:
        return seconds(self.app.clock())

    def _new_wamid(self) -> str:
        return f"wamid.{self.app.new_hex().upper()}"


def _error(code: int) -> Json:
    text = TEXTS.get(code, "Unknown error")
    return {"code": code, "title": text, "message": text, "error_data": {"details": text}, "href": HREF}


def _pricing(*, free: bool) -> Json:
    if free:
        return {"billable": False, "pricing_model": "PMP", "type": "free_customer_service", "category": "service"}
    return {"billable": True, "pricing_model": "PMP", "type": "regular", "category": "utility"}
