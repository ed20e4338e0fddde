"""What a request says, checked by its path's models."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from aiohttp import ClientError, HttpVersion11, hdrs, web
from pydantic import BaseModel, ValidationError

from gateway.web.api.problems import Problem, not_found
from gateway.web.api.route import Route
from gateway.web.api.shapes import is_storable

READ_TIMEOUT_S = 20.0  # whoever dribbles a body in does not hold a connection for longer
JSON = "application/json"

# Pydantic's words for what people do not read in a schema: its own are about Python.
SAID = {
    "missing": "is missing",
    "extra_forbidden": "is no name that is known here; check how it is written",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
}


async def expect(request: web.Request) -> web.Response | None:
    """Answer the header Expect before anything else is asked; None lets the request go on (RFC 9110, 10.1.1)."""
    if request.version < HttpVersion11:
        return None
    if request.headers[hdrs.EXPECT].lower() != "100-continue":
        problem = Problem("unexpected", "leave the header Expect out, or send 100-continue", closes=True)
        return problem.response(request.rel_url.raw_path)
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # as aiohttp 3.14 does: the answer itself has not begun
    return None


async def read_body(request: web.Request, max_bytes: int) -> bytes:
    """Read the whole body.

    Raises:
        Problem: it is too long, too slow, or does not arrive.
    """
    too_large = Problem("too-large", f"send at most {max_bytes} bytes", closes=True)
    if (request.content_length or 0) > max_bytes:
        raise too_large
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            async for chunk in request.content.iter_any():
                size += len(chunk)
                if size > max_bytes:
                    raise too_large
                chunks.append(chunk)
    except TimeoutError:
        raise Problem("timeout", "the body did not arrive in time", closes=True) from None
    except (ConnectionError, ClientError):
        raise Problem("malformed", "the body did not arrive as it was announced", closes=True) from None
    return b"".join(chunks)


def read_query(route: Route, request: web.Request) -> BaseModel | None:
    """Check the query.

    Raises:
        Problem: it does not hold.
    """
    repeated = [name for name in request.query if len(request.query.getall(name)) > 1]
    if repeated:
        raise _problem([(f"query.{name}", "must come once") for name in dict.fromkeys(repeated)])
    if route.query is None:
        unknown = [(f"query.{name}", SAID["extra_forbidden"]) for name in request.query]
        if unknown:
            raise _problem(unknown)
        return None
    try:
        return route.query.model_validate(dict(request.query))
    except ValidationError as error:
        raise _problem(_told(error, "query")) from None


def read_path(request: web.Request) -> Mapping[str, str]:
    """Return the path's own words.

    Raises:
        Problem: no id of ours looks like that.
    """
    for name, id_ in request.match_info.items():
        if not is_storable(id_):
            raise not_found(name.removesuffix("_id"))
    return dict(request.match_info)


def parse_body(route: Route, request: web.Request, body: bytes) -> BaseModel | None:
    """Check the body.

    Raises:
        Problem: it is no JSON, or does not hold.
    """
    if route.body is None or not (body or route.body_required):
        return None
    if not body:
        raise _problem([("body", SAID["model_type"])])
    encoding = request.headers.get(hdrs.CONTENT_ENCODING, "identity").strip().lower()
    if request.content_type != JSON or encoding != "identity" or (request.charset or "utf-8").lower() != "utf-8":
        raise Problem("unsupported-media-type", f"send the body as Content-Type: {JSON}")
    try:
        return route.body.model_validate_json(body, strict=True)
    except ValidationError as error:
        if error.errors(include_url=False, include_input=False)[0]["type"] == "json_invalid":
            raise Problem("malformed", "the body is no JSON that can be read") from None
        raise _problem(_told(error, "body")) from None


def _told(error: ValidationError, where: str) -> Iterator[tuple[str, str]]:
    """Say what does not hold in words of ours; the input itself is not repeated."""
    for one in error.errors(include_url=False, include_input=False, include_context=False):
        at = ".".join(map(str, (where, *one["loc"])))
        yield at, SAID.get(one["type"], _plain(one["msg"]))


def _plain(message: str) -> str:
    words = message.removeprefix("Value error, ").removeprefix("Input ")
    return f"{words[:1].lower()}{words[1:]}"


def _problem(errors: Sequence[tuple[str, str]] | Iterator[tuple[str, str]]) -> Problem:
    found = list(errors)
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    at, problem = found[0]
    return Problem("invalid", f"{at}: {problem}{more}", errors=found)
