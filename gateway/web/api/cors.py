"""Pages of other origins: none may use the API but those that ``api.cors_origins`` names."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import hdrs, web

MAX_AGE_S = 600  # Chromium takes 2 h at most, and so does Firefox 24 h: a change of the configuration is seen soon
ALLOWED_HEADERS = "Authorization, Content-Type, Idempotency-Key"
SHOWN_HEADERS = "Idempotent-Replayed, Retry-After, WWW-Authenticate"


class Cors:
    """Tells browsers which pages may read answers (fetch.spec.whatwg.org, "CORS protocol")."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origins)

    def preflight(self, request: web.Request, methods: Iterable[str]) -> web.Response | None:
        """Answer a browser that asks before it asks; None where this is something else, or a page that may not."""
        asks = request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
        if not asks or not self._allows(request):
            return None
        return web.Response(
            status=204,
            headers={
                hdrs.ACCESS_CONTROL_ALLOW_METHODS: ", ".join(sorted(methods)),
                hdrs.ACCESS_CONTROL_ALLOW_HEADERS: ALLOWED_HEADERS,
                hdrs.ACCESS_CONTROL_MAX_AGE: str(MAX_AGE_S),
            },
        )

    def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        """Say on an answer that the page may read it."""
        if self._origins:
            response.headers[hdrs.VARY] = hdrs.ORIGIN
        if self._allows(request):
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = request.headers[hdrs.ORIGIN]
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = SHOWN_HEADERS

    def _allows(self, request: web.Request) -> bool:
        return request.headers.get(hdrs.ORIGIN) in self._origins
