"""The Graph API: calls with a bearer token, and its error envelope."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from channels.errors import CredentialsRejected, OutcomeUnknown, Refused, SendError
from channels.http import Http, HttpResponse, Upload
from channels.meta.settings import MetaSettings
from channels.meta.webhooks import a_list, a_map, a_text

TIMEOUT_S = 9.0
UPLOAD_TIMEOUT_S = 30.0
USAGE = "X-Business-Use-Case-Usage"
"""Says in minutes when a throttled business may call again (developers.facebook.com/docs/graph-api, Rate Limits)."""


@dataclass(frozen=True, slots=True)
class GraphFailure:
    """What an unsuccessful answer says."""

    status: int
    code: int | None
    """None where the answer has no envelope: it comes from a server before the API."""
    subcode: int | None
    message: str
    transient: bool
    retry_after_s: float | None

    @property
    def name(self) -> str:
        """The code for an operator and for the dead letters: ``131047``, ``10/2018278``, or the HTTP status."""
        if self.code is None:
            return str(self.status)
        return f"{self.code}/{self.subcode}" if self.subcode else str(self.code)


NOT_THERE = "100/33"
"""An object that does not exist, or not for this token (developers.facebook.com/docs/graph-api, Error Handling)."""


@contextmanager
def own_node() -> Iterator[None]:
    """Post to our own page or number inside: that it is not there for our token is a matter of credentials.

    Raises:
        CredentialsRejected: so it is.
    """
    try:
        yield
    except Refused as error:
        if error.code != NOT_THERE:
            raise
        raise CredentialsRejected(str(error), code=error.code) from error


class Graph:
    """Calls one version of the Graph API with one token.

    Every method raises SendError: what ``to_error`` makes of an unsuccessful answer, or what the connection says.
    """

    def __init__(
        self, http: Http, settings: MetaSettings, token: str, to_error: Callable[[GraphFailure], SendError]
    ) -> None:
        self._http = http
        self._base = f"{settings.api_base}/{settings.graph_version}"
        self._token = token
        self._authorization = f"Bearer {token}"
        self._proof = _proof(token, settings.app_secret.get_secret_value()) if settings.appsecret_proof else None
        self._to_error = to_error

    async def get(self, path: str, *, token: str | None = None, **query: str) -> dict[str, Any]:
        """Read something; ``token`` stands in for the channel's own."""
        authorization = self._authorization if token is None else f"Bearer {token}"
        answer = await self._http.request(
            "GET",
            self._url(path, query, own=token is None),
            headers={"Authorization": authorization},
            timeout_s=TIMEOUT_S,
        )
        return self._read(answer)

    async def debug_token(self, app_token: str) -> dict[str, Any]:
        """Read what Meta knows about the channel's token, asked in the name of its app (``APPID|APPSECRET``).

        developers.facebook.com/docs/graph-api/reference/debug_token, read 2026-11.
        """
        return await self.get("debug_token", token=app_token, input_token=self._token)

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Post JSON."""
        answer = await self._http.request(
            "POST",
            self._url(path, {}),
            headers={"Authorization": self._authorization},
            json=body,
            timeout_s=TIMEOUT_S,
        )
        return self._read(answer)

    async def upload(self, path: str, fields: Mapping[str, str], file: Upload) -> dict[str, Any]:
        """Post a form with a file."""
        answer = await self._http.request(
            "POST",
            self._url(path, {}),
            headers={"Authorization": self._authorization},
            data=list(fields.items()),
            file=file,
            timeout_s=UPLOAD_TIMEOUT_S,
        )
        return self._read(answer)

    def _url(self, path: str, query: Mapping[str, str], *, own: bool = True) -> str:
        asked = dict(query)
        if self._proof is not None and own:
            asked["appsecret_proof"] = self._proof
        return f"{self._base}/{path}?{urlencode(asked)}" if asked else f"{self._base}/{path}"

    def _read(self, answer: HttpResponse) -> dict[str, Any]:
        try:
            body = json.loads(answer.body)
        except (ValueError, RecursionError):
            body = None
        if 200 <= answer.status < 300 and isinstance(body, dict) and "error" not in body:
            return body
        if 200 <= answer.status < 300 and not isinstance(body, dict):
            raise OutcomeUnknown("an unreadable answer")
        raise self._to_error(_failure(answer, a_map(a_map(body).get("error"))))


def _failure(answer: HttpResponse, error: Mapping[str, Any]) -> GraphFailure:
    details = a_text(a_map(error.get("error_data")).get("details"))
    said = a_text(error.get("message")) or f"HTTP {answer.status}"
    trace = a_text(error.get("fbtrace_id"))  # what Meta's support asks for
    said = f"{said}: {details}" if details and details != said else said
    return GraphFailure(
        status=answer.status,
        code=_number(error.get("code")),
        subcode=_number(error.get("error_subcode")),
        message=f"{said} (fbtrace_id {trace})" if trace else said,
        transient=error.get("is_transient") is True,
        retry_after_s=answer.retry_after_s if answer.retry_after_s is not None else _regain_s(answer),
    )


def _number(value: Any) -> int | None:
    text = a_text(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _regain_s(answer: HttpResponse) -> float | None:
    """Return when a throttled business may call again, as the usage header says."""
    try:
        usage = json.loads(answer.headers.get(USAGE, "{}"))
    except (ValueError, RecursionError):
        return None
    minutes = [
        _number(use.get("estimated_time_to_regain_access")) or 0
        for uses in a_map(usage).values()
        for use in a_list(uses)
    ]
    return max(minutes) * 60.0 if any(minutes) else None


def _proof(token: str, app_secret: str) -> str:
    """Return the appsecret_proof (developers.facebook.com/docs/graph-api/guides/secure-requests, read 2026-11)."""
    return hmac.digest(app_secret.encode(), token.encode(), hashlib.sha256).hex()
