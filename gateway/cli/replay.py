"""``frontdesk replay``: webhooks that could not be read, read again after a fix."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import typer

from gateway.cli.failures import Failed
from gateway.cli.opening import DEFAULT_CONFIG, ConfigPath, complete, load_config, open_inbox
from gateway.printable import printable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.config import Config
    from gateway.inbox import Inbox
    from gateway.media import MediaStore
    from gateway.roster import Roster
    from gateway.storage import Storage
    from gateway.storage.tables import RejectedWebhook

AT_ONCE = 100
"""Rows; of the bodies that are too long for one, only one at a time is in memory."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(replay)


def replay(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Read rejected webhooks again, after a fix."""
    complete(_replay(load_config(config)))


async def _replay(config: Config) -> None:
    from gateway.media import MediaStore

    files = MediaStore(config.data.dir / "media")
    async with open_inbox(config) as (inbox, roster, storage):
        reasons = Counter(
            [await _replay_one(inbox, roster, storage, files, row) async for row in _all_rejected(storage)]
        )
    if not reasons:
        print("nothing to replay")
        return
    print(f"replayed: {reasons[None]} of {reasons.total()}")
    left = [(reason, count) for reason, count in reasons.most_common() if reason is not None]
    for reason, count in left:
        print(f"{count} not: {printable(reason)}")
    if left:
        raise Failed("what was not replayed is kept; run: frontdesk replay, after the next fix")


async def _all_rejected(storage: Storage) -> AsyncIterator[RejectedWebhook]:
    last_id = 0
    while rows := await storage.rejected_webhooks(after_id=last_id, limit=AT_ONCE):
        for row in rows:
            yield row
        last_id = rows[-1].id or 0


async def _replay_one(
    inbox: Inbox, roster: Roster, storage: Storage, files: MediaStore, row: RejectedWebhook
) -> str | None:
    from gateway.clock import utc_now
    from gateway.privacy.shares import request_of
    from gateway.storage import MarkReplayed

    channel = roster.get(row.channel_name)
    if channel is None:
        return f"no enabled channel is named {row.channel_name}"
    try:
        request = request_of(row, files).in_memory()
    except FileNotFoundError:
        return "its body is not in data.dir; look on the other machines"
    reason = await inbox.replay(channel, request, row.received_at)
    if reason is None:
        # Committed before it is marked: where the mark is lost, the next replay finds nothing but duplicates.
        await storage.run(MarkReplayed((row.id or 0,), utc_now()))
    return reason
