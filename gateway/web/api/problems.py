"""Everything that the API refuses, each with a name that leads to its explanation (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import hdrs, web

PAGE = "/api/docs/problems"
CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_S = 5


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of refusal."""

    status: int
    title: str
    explanation: str
    """What it means, and what to do, for the page that its ``type`` leads to."""


KINDS: Mapping[str, Kind] = {
    "malformed": Kind(
        400,
        "The body cannot be read",
        "It is not JSON in UTF-8 (RFC 8259), is nested too deeply, or did not arrive as it was announced. Nothing was "
        "done.",
    ),
    "unauthorized": Kind(
        401,
        "A key is needed",
        "Send Authorization: Bearer KEY with a key from api.keys in config.yaml, or one that frontdesk keys add made. "
        "A key that was revoked is as unknown as one that never was.",
    ),
    "forbidden": Kind(
        403,
        "The key may not do this",
        "Keys read, or read and write, or do everything (admin). frontdesk keys add NAME --scope SCOPE makes another.",
    ),
    "not-found": Kind(
        404, "There is no such thing", "The path is none of ours, or nothing has the id that it names. Check the id."
    ),
    "method-not-allowed": Kind(
        405, "The path does not take this method", "The header Allow names the methods that it takes."
    ),
    "timeout": Kind(408, "The body did not arrive", "Send the whole request at once. Nothing was done."),
    "taken": Kind(
        409,
        "Another person has the conversation",
        "Only whoever took it over speaks in it. Ask them, or give it back with …/resume and take it over yourself.",
    ),
    "opted-out": Kind(
        409,
        "The customer wants no messages",
        "They said STOP, or told the platform so. Nothing is sent on this channel until they write START themselves; "
        "reach them another way.",
    ),
    "belongs-to-channel": Kind(
        409,
        "The conversation runs on a channel",
        "POST /api/v1/chat speaks for callers' own conversations. This one's customer is answered on their channel: "
        "write there with POST /api/v1/conversations/{conversation_id}/messages.",
    ),
    "channel-not-enabled": Kind(
        409,
        "The channel is not enabled",
        "The conversation's channel is not in config.yaml any more, or has enabled: false. Nothing was stored; a "
        "message would wait there unseen.",
    ),
    "no-sender": Kind(
        409,
        "There is nobody to block",
        "The conversation was begun through POST /api/v1/chat and has no sender on a channel. Whoever calls decides "
        "there whose messages come.",
    ),
    "not-closed": Kind(
        409,
        "The conversation is open",
        "Only a closed conversation is rated. Close it first; POST …/close takes a rating, too.",
    ),
    "still-running": Kind(
        409,
        "The first request with this Idempotency-Key is being answered",
        "Repeat it after the time in Retry-After; then its answer is there.",
    ),
    "outcome-unknown": Kind(
        409,
        "What became of the first request is not known",
        "The first request with this Idempotency-Key was cut off, by a database that went away or a server that ended, "
        "before its answer was kept: it may have been done or not. Look before you do it again, then use a new key.",
    ),
    "answer-erased": Kind(
        409,
        "The answer to the first request is erased",
        "The first request with this Idempotency-Key was done. Its answer named somebody whose data was erased since.",
    ),
    "too-many-files": Kind(
        409,
        "The person's files are too many for one answer",
        "Ask without files=true for everything else, and for the files run: frontdesk export",
    ),
    "too-large": Kind(413, "The body is too large", "server.max_body_mb in config.yaml says how much is taken."),
    "unsupported-media-type": Kind(
        415, "The body is not JSON", "Send it as Content-Type: application/json, in UTF-8 and not compressed."
    ),
    "unexpected": Kind(
        417,
        "The header Expect asks for something unknown",
        "Leave it out, or send Expect: 100-continue. Nothing was done.",
    ),
    "invalid": Kind(
        422,
        "Something in the request does not hold",
        "The list errors names each place and what is wrong with it. Nothing was done.",
    ),
    "cannot-show": Kind(
        422,
        "The channel cannot show this",
        "It has neither a form for it nor words that say the same. The detail says what to leave out.",
    ),
    "repeated-differently": Kind(
        422,
        "The Idempotency-Key belongs to another request",
        "The same key came with another method, path or body within 24 hours. Use a new key for a new request.",
    ),
    "rate-limited": Kind(
        429,
        "Too many requests",
        "Ask again after the seconds in Retry-After. A key may ask api.rate_per_s times a second; whoever shows keys "
        "that do not exist may ask far less often.",
    ),
    "failed": Kind(
        500,
        "Something went wrong here",
        "It is in the log of this server. Whether the request was done is not known: look before you repeat it.",
    ),
    "not-erased": Kind(
        503,
        "The person is not erased yet",
        "Webhooks of theirs wait in a spool until they are brought into the database, and nothing is erased before; or "
        "it takes longer than a minute. Ask again after the seconds in Retry-After: what is left is found again, and "
        "404 says that nothing is.",
    ),
    "unavailable": Kind(
        503,
        "The database does not answer",
        "Ask again after the seconds in Retry-After. Something that was to be changed may have been changed: look "
        "before you repeat it, or send an Idempotency-Key with every POST and repeat it with the same one: where "
        "nothing was done it is done then, and where that is not known the answer is 409 outcome-unknown.",
    ),
}


