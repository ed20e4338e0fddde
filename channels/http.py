"""The one pooled HTTP client: a timeout on everything, failures named by what the caller should do next.

``request`` talks to a platform's API. ``fetch`` downloads a file from an address that a stranger may have chosen.
``post`` tells something to an address that leads, unless its owner says otherwise, to the open internet only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from io import BytesIO
from socket import AF_INET, AddressFamily
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp.abc import ResolveResult
from multidict import CIMultiDict
from yarl import URL

from channels.addresses import is_public
from channels.errors import MediaLater, MediaRefused, OutcomeUnknown, Refused, RetryLater

MAX_ANSWER_BYTES = 8 * 1024 * 1024  # 1000 messages of 1600 characters, as Twilio lists them, are 5 MB
MAX_REDIRECTS = 5
NOT_PUBLIC = "not_public"
"""The code of a refusal to go to an address that is not on the open internet."""
MAX_CONNECT_S = 5.0
"""A connect that takes longer is given up: the rest of the time belongs to the answer."""

_CHUNK_BYTES = 64 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LATER = frozenset({404, 408, 425, 429})  # 404 too: a webhook can be faster than the platform's own storage
_NO_TIMEOUT = aiohttp.ClientTimeout()

_Origin = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A whole answer, of whatever status."""

    status: int
    headers: Mapping[str, str]
    """Names in any case."""
    body: bytes

    @property
    def retry_after_s(self) -> float | None:
        """The seconds that the server asks us to wait (RFC 9110 10.2.3), or None; a date counts from its own clock."""
        value = self.headers.get("Retry-After", "").strip()
        if value.isascii() and value.isdigit() and len(value) < 10:
            return float(value)
        try:
            wait = parsedate_to_datetime(value) - parsedate_to_datetime(self.headers.get("Date", ""))
        except (TypeError, ValueError):  # absent or unreadable, or only one of the two names its time zone
            return None
        return max(0.0, wait.total_seconds())


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in a form (RFC 7578)."""

    field: str
    filename: str
    content_type: str
    content: bytes


class _NotPublic(OSError):
    """A name that leads to an address which is not on the open internet."""


class _PublicResolver(aiohttp.ThreadedResolver):
    """Resolves names to public addresses only.

    The connection goes to exactly the addresses that were checked here, so a name that changes its mind between a
    check and a connect (DNS rebinding) wins nothing.
    """

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AF_INET) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        if not all(is_public(address["host"]) for address in found):
            raise _NotPublic("the name leads to an address that is not public")
        return found


@dataclass(frozen=True, slots=True)
class _Sessions:
    plain: aiohttp.ClientSession
    """For the platforms' APIs and for files at configured origins."""
    guarded: aiohttp.ClientSession
    """For files anywhere else: connects to public addresses only."""


