"""What ``frontdesk doctor`` says about a token of Meta's, whichever channel it belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr

from channels.abilities import Finding
from channels.errors import SendError
from channels.meta.graph import Graph
from channels.meta.webhooks import a_map, a_text, a_time

SOON = timedelta(days=14)
RENEW = "make a new token that does not expire (a system user's, in Meta Business Suite) and put it into config.yaml"

# What ends, and when; 0 is never: developers.facebook.com/docs/graph-api/reference/debug_token, read 2026-11.
ENDS: Mapping[str, str] = {
    "expires_at": "the token",
    "data_access_expires_at": "the token's access to people's data",
}


async def app_id(graph: Graph) -> str:
    """Return the id of the app that the channel's token belongs to; empty where Meta does not tell.

    Raises:
        SendError: Meta cannot be asked.
    """
    return a_text((await graph.get("app", fields="id")).get("id"))


async def token_findings(
    graph: Graph, subject: str, app_secret: SecretStr, now: datetime | None = None
) -> list[Finding]:
    """Tell whether the app's secret is the token's app's, and whether the token ends within two weeks.

    A failing call is a finding. ``now`` is the clock's where it is not given.
    """
    try:
        app = await app_id(graph)
        told = a_map((await graph.debug_token(f"{app}|{app_secret.get_secret_value()}")).get("data"))
    except SendError as error:
        fix = "check that app_secret is the secret of the app that the token was made for (App settings, Basic)"
        return [Finding(subject, False, f"Meta does not tell when the token ends: {error}", fix)]
    if told.get("is_valid") is not True:
        said = a_text(a_map(told.get("error")).get("message")) or "it is not valid"
        return [Finding(subject, False, f"Meta does not take the token any more: {said}", RENEW)]
    ends = list(_ends(subject, told, now or datetime.now(UTC)))
    return ends or [Finding(subject, True, "the token never expires")]


def _ends(subject: str, told: Mapping[str, Any], now: datetime) -> Iterator[Finding]:
    for field, what in ENDS.items():
        ends_at = a_time(told.get(field))
        if ends_at is None or ends_at.timestamp() == 0:
            continue
        soon = ends_at - now < SOON
        yield Finding(subject, not soon, f"{what} ends on {ends_at:%Y-%m-%d}", RENEW if soon else None)
