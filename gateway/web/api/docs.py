"""``/api/openapi.json``, ``/api/docs`` and ``/api/docs/problems``: open to everybody, they tell nothing of anybody."""

from __future__ import annotations

import base64
import hashlib
import json

from aiohttp import hdrs, web

from gateway.web.api.html import STYLE, document_page, problems_page
from gateway.web.api.openapi import document
from gateway.web.api.problems import PAGE, method_not_allowed
from gateway.web.api.reading import expect
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
        for path, text, content_type in (
            ("/api/openapi.json", self._document, "application/json"),
            ("/api/docs", self._page, "text/html"),
            (PAGE, self._problems, "text/html"),
        ):
            router.add_route(hdrs.METH_ANY, path, _Page(text, content_type).handle, expect_handler=expect)


class _Page:
    """One of the three."""

    def __init__(self, text: str, content_type: str) -> None:
        self._text = text
        self._content_type = content_type

    async def handle(self, request: web.Request) -> web.Response:
        if request.method not in (hdrs.METH_GET, hdrs.METH_HEAD):
            return method_not_allowed([hdrs.METH_GET]).response(request.rel_url.raw_path)
        return web.Response(text=self._text, content_type=self._content_type, headers=HEADERS)
