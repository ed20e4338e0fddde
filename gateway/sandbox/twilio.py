"""A stand-in for Twilio: its REST API as the real SDK speaks it, and its customers' telephones."""

from __future__ import annotations

import base64
import hmac
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from aiohttp import web

from gateway.clock import Clock, utc_now
from gateway.sandbox.faults import Faults
from gateway.sandbox.twilio_account import Account
from gateway.sandbox.twilio_customers import CONCURRENCY, Customers
from gateway.sandbox.twilio_lists import BadQuery, page_json, select
from gateway.sandbox.twilio_reports import Reports
from gateway.sandbox.twilio_rules import Refusal, Sending
from gateway.sandbox.twilio_webhooks import Webhooks
from gateway.sandbox.twilio_wire import (
    API,
    File,
    Form,
    Message,
    account_json,
    media_json,
    message_json,
    number_json,
    service_json,
)

STORAGE = "/media-storage"
MAX_BODY_BYTES = 1024 * 1024
# The statuses with which Twilio's own JSON says that nothing was processed; others come from the servers before it.
SCRIPTED_CODES: Mapping[int, int] = {401: 20003, 404: 20404, 429: 20429, 503: 20503}

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class TwilioStandIn(Account):
    """One Twilio account over HTTP: accepts messages, reports on them, and posts what customers write.

    ``door`` is an origin that webhooks are really posted to, while the public address in ``webhook_url`` is signed.
    Set ``url`` to where the stand-in is served before a customer sends media.
    """

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        *,
        number: str,
        webhook_url: str | Callable[[], str] | None = None,
        door: str | None = None,
        services: Mapping[str, Collection[str]] | None = None,
        clock: Clock = utc_now,
        new_hex: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        super().__init__(
            account_sid,
            auth_token,
            number=number,
            webhook_url=webhook_url,
            services=services,
            clock=clock,
            new_hex=new_hex,
        )
        self.faults = Faults(body=_scripted)
        """What goes wrong when a message is to be sent."""
        self.read_faults = Faults(body=_scripted)
        """What goes wrong with everything else that is asked."""
        self.storage_url: str | None = None
        """The origin that media are redirected to, where that is another than ``url``."""
        self.webhooks = Webhooks(lambda: self.auth_token, new_hex=new_hex, door=door)
        self._customers = Customers(self, self.webhooks)
        self._reports = Reports(self, self.webhooks)
        self.inbound = self._customers.script
        """What becomes of customers' webhooks: ``ok``, ``lost``, ``twice``, ``late``."""
        self.callbacks = self._reports.script
        """What is reported of messages: the words of ``twilio_reports.REPORTS``."""

    # --- the customers' side ---

    async def text(
        self,
        sender: str,
        text: str = "",
        media: Sequence[tuple[bytes, str]] = (),
        sid: str | None = None,
        *,
        to: str | None = None,
        extra: Form | None = None,
    ) -> int:
        """Let a customer write, with files as (content, content type), and return the door's HTTP status.

        It is 0 where nobody answered, or where the script keeps the webhook back. The ``sid`` of an earlier message
        posts that one again. ``extra`` fields are added to the form.
        """
        return await self._customers.text(sender, text, media, sid, to=to, extra=extra)

    async def text_many(self, texts: Iterable[tuple[str, str]], concurrency: int = CONCURRENCY) -> list[int]:
        """Let many customers write (sender, text): each in order, ``concurrency`` of them at a time."""
        return await self._customers.text_many(texts, concurrency)

    async def settle(self) -> None:
        """Wait until all reports have been made and no webhook is kept back."""
        await self._customers.settle()
        await self._reports.settle()

    @property
    def callback_delay_s(self) -> float:
        """How long each report takes."""
        return self._reports.delay_s

    @callback_delay_s.setter
    def callback_delay_s(self, delay_s: float) -> None:
        self._reports.delay_s = delay_s

    # --- served ---

    def app(self) -> web.Application:
        """Return the server's application."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.add_routes(self.routes())
        app.on_cleanup.append(lambda _: self.close())
        return app

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, for an application that serves more than this, and that calls ``close`` at its end."""
        account = API + "/Accounts/{account}"
        return [
            web.post(f"{account}/Messages.json", self._create),
            web.get(f"{account}/Messages.json", self._reading(self._list)),
            web.get(f"{account}/Messages/{{sid}}.json", self._reading(self._message)),
            web.get(f"{account}/Messages/{{sid}}/Media.json", self._reading(self._media)),
            web.get(f"{account}/Messages/{{sid}}/Media/{{file}}", self._reading(self._file)),
            web.get(f"{account}/IncomingPhoneNumbers.json", self._reading(self._numbers)),
            web.get(f"{account}.json", self._reading(self._account)),
            web.get("/v1/Services/{sid}", self._reading(self._service)),
            web.get(f"{STORAGE}/{{sid}}/{{file}}", self._stored),
            web.route("*", f"{API}/{{rest:.*}}", self._reading(self._unknown)),
        ]

    async def close(self) -> None:
        """Stop reporting and close the connections."""
        await self._reports.close()
        await self.webhooks.close()

    # --- messages ---

    async def _create(self, request: web.Request) -> web.StreamResponse:
        return await self.faults.around(request, lambda: self._accept(request))

    async def _accept(self, request: web.Request) -> web.StreamResponse:
        sending = Sending.read(await request.post())
        refusal = self._unauthorized(request) or self.rules.refusal(sending)
        if refusal is not None:
            return _refused(refusal)
        message = self.accept(sending)
        answer = web.json_response(message_json(message, self.account_sid), status=201)
        await self._reports.begin(message)
        return answer

    async def _list(self, request: web.Request) -> web.StreamResponse:
        oldest_first = sorted(self.messages.values(), key=lambda message: message.shown_at)
        try:
            asked = select(reversed(oldest_first), request.query)
        except BadQuery:
            return _refused(Refusal(20001))
        return self._page(request, "messages", [message_json(message, self.account_sid) for message in asked])

    async def _message(self, request: web.Request) -> web.StreamResponse:
        message = self._found(request)
        return _missing() if message is None else web.json_response(message_json(message, self.account_sid))

    # --- media ---

    async def _media(self, request: web.Request) -> web.StreamResponse:
        message = self._found(request)
        if message is None:
            return _missing()
        files = [media_json(file, message, self.account_sid) for file in message.files]
        return self._page(request, "media_list", files)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        """Describe a file, or redirect to its content as Twilio does, to a server that wants no credentials."""
        name = request.match_info["file"]
        message, file = self._found(request), self._found_file(request)
        if message is None or file is None:
            return _missing()
        if name.endswith(".json"):
            return web.json_response(media_json(file, message, self.account_sid))
        origin = self.storage_url or str(request.url.origin())
        return web.Response(status=307, headers={"Location": f"{origin}{STORAGE}/{message.sid}/{file.sid}"})

    async def _stored(self, request: web.Request) -> web.StreamResponse:
        file = self._found_file(request)
        if file is None or file.content is None:
            return web.Response(status=404)
        if self.storage_url is not None and "Authorization" in request.headers:
            # Amazon S3 refuses a second kind of credentials; a client that leaks ours is found out here.
            return web.Response(status=400, text="Only one auth mechanism allowed")
        return web.Response(body=file.content, headers={"Content-Type": file.content_type})

    def _found(self, request: web.Request) -> Message | None:
        return self.messages.get(request.match_info["sid"])

    def _found_file(self, request: web.Request) -> File | None:
        message, sid = self._found(request), request.match_info["file"].removesuffix(".json")
        return next((file for file in message.files if file.sid == sid), None) if message else None

    # --- the account ---

    async def _account(self, _: web.Request) -> web.StreamResponse:
        return web.json_response(account_json(self.account_sid, self.made_at))

    async def _numbers(self, request: web.Request) -> web.StreamResponse:
        wanted = request.query.get("PhoneNumber", "")
        url = self.configured_url()
        rows = [
            number_json(number, f"PN{place:032x}", self.account_sid, url, self.made_at)
            for place, number in enumerate(sorted(self.rules.numbers))
            if wanted in number
        ]
        return self._page(request, "incoming_phone_numbers", rows)

    async def _service(self, request: web.Request) -> web.StreamResponse:
        sid = request.match_info["sid"]
        if sid not in self.rules.services:
            return _missing()
        return web.json_response(
            service_json(sid, self.account_sid, self.configured_url(), self.made_at, str(request.url.origin()))
        )

    async def _unknown(self, _: web.Request) -> web.StreamResponse:
        return _missing()

    # --- what all requests have in common ---

    def _reading(self, answer: Answer) -> Answer:
        """Put the script of failures and the credentials before an answer."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            refusal = self._unauthorized(request)
            return await answer(request) if refusal is None else _refused(refusal)

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self.read_faults.around(request, lambda: guarded(request))

        return handle

    def _unauthorized(self, request: web.Request) -> Refusal | None:
        credentials = base64.b64encode(f"{self.account_sid}:{self.auth_token}".encode()).decode()
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Basic {credentials}".encode()):
            return Refusal(20003)
        # Another account's resources are not there, as far as this one can see.
        return Refusal(20404) if request.match_info.get("account", self.account_sid) != self.account_sid else None

    def _page(self, request: web.Request, key: str, items: Sequence[dict[str, Any]]) -> web.StreamResponse:
        try:
            return web.json_response(page_json(request.path, request.query, key, items))
        except BadQuery:
            return _refused(Refusal(20001))


def _refused(refusal: Refusal) -> web.Response:
    return web.json_response(refusal.body(), status=refusal.status)


def _missing() -> web.Response:
    return _refused(Refusal(20404))


def _scripted(status: int) -> web.Response:
    code = SCRIPTED_CODES.get(status)
    if code is not None:
        return _refused(Refusal(code))
    return web.Response(status=status, text=f"<html><body><h1>{status}</h1></body></html>", content_type="text/html")