class Problem(Exception):
    """The request is refused: ``name`` is one of ``KINDS``, ``detail`` says what to do next, in our own words."""

    def __init__(
        self,
        name: str,
        detail: str,
        *,
        errors: Iterable[tuple[str, str]] = (),
        retry_after_s: int | None = None,
        headers: Mapping[str, str] | None = None,
        closes: bool = False,
    ) -> None:
        super().__init__(detail)
        self.name = name
        self.status = KINDS[name].status
        self.detail = detail
        self.errors = tuple(errors)
        """What is wrong, each with its place: ``body.content``, ``query.limit``."""
        self.closes = closes
        """Whether the rest of what is being sent is not read."""
        self.headers = dict(headers or {})
        if retry_after_s is not None:
            self.headers[hdrs.RETRY_AFTER] = str(retry_after_s)

    def told(self, instance: str) -> dict[str, Any]:
        """Return its members; ``instance`` is the path that was asked for."""
        members: dict[str, Any] = {
            "type": f"{PAGE}#{self.name}",
            "title": KINDS[self.name].title,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
        }
        if self.errors:
            members["errors"] = [{"at": at, "problem": problem} for at, problem in self.errors]
        return members

    def response(self, instance: str) -> web.Response:
        """Return it as an answer."""
        body = json.dumps(self.told(instance)).encode()
        response = web.Response(status=self.status, body=body, content_type=CONTENT_TYPE, headers=self.headers)
        if self.closes:
            response.force_close()
        return response


def not_found(what: str) -> Problem:
    """Say that nothing has this id."""
    return Problem("not-found", f"there is no {what} with this id")


def invalid(at: str, problem: str) -> Problem:
    """Say what one place of the request does not hold."""
    return Problem("invalid", f"{at}: {problem}", errors=[(at, problem)])


def outcome_unknown() -> Problem:
    """Say that the first request may have been done or not."""
    return Problem("outcome-unknown", "the first request was cut off; look whether it was done, use a new key")


def method_not_allowed(methods: Iterable[str]) -> Problem:
    """Say which methods a path takes: those of its routes, and HEAD where GET is one."""
    allow = ", ".join(sorted({*methods, *((hdrs.METH_HEAD,) if hdrs.METH_GET in methods else ())}))
    return Problem("method-not-allowed", f"this path takes {allow}", headers={hdrs.ALLOW: allow})


def unavailable() -> Problem:
    """Say that the database is away."""
    return Problem("unavailable", "the database does not answer; ask again later", retry_after_s=RETRY_AFTER_S)