class Http:
    """A pool of connections, opened and closed with the process.

    ``allowed_origins`` are addresses from the configuration: files there may be on a private network and without TLS.
    """

    def __init__(self, *, allowed_origins: Iterable[str] = (), limit: int = 100) -> None:
        self._allowed = {_origin(URL(url)) for url in allowed_origins}
        self._limit = limit
        self._sessions: _Sessions | None = None

    def allow_origin(self, url: str) -> None:
        """Let files be fetched from the scheme, host and port of this address, wherever that is.

        Raises:
            ValueError: it is not an absolute address.
        """
        self._allowed.add(_origin(URL(url)))

    async def open(self) -> None:
        """Make the pool; it belongs to the running loop."""
        plain = aiohttp.TCPConnector(limit=self._limit)
        guarded = aiohttp.TCPConnector(limit=self._limit, resolver=_PublicResolver())
        self._sessions = _Sessions(_session(plain), _session(guarded))

    async def close(self) -> None:
        """Close all connections; a closed client may be opened again."""
        sessions, self._sessions = self._sessions, None
        if sessions is not None:
            await sessions.plain.close()
            await sessions.guarded.close()

    async def __aenter__(self) -> Http:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def _opened(self) -> _Sessions:
        if self._sessions is None:
            raise RuntimeError("the HTTP client is not open")
        return self._sessions

    # --- a platform's API ---

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: bytes | Sequence[tuple[str, str]] | None = None,
        json: Any = None,
        file: Upload | None = None,
        timeout_s: float = 10.0,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> HttpResponse:
        """Make one call, follow no redirect, repeat nothing, and return the answer whatever its status.

        ``data`` is a body, or the fields of a form, which ``file`` makes one of several parts. ``timeout_s`` covers
        everything from the wait for a free connection to the last byte.

        Raises:
            RetryLater: there was no connection, so nothing was asked.
            OutcomeUnknown: the request may have arrived, but there is no whole answer of at most ``max_bytes``.
            Refused: the address is none.
        """
        # The connection is given up well before the whole call: a timeout of the call means that the request had left.
        timeout = aiohttp.ClientTimeout(total=timeout_s, connect=min(timeout_s / 2, MAX_CONNECT_S))
        try:
            async with self._opened.plain.request(
                method,
                url,
                headers=CIMultiDict(headers or {}) if file else _request_headers(headers, data),
                data=_multipart(data, file) if file else _request_body(data),
                json=json,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                body = await _read(response, max_bytes)
                if body is None:
                    raise OutcomeUnknown("the answer is too long")
                return HttpResponse(response.status, response.headers, body)
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise Refused("not an HTTP address") from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise RetryLater(f"no connection: {type(error).__name__}") from error
        except (aiohttp.ClientError, OSError) as error:  # asyncio's TimeoutError is an OSError
            raise OutcomeUnknown(f"no answer: {type(error).__name__}") from error

    async def post(
        self, url: str, body: bytes, *, headers: Mapping[str, str], timeout_s: float, allow_private: bool
    ) -> HttpResponse:
        """Post once, follow no redirect, and return what came back without its body, which is not read.

        The status counts from the moment at which it arrives: a server may take its time with the rest.

        Raises:
            RetryLater: there was no connection, so nothing was told.
            OutcomeUnknown: the request may have arrived, and no status came within ``timeout_s``.
            Refused: the address is none, or, without ``allow_private``, not on the open internet.
        """
        timeout = aiohttp.ClientTimeout(total=timeout_s, connect=min(timeout_s / 2, MAX_CONNECT_S))
        sessions = self._opened
        session = sessions.plain if allow_private else sessions.guarded
        try:
            if not allow_private and _is_private_literal(_origin(URL(url))[1]):
                raise Refused("the address is not public", code=NOT_PUBLIC)
            async with session.post(
                url, data=body, headers=dict(headers), timeout=timeout, allow_redirects=False
            ) as response:
                return HttpResponse(response.status, response.headers, b"")
        except (ValueError, aiohttp.NonHttpUrlClientError) as error:
            raise Refused("not an HTTP address") from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            if isinstance(getattr(error, "os_error", None), _NotPublic):
                raise Refused("the address is not public", code=NOT_PUBLIC) from error
            raise RetryLater(f"no connection: {type(error).__name__}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise OutcomeUnknown(f"no answer: {type(error).__name__}") from error

    # --- files ---

    async def fetch(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        credentials_origins: Collection[str],
        max_bytes: int,
        timeout_s: float,
    ) -> HttpResponse:
        """Download a file, following up to ``MAX_REDIRECTS`` redirects within ``timeout_s`` altogether.

        ``headers`` carry the credentials and go to ``credentials_origins`` only. Origins that are not allowed by the
        configuration have to be HTTPS on a public address.

        Raises:
            MediaLater: it is not there now: no connection, 404, 408, 425, 429 or 5xx.
            MediaRefused: it is too long, refused by its server, or at an address that we do not visit.
        """
        try:
            trusted = {_origin(URL(origin)) for origin in credentials_origins}
            async with asyncio.timeout(timeout_s):
                return await self._follow(URL(url), headers, trusted, max_bytes)
        except (ValueError, aiohttp.NonHttpUrlClientError) as error:  # aiohttp's and yarl's invalid addresses
            raise MediaRefused("not an address of a file") from error
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, _NotPublic):
                raise MediaRefused(str(error.os_error)) from error
            raise MediaLater(f"no connection: {type(error).__name__}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise MediaLater(f"no whole answer: {type(error).__name__}") from error

    async def _follow(
        self, url: URL, headers: Mapping[str, str], trusted: set[_Origin], max_bytes: int
    ) -> HttpResponse:
        for _ in range(1 + MAX_REDIRECTS):
            credentials = headers if _origin(url) in trusted else {}
            found = await self._get(url, credentials, max_bytes)
            if isinstance(found, HttpResponse):
                return found
            url = found
        raise MediaRefused("redirected too often")

    async def _get(self, url: URL, credentials: Mapping[str, str], max_bytes: int) -> HttpResponse | URL:
        """Return the file, or where it is said to be."""
        async with self._session_for(url).get(
            url,
            headers={"Accept-Encoding": "identity", **credentials},
            timeout=_NO_TIMEOUT,
            allow_redirects=False,
            auto_decompress=False,  # what is small on the wire stays small here
        ) as response:
            if response.status in _REDIRECTS and "Location" in response.headers:
                return response.url.join(URL(response.headers["Location"]))
            _check(response)
            body = await _read(response, max_bytes)
            if body is None:
                raise MediaRefused(f"larger than {max_bytes} bytes")
            return HttpResponse(response.status, response.headers, body)

    def _session_for(self, url: URL) -> aiohttp.ClientSession:
        scheme, host, _ = origin = _origin(url)
        if origin in self._allowed:
            return self._opened.plain
        if scheme != "https":
            raise MediaRefused("not an HTTPS address")
        if _is_private_literal(host):  # the resolver sees names only
            raise MediaRefused("the address is not public")
        return self._opened.guarded


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


def _origin(url: URL) -> _Origin:
    if url.host is None or url.port is None:
        raise ValueError("not an absolute address")
    return url.scheme, url.host, url.port


def _is_private_literal(host: str) -> bool:
    try:
        return not is_public(host)
    except ValueError:
        return False


def _request_headers(
    headers: Mapping[str, str] | None, data: bytes | Sequence[tuple[str, str]] | None
) -> CIMultiDict[str]:
    merged = CIMultiDict(headers or {})
    if data is not None and not isinstance(data, bytes):
        merged.setdefault("Content-Type", "application/x-www-form-urlencoded")
    return merged


def _request_body(data: bytes | Sequence[tuple[str, str]] | None) -> bytes | None:
    if data is None or isinstance(data, bytes):
        return data
    # A lone surrogate, which a model can write, has no UTF-8 form: it becomes a question mark.
    return urlencode(data, errors="replace").encode()


def _multipart(data: bytes | Sequence[tuple[str, str]] | None, file: Upload) -> aiohttp.FormData:
    form = aiohttp.FormData()
    assert not isinstance(data, bytes)
    for name, value in data or ():
        form.add_field(name, value)
    form.add_field(file.field, BytesIO(file.content), filename=file.filename, content_type=file.content_type)
    return form


def _check(response: aiohttp.ClientResponse) -> None:
    status = response.status
    if status in _LATER or status >= 500:
        raise MediaLater(f"the server answered {status}")
    if not 200 <= status < 300:
        raise MediaRefused(f"the server answered {status}")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise MediaRefused("the server sent an encoding that was not asked for")


async def _read(response: aiohttp.ClientResponse, max_bytes: int) -> bytes | None:
    """Return the body, or None where it is longer than ``max_bytes``."""
    if (response.content_length or 0) > max_bytes:
        return None
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        body += chunk
        if len(body) > max_bytes:
            return None
    return bytes(body)
