"""Who wants no messages: consent by channel and address, and what it does to deliveries that wait."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from channels.base import Consent
from gateway.storage.sql import Steps, statement

SET_CONSENT = statement(
    """
    INSERT INTO addresses (channel_name, address, opted_out_at, consent_at)
    SELECT r.channel_name, r.address, r.opted_out_at, r.consent_at FROM {r} WHERE TRUE
    ORDER BY r.channel_name, r.address
    ON CONFLICT (channel_name, address)
    DO UPDATE SET opted_out_at = excluded.opted_out_at, consent_at = excluded.consent_at
    """,
    channel_name="text",
    address="text",
    opted_out_at="time",
    consent_at="time",
)

CANCEL_WAITING = statement(
    """
    UPDATE deliveries AS d SET status = 'cancelled', error_code = 'opted_out', next_attempt_at = NULL
    FROM {r} WHERE d.channel_name = r.channel_name AND d.recipient = r.address AND d.status = 'queued'
    """,
    channel_name="text",
    address="text",
)

STOP_TURNS = statement(
    """
    UPDATE chat_conversations AS c SET fence = c.fence + 1, answered_sequence = c.last_user_sequence,
        input_sequence = NULL, due_at = NULL, due_cap_at = NULL, lease_owner = NULL, lease_expires_at = NULL,
        turn_attempts = 0
    FROM {r} WHERE c.channel_name = r.channel_name AND c.address = r.address
    AND c.last_user_sequence > c.answered_sequence
    """,
    channel_name="text",
    address="text",
)


def record(said: Sequence[tuple[str, str, Consent | None, datetime]]) -> Steps[None]:
    """Set what each (channel, address) said last; an opt-out cancels what waits for it, a person's words too."""
    last = {(channel_name, address): (consent, at) for channel_name, address, consent, at in said}
    if not last:
        return
    yield (
        SET_CONSENT,
        [
            {
                "channel_name": name,
                "address": address,
                "opted_out_at": at if consent is Consent.OPT_OUT else None,
                "consent_at": at,
            }
            for (name, address), (consent, at) in last.items()
        ],
    )
    out = [
        {"channel_name": channel_name, "address": address}
        for channel_name, address, consent, _ in said
        if consent is Consent.OPT_OUT
    ]
    if out:
        # Even where START follows in the same batch: what was queued before STOP stays cancelled.
        yield CANCEL_WAITING, out


def refused(addresses: Sequence[tuple[str, str, datetime]]) -> Steps[None]:
    """Record that the platform says these (channel, address) opted out: nothing more is said, no turn runs."""
    if addresses:
        yield from record([(name, address, Consent.OPT_OUT, at) for name, address, at in addresses])
        yield STOP_TURNS, [{"channel_name": name, "address": address} for name, address, _ in addresses]
