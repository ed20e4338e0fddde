"""One Meta app: its secret, its pages and numbers with their tokens, and what is to go wrong."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from aiohttp import web

from gateway.clock import Clock, utc_now
from gateway.sandbox.faults import Faults, Script
from gateway.sandbox.meta.errors import EXPIRED, INVALID_TOKEN, Refusal, invalid

APP_ID = "151000"
BUSINESS_ACCOUNT_ID = "102290129340398"
# What Meta's own JSON says with these statuses; others come from the servers before it.
SCRIPTED_CODES: Mapping[int, int] = {400: 100, 401: INVALID_TOKEN, 429: 4, 503: 2}
PAGE_FIELDS: tuple[str, ...] = (
    "messages",
    "messaging_postbacks",
    "message_echoes",
    "message_deliveries",
    "message_reads",
    "message_reactions",
    "message_edits",
    "messaging_referrals",
    "messaging_optins",
    "messaging_handovers",
    "standby",
)
ACCOUNT_FIELDS: tuple[str, ...] = ("messages", "smb_message_echoes", "user_preferences")


def default_hex() -> str:
    """Return 32 hexadecimal digits that nobody has had."""
    return uuid.uuid4().hex


class MetaApp:
    """What is so at Meta, whoever asks."""

    def __init__(
        self,
        app_secret: str,
        *,
        verify_token: str,
        app_id: str = APP_ID,
        pages: Mapping[str, str] | None = None,
        numbers: Mapping[str, str] | None = None,
        display_numbers: Mapping[str, str] | None = None,
        business_accounts: Mapping[str, str] | None = None,
        clock: Clock = utc_now,
        new_hex: Callable[[], str] = default_hex,
    ) -> None:
        self.app_secret = app_secret
        self.verify_token = verify_token
        self.app_id = app_id
        self.pages = dict(pages or {})
        """The token of each page."""
        self.numbers = dict(numbers or {})
        """The token of each phone_number_id."""
        shown = {number: f"1555{place:07}" for place, number in enumerate(self.numbers, start=100_001)}
        self.display_numbers = shown | dict(display_numbers or {})
        """How customers know each phone_number_id: digits without a plus sign."""
        self.business_accounts = dict.fromkeys(self.numbers, BUSINESS_ACCOUNT_ID) | dict(business_accounts or {})
        """Whose each phone_number_id is."""
        self.expires_at: dict[str, datetime] = {}
        """When a token expires, where it does."""
        self.requires_proof = False
        """Whether every call has to carry appsecret_proof."""
        self.page_fields, self.account_fields = PAGE_FIELDS, ACCOUNT_FIELDS
        """What the app asks to be told of."""
        self.unsubscribed: set[str] = set()
        """Pages and business accounts that tell the app nothing, as far as the Graph API says: webhooks still come."""
        self.refusals: dict[str, tuple[int, int, int | None]] = {}
        """Recipients that are always refused: HTTP status, code and subcode."""
        self.undelivered: dict[str, int] = {}
        """Recipients whose WhatsApp messages are accepted and not delivered, and the code that is reported."""
        self.url = "https://graph.facebook.com"
        """Where the API is served: files have their addresses there."""
        self.clock = clock
        self.new_hex = new_hex
        self.faults = Faults(body=self._scripted)
        """What goes wrong when a message is to be sent."""
        self.read_faults = Faults(body=self._scripted)
        """What goes wrong with everything else that is asked."""
        self.callbacks = Script()
        """What is reported of messages: the words of ``graph_reports.WORDS``."""
        self.inbound = Script()
        """What becomes of customers' webhooks: ``ok``, ``lost``, ``twice``, ``late``."""

    def new_number(self) -> str:
        """Return an id as Meta gives them to things: digits."""
        return str(int(self.new_hex()[:13], 16) + 10**15)

    def owners_of(self, token: str) -> set[str]:
        """Return the pages and numbers that a token may act for.

        Raises:
            Refusal: it is no token of the app, or it has expired.
        """
        known = {owner for tokens in (self.pages, self.numbers) for owner, held in tokens.items() if _same(held, token)}
        if not known:
            raise Refusal(INVALID_TOKEN)
        expires_at = self.expires_at.get(token)
        if expires_at is not None and expires_at <= self.clock():
            raise Refusal(INVALID_TOKEN, EXPIRED)
        return known

    @property
    def token(self) -> str:
        """The app's own token (developers.facebook.com/docs/facebook-login/guides/access-tokens, read 2026-11)."""
        return f"{self.app_id}|{self.app_secret}"

    def check_proof(self, token: str, proof: str | None) -> None:
        """Return if a call proves that it knows the app's secret, or need not.

        Raises:
            Refusal: otherwise (developers.facebook.com/docs/graph-api/guides/secure-requests, read 2026-11).
        """
        expected = hmac.digest(self.app_secret.encode(), token.encode(), hashlib.sha256).hex()
        if proof is None and self.requires_proof:
            raise invalid("API calls from the server require an appsecret_proof argument")
        if proof is not None and not _same(proof, expected):
            raise invalid("Invalid appsecret_proof provided in the API argument")

    def check_recipient(self, recipient: str) -> None:
        """Return unless the recipient is one of ``refusals``.

        Raises:
            Refusal: the one that stands there.
        """
        refused = self.refusals.get(recipient)
        if refused is not None:
            status, code, subcode = refused
            raise Refusal(code, subcode, status=status)

    def refused(self, refusal: Refusal) -> web.Response:
        """Return the answer of a refusal."""
        body: dict[str, Any] = refusal.body(self.new_hex())
        return web.json_response(body, status=refusal.status)

    def _scripted(self, status: int) -> web.Response:
        code = SCRIPTED_CODES.get(status)
        if code is not None:
            return self.refused(Refusal(code, status=status))
        page = f"<html><body><h1>{status}</h1></body></html>"
        return web.Response(status=status, text=page, content_type="text/html")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))
