"""What the Graph API tells of an app, its tokens, its pages and its numbers.

Sources, read 2026-11: developers.facebook.com/docs/graph-api/reference, its pages app, debug_token, page and
page/subscribed_apps; developers.facebook.com/docs/whatsapp/business-management-api for numbers and accounts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.sandbox.meta.app import MetaApp
from gateway.sandbox.meta.errors import INVALID_TOKEN, Refusal, invalid, missing
from gateway.sandbox.meta.messenger import Messenger
from gateway.sandbox.meta.whatsapp import WhatsApp
from gateway.sandbox.meta.wire import BUSINESS_ACCOUNT, PAGE, Json

ME = "me"
NAME = "Sandbox"
PAGE_SCOPES = ("pages_messaging", "pages_manage_metadata", "pages_show_list")
NUMBER_SCOPES = ("whatsapp_business_messaging", "whatsapp_business_management")
NUMBER_DEFAULTS = ("verified_name", "code_verification_status", "display_phone_number", "quality_rating")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    token: str
    owners: frozenset[str]
    """The pages and numbers that the token may act for; none of them for the app's own token."""


class Directory:
    """Answers what is asked about things, each to whoever may know it."""

    def __init__(self, app: MetaApp, messenger: Messenger, whatsapp: WhatsApp) -> None:
        self._app = app
        self._messenger = messenger
        self._whatsapp = whatsapp

    def page(self, node: str, caller: Caller) -> str:
        """Return a page that the caller may act for; ``me`` is the caller's.

        Raises:
            Refusal: there is none.
        """
        pages = [page for page in self._app.pages if page in caller.owners and node in {page, ME}]
        if not pages:
            raise missing()
        return pages[0]

    def number(self, node: str, caller: Caller) -> str:
        """Return a phone_number_id that the caller may act for.

        Raises:
            Refusal: there is none.
        """
        if node not in self._app.numbers or node not in caller.owners:
            raise missing()
        return node

    def described(self, node: str, caller: Caller, fields: str) -> Json:
        """Return the fields that are asked for of a page, a number, a business account or a customer.

        Raises:
            Refusal: there is no such thing, or no such field.
        """
        if node in self._app.numbers:
            return _picked(self._number_fields(self.number(node, caller)), fields, NUMBER_DEFAULTS)
        if node in self._accounts(caller):
            return _picked({"id": node, "name": NAME, "currency": "USD", "timezone_id": "1"}, fields, ("name",))
        person = self._messenger.profile(node)
        if person is not None:
            return _picked({"id": node, **person}, fields, ("first_name", "last_name"))
        page = self.page(node, caller)
        return _picked({"id": page, "name": NAME, "category": "Local service"}, fields, ("name",))

    def app(self) -> Json:
        """Return the app."""
        return {
            "id": self._app.app_id,
            "name": NAME,
            "link": f"https://www.facebook.com/games/?app_id={self._app.app_id}",
        }

    def subscriptions(self, node: str, caller: Caller) -> Json:
        """Return where the app's webhooks go, for whoever has its own token.

        Raises:
            Refusal: another token asks.
        """
        if node != self._app.app_id or caller.token != self._app.token:
            raise missing()
        lines = ((PAGE, self._messenger), (BUSINESS_ACCOUNT, self._whatsapp))
        asked = {PAGE: self._app.page_fields, BUSINESS_ACCOUNT: self._app.account_fields}
        return {
            "data": [
                {
                    "object": kind,
                    "callback_url": line.configured_url(),
                    "active": True,
                    "fields": [{"name": name, "version": "v26.0"} for name in asked[kind]],
                }
                for kind, line in lines
                if line.configured_url()
            ]
        }

    def subscribed(self, node: str, caller: Caller) -> Json:
        """Return the apps that hear of what happens on a page or in a business account.

        Raises:
            Refusal: there is no such thing.
        """
        subscribed = node not in self._app.unsubscribed
        if node in self._accounts(caller):
            return {"data": [{"whatsapp_business_api_data": self.app()}] if subscribed else []}
        page = self.page(node, caller)
        fields = {"subscribed_fields": list(self._app.page_fields)}
        return {"data": [self.app() | fields] if page not in self._app.unsubscribed else []}

    def subscribe(self, node: str, caller: Caller, fields: str) -> Json:
        """Let the app hear of what happens on a page, as far as the fields say, or in a business account.

        Raises:
            Refusal: there is no such thing.
        """
        if node in self._accounts(caller):
            self._app.unsubscribed.discard(node)
            return {"success": True}
        page = self.page(node, caller)
        if not fields:
            raise invalid("The parameter subscribed_fields is required.")
        self._app.page_fields = tuple(fields.split(","))
        self._app.unsubscribed.discard(page)
        return {"success": True}

    def token(self, asked: str) -> Json:
        """Return what is known of a token, working or not."""
        if asked == self._app.token:
            return {"data": {"app_id": self._app.app_id, "type": "APP", "application": NAME, "is_valid": True}}
        try:
            owners = self._app.owners_of(asked)
        except Refusal as refusal:
            told: Json = {"code": INVALID_TOKEN, "message": "Invalid OAuth access token."}
            if refusal.subcode is not None:
                told["subcode"] = refusal.subcode
            return {"data": {"error": told, "is_valid": False, "scopes": []}}
        expires_at = self._app.expires_at.get(asked)
        of_page = bool(owners & self._app.pages.keys())
        return {
            "data": {
                "app_id": self._app.app_id,
                "type": "PAGE" if of_page else "SYSTEM_USER",
                "application": NAME,
                "expires_at": int(expires_at.timestamp()) if expires_at else 0,
                "data_access_expires_at": 0,
                "is_valid": True,
                "scopes": list(PAGE_SCOPES if of_page else NUMBER_SCOPES),
            }
        }

    def _accounts(self, caller: Caller) -> set[str]:
        accounts = self._app.business_accounts
        return {accounts[number] for number in self._app.numbers if number in caller.owners}

    def _number_fields(self, number: str) -> Json:
        return {
            "id": number,
            "verified_name": NAME,
            "display_phone_number": f"+{self._app.display_numbers[number]}",
            "code_verification_status": "VERIFIED",
            "quality_rating": "GREEN",
            "status": "CONNECTED",
            "name_status": "APPROVED",
            "account_mode": "LIVE",
            "platform_type": "CLOUD_API",
            "throughput": {"level": "STANDARD"},
            "health_status": {"can_send_message": "AVAILABLE", "entities": []},
            "webhook_configuration": {"application": self._whatsapp.configured_url() or ""},
        }


def _picked(told: Mapping[str, Any], fields: str, defaults: tuple[str, ...]) -> Json:
    asked = [field.partition("{")[0].strip() for field in fields.split(",")] if fields else list(defaults)
    unknown = [field for field in asked if field not in told]
    if unknown:
        raise invalid(f"Tried accessing nonexisting field ({unknown[0]})")
    return {field: told[field] for field in dict.fromkeys((*asked, "id"))}
