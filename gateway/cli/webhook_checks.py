"""What ``frontdesk doctor`` looks at of the addresses that are told what happens; it calls none of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from channels.abilities import Finding
from channels.addresses import is_public
from gateway.cli.examples import is_example_host
from gateway.cli.failures import Misused
from gateway.cli.opening import open_storage
from gateway.cli.webhooks import PRIVATE_FIX
from gateway.config.sections import LEAST_KEY_CHARACTERS, LEAST_SECRET_BYTES, MAKE_SECRET

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.hooks import Receiver
    from gateway.storage import ReceiverState


async def check_webhooks(config: Config) -> Sequence[Finding]:
    """Tell of each address whether it can be told anything, and how it does."""
    from gateway.hooks import receivers_of

    receivers = receivers_of(config.webhooks)
    states = await _states(config, [receiver.id for receiver in receivers]) if receivers else {}
    return [
        finding
        for place, receiver in enumerate(receivers)
        for finding in _check(f"webhooks.{place}", receiver, states.get(receiver.id))
    ]


async def _states(config: Config, ids: Sequence[str]) -> dict[str, ReceiverState]:
    """Read how the receivers do; nobody knows without a database, of which another check tells."""
    from gateway.storage import ReadReceivers, SchemaMismatch, StorageUnavailable

    with suppress(Misused, SchemaMismatch, StorageUnavailable):
        async with open_storage(config) as storage:
            return {state.id: state for state in await storage.run(ReadReceivers(tuple(ids)))}
    return {}


def _check(subject: str, receiver: Receiver, state: ReceiverState | None) -> Sequence[Finding]:
    if is_example_host(receiver.host) and not receiver.allow_private:
        detail = f"{receiver.host} is an example's name, which nobody has"
        return [Finding(subject, False, detail, "write your own address, or take it out")]
    if not receiver.allow_private and not _may_be_public(receiver.host):
        return [Finding(subject, False, f"{receiver.host} is no address of the internet", PRIVATE_FIX)]
    findings = [_state(subject, receiver, state)]
    if not receiver.allow_private and urlsplit(receiver.url).scheme != "https":
        findings.append(Finding(subject, True, f"what {receiver.host} is told is not encrypted", "use https://"))
    if len(receiver.key) < LEAST_SECRET_BYTES:
        detail = f"the secret is short: {len(receiver.key)} bytes of {LEAST_SECRET_BYTES}"
        findings.append(Finding(subject, True, detail, f"make one with: {MAKE_SECRET}"))
    return findings


def check_api_keys(config: Config) -> Sequence[Finding]:
    """Warn of keys that could be guessed."""
    return [
        Finding(f"api.keys.{place}", True, "the key is short, and may be guessed", "openssl rand -hex 24 makes one")
        for place, key in enumerate(config.api.keys)
        if len(key.get_secret_value()) < LEAST_KEY_CHARACTERS
    ]


def _may_be_public(host: str) -> bool:
    try:
        return is_public(host)
    except ValueError:  # a name: what it leads to is looked at when it is called
        return host != "localhost"


def _state(subject: str, receiver: Receiver, state: ReceiverState | None) -> Finding:
    from gateway.storage import PROBE_AFTER

    if state is None:
        return Finding(subject, True, f"{receiver.host}; try it with: frontdesk webhooks test")
    if state.disabled_at is not None:
        detail = f"{receiver.host} has said that it is gone (410), and is told nothing"
        return Finding(subject, False, detail, "when it is back, run: frontdesk webhooks test")
    if state.failures >= PROBE_AFTER:
        detail = f"{receiver.host} does not take what it is told; {_waiting(state)}"
        return Finding(subject, False, detail, "find out why with: frontdesk webhooks test")
    if state.failed:
        detail = f"{receiver.host} could not be told everything; failed events: {state.failed}"
        return Finding(subject, True, detail, "see: frontdesk webhooks failed; again: frontdesk webhooks retry --all")
    return Finding(subject, True, f"{receiver.host}; {_waiting(state)}")


def _waiting(state: ReceiverState) -> str:
    return f"events that wait: {state.queued}"
