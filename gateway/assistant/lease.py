"""The lease that keeps a claimed turn ours while it is worked on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

from gateway.clock import Clock
from gateway.storage import Claim, ExtendLease, Fenced, Storage, StorageUnavailable
from gateway.tasks import end

LEASE_S = 30.0
HEARTBEAT_S = 10.0


@contextlib.asynccontextmanager
async def keep_lease(storage: Storage, claim: Claim, clock: Clock) -> AsyncIterator[None]:
    """Extend a turn's lease while the body runs, and end the body early where the turn is lost.

    The body only prepares the answer. What commits it stands behind: it ends the lease itself, and a heartbeat would
    take that for a loss.

    Raises:
        Fenced: the turn was taken away, or its lease ran out before it could be extended.
    """
    body = asyncio.current_task()
    assert body is not None
    cancelled_before = body.cancelling()
    lost = False

    async def watch() -> None:
        nonlocal lost
        await _until_lost(storage, claim, clock)
        lost = True
        body.cancel()

    heartbeat = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if lost and body.uncancel() <= cancelled_before:  # else somebody ends the body for another reason too
            raise Fenced from None
        raise
    finally:
        await end((heartbeat,))


async def _until_lost(storage: Storage, claim: Claim, clock: Clock) -> None:
    """Extend the lease again and again; return when the turn is not ours any more."""
    left_s = (claim.lease_expires_at - clock()).total_seconds()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(left_s) as lease:
            while True:
                await asyncio.sleep(HEARTBEAT_S)
                asked = asyncio.get_running_loop().time()
                extend = ExtendLease(claim.id, claim.fence, clock() + timedelta(seconds=LEASE_S))
                try:
                    async with asyncio.timeout(HEARTBEAT_S):
                        if not await storage.run(extend):
                            return
                except (StorageUnavailable, TimeoutError):
                    continue  # the next one may come in time
                lease.reschedule(asked + LEASE_S)
