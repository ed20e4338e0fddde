"""``/api/openapi.json``, ``/api/docs`` and ``/api/docs/problems``: open to everybody, they tell nothing of anybody."""

from __future__ import annotations

import base64
import hashlib
import json

from aiohttp import hdrs, web

from gateway.web.api.html import STYLE, document_page, problems_page
from gateway.web.api.openapi import document
from gateway.web.api.problems import PAGE
from gateway.web.api.table import TABLE

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode("ascii")
HEADERS = {
    # Nothing is loaded, from here or from elsewhere, but the one style that stands in the page.
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    hdrs.CACHE_CONTROL: "max-age=300",
}


class Docs:
    """Serves the document and its pages, made once."""

    def __init__(self) -> None:
        described = document(TABLE)
        self._document = json.dumps(described)
        self._page = document_page(described)
        self._problems = problems_page()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Mount the three."""
        router.add_get("/api/openapi.json", self.document)
        router.add_get("/api/docs", self.page)
        router.add_get(PAGE, self.problems)

    async def document(self, _: web.Request) -> web.Response:
        """Answer with the document."""
        return web.Response(text=self._document, content_type="application/json", headers=HEADERS)

    async def page(self, _: web.Request) -> web.Response:
        """Answer with the document as a page."""
        return web.Response(text=self._page, content_type="text/html", headers=HEADERS)

    async def problems(self, _: web.Request) -> web.Response:
        """Answer with what each problem means."""
        return web.Response(text=self._problems, content_type="text/html", headers=HEADERS)
