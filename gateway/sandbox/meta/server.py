"""A stand-in for Meta: the Graph API of Messenger and WhatsApp, and the customers of both."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from aiohttp.web_request import FileField
from multidict import MultiMapping

from gateway.clock import Clock, utc_now
from gateway.sandbox.faults import Faults
from gateway.sandbox.meta.app import APP_ID, MetaApp, default_hex
from gateway.sandbox.meta.directory import Caller, Directory
from gateway.sandbox.meta.errors import INVALID_TOKEN, Refusal, invalid, missing
from gateway.sandbox.meta.files import PUBLIC, TEMPORARY, File, Files
from gateway.sandbox.meta.line import Address
from gateway.sandbox.meta.messenger import Messenger
from gateway.sandbox.meta.messenger_rules import FILES as ATTACHMENTS
from gateway.sandbox.meta.messenger_rules import check_attachment
from gateway.sandbox.meta.webhooks import Webhooks
from gateway.sandbox.meta.whatsapp import WhatsApp
from gateway.sandbox.meta.wire import Json

API = r"/{version:v\d+\.\d+}"
MAX_BODY_BYTES = 110 * 1024 * 1024  # WhatsApp takes documents of 100 MB
BEARER = "Bearer "

Answer = Callable[[web.Request, Caller], Awaitable[Json]]


class MetaStandIn(MetaApp):
    """One Meta app over HTTP: accepts messages for its pages and numbers, reports on them, and posts what is written.

    ``door`` is an origin that webhooks are really posted to, whatever the configured addresses are. Set ``url`` to
    where the stand-in is served before a customer sends a file. ``messenger`` and ``whatsapp`` are its customers.
    """

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
        messenger_url: Address = None,
        whatsapp_url: Address = None,
        door: str | None = None,
        clock: Clock = utc_now,
        new_hex: Callable[[], str] = default_hex,
    ) -> None:
        super().__init__(
            app_secret,
            verify_token=verify_token,
            app_id=app_id,
            pages=pages,
            numbers=numbers,
            display_numbers=display_numbers,
            business_accounts=business_accounts,
            clock=clock,
            new_hex=new_hex,
        )
        self.webhooks = Webhooks(app_secret, door=door)
        self.files = Files(self)
        self.messenger = Messenger(self, self.webhooks, self.files, messenger_url)
        self.whatsapp = WhatsApp(self, self.webhooks, self.files, whatsapp_url)
        self._directory = Directory(self, self.messenger, self.whatsapp)

    async def settle(self) -> None:
        """Wait until all reports have been made and no webhook is kept back."""
        for line in (self.messenger, self.whatsapp):
            await line.settle()

    @property
    def callback_delay_s(self) -> float:
        """How long each report takes."""
        return self.messenger.reports.delay_s

    @callback_delay_s.setter
    def callback_delay_s(self, delay_s: float) -> None:
        for line in (self.messenger, self.whatsapp):
            line.reports.delay_s = delay_s

    # --- served ---

    def app(self) -> web.Application:
        """Return the server's application."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.add_routes(self.routes())
        app.on_cleanup.append(lambda _: self.close())
        return app

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, for an application that serves more than this, and that calls ``close`` at its end.

        Its ``client_max_size`` is the size of the largest file that can be uploaded.
        """
        reading = self.read_faults
        return [
            web.post(f"{API}/{{node}}/messages", self._calling(self._send, self.faults)),
            web.post(f"{API}/{{node}}/message_attachments", self._calling(self._attach, reading)),
            web.post(f"{API}/{{node}}/media", self._calling(self._upload, reading)),
            web.get(f"{API}/app", self._calling(self._app, reading)),
            web.get(f"{API}/debug_token", self._calling(self._token, reading)),
            web.get(f"{API}/{{node}}/subscribed_apps", self._calling(self._subscribed, reading)),
            web.post(f"{API}/{{node}}/subscribed_apps", self._calling(self._subscribe, reading)),
            web.get(f"{API}/{{node}}/subscriptions", self._calling(self._subscriptions, reading)),
            web.get(f"{API}/{{node}}", self._calling(self._node, reading)),
            web.delete(f"{API}/{{node}}", self._calling(self._remove, reading)),
            web.route("*", f"{API}/{{rest:.*}}", self._calling(self._unknown, reading)),
            web.get(TEMPORARY, self._download),
            web.get(f"{PUBLIC}/{{file}}/{{name}}", self._public),
        ]

    async def close(self) -> None:
        """Stop reporting and close the connections."""
        for line in (self.messenger, self.whatsapp):
            await line.reports.close()
        await self.webhooks.close()

    # --- messages ---

    async def _send(self, request: web.Request, caller: Caller) -> Json:
        node = request.match_info["node"]
        if node in self.numbers:
            return await self.whatsapp.accept(self._directory.number(node, caller), await _json(request))
        return await self.messenger.accept(self._directory.page(node, caller), await _json(request))

    # --- files ---

    async def _attach(self, request: web.Request, caller: Caller) -> Json:
        """Keep a file for Messenger: one that comes along, or one that Meta would fetch."""
        page = self._directory.page(request.match_info["node"], caller)
        if not request.content_type.startswith("multipart/"):
            message = (await _json(request)).get("message")
            payload = check_attachment(message.get("attachment") if isinstance(message, dict) else None)
            return {"attachment_id": self.files.add(page, b"", "", payload.get("url", "")).id}
        form = await _form(request)
        file = form.get("filedata")
        if not isinstance(file, FileField) or not _is_attachment(form.get("message")):
            raise invalid("The parameters message and filedata are required")
        kept = self.files.attach(page, file.file.read(), file.content_type, file.filename)
        return {"attachment_id": kept.id}

    async def _upload(self, request: web.Request, caller: Caller) -> Json:
        number = self._directory.number(request.match_info["node"], caller)
        form = await _form(request)
        file = form.get("file")
        if form.get("messaging_product") != "whatsapp" or not isinstance(file, FileField):
            raise invalid("The parameters messaging_product and file are required.")
        return {"id": self.files.upload(number, file.file.read(), file.content_type, file.filename).id}

    def _file(self, request: web.Request, caller: Caller) -> File:
        owner = request.query.get("phone_number_id")
        file = self.files.found(request.match_info["node"], set(caller.owners))
        if owner is not None and owner != file.owner:
            raise missing()
        return file

    async def _remove(self, request: web.Request, caller: Caller) -> Json:
        self.files.remove(self._file(request, caller))
        return {"success": True}

    async def _download(self, request: web.Request) -> web.StreamResponse:
        """Give a file of WhatsApp's to whoever has an address that is young enough, and a token."""
        return await self.read_faults.around(request, lambda: self._file_behind(request))

    async def _file_behind(self, request: web.Request) -> web.StreamResponse:
        try:
            caller = self._caller(request)
        except Refusal as refusal:
            return self.refused(refusal)
        file = self.files.behind(request.query.get("hash", ""))
        if file is None or file.owner not in caller.owners:
            return web.Response(status=404)
        return web.Response(body=file.content, headers={"Content-Type": file.content_type})

    async def _public(self, request: web.Request) -> web.StreamResponse:
        """Give a file of Messenger's to anybody; a client that leaks our token to the CDN is found out here."""
        file = self.files.get(request.match_info["file"])
        if file is None or file.owner not in self.pages:
            return web.Response(status=404)
        if "Authorization" in request.headers:
            return web.Response(status=400, text="Bad credentials")
        return web.Response(body=file.content, headers={"Content-Type": file.content_type})

    # --- the app and what it has ---

    async def _app(self, _: web.Request, __: Caller) -> Json:
        return self._directory.app()

    async def _token(self, request: web.Request, _: Caller) -> Json:
        return self._directory.token(request.query.get("input_token", ""))

    async def _subscribed(self, request: web.Request, caller: Caller) -> Json:
        return self._directory.subscribed(request.match_info["node"], caller)

    async def _subscribe(self, request: web.Request, caller: Caller) -> Json:
        fields = request.query.get("subscribed_fields") or str((await _form(request)).get("subscribed_fields", ""))
        return self._directory.subscribe(request.match_info["node"], caller, fields)

    async def _subscriptions(self, request: web.Request, caller: Caller) -> Json:
        return self._directory.subscriptions(request.match_info["node"], caller)

    async def _node(self, request: web.Request, caller: Caller) -> Json:
        node = request.match_info["node"]
        if self.files.get(node) is not None:
            return self.files.describe(self._file(request, caller))
        return self._directory.described(node, caller, request.query.get("fields", ""))

    async def _unknown(self, _: web.Request, __: Caller) -> Json:
        raise missing()

    # --- what all calls have in common ---

    def _calling(self, answer: Answer, faults: Faults) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Put the script of failures and the credentials before an answer, and make refusals of what it raises."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                return web.json_response(await answer(request, self._caller(request)))
            except Refusal as refusal:
                return self.refused(refusal)

        async def handle(request: web.Request) -> web.StreamResponse:
            return await faults.around(request, lambda: guarded(request))

        return handle

    def _caller(self, request: web.Request) -> Caller:
        header = request.headers.get("Authorization", "")
        given = header.removeprefix(BEARER) if header.startswith(BEARER) else request.query.get("access_token", "")
        if not given:
            raise Refusal(INVALID_TOKEN)
        if given == self.token:  # it holds the secret itself
            return Caller(given, frozenset())
        owners = frozenset(self.owners_of(given))
        self.check_proof(given, request.query.get("appsecret_proof"))
        return Caller(given, owners)


async def _json(request: web.Request) -> Json:
    try:
        body: Any = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise invalid("The body is not JSON") from error
    if not isinstance(body, dict):
        raise invalid("The body is not a JSON object")
    return body


async def _form(request: web.Request) -> MultiMapping[Any]:
    try:
        return await request.post()
    except ValueError as error:
        raise invalid("The body is not a form") from error


def _is_attachment(message: Any) -> bool:
    """Tell whether the field beside an uploaded file says what kind it is."""
    try:
        read = json.loads(message) if isinstance(message, str) else None
    except (ValueError, RecursionError):
        return False
    attachment = read.get("attachment") if isinstance(read, dict) else None
    return isinstance(attachment, dict) and attachment.get("type") in ATTACHMENTS
