"""Who wants no messages: consent by channel and address, and what it does to deliveries that wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from channels.base import Consent, Preference, Scope
from gateway.storage.identities import ALIAS_OF
from gateway.storage.sql import Steps, statement

SET_CONSENT = statement(
    """
    INSERT INTO addresses (channel_name, address, opted_out_at, consent_at)
    SELECT r.channel_name, r.address, r.opted_out_at, r.consent_at FROM {r} WHERE TRUE
    ORDER BY r.channel_name, r.address
    ON CONFLICT (channel_name, address)
    DO UPDATE SET opted_out_at = excluded.opted_out_at, consent_at = excluded.consent_at,
        marketing_opted_out_at = CASE WHEN excluded.opted_out_at IS NULL THEN NULL
            ELSE addresses.marketing_opted_out_at END
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


SET_MARKETING = statement(
    f"""
    INSERT INTO addresses (channel_name, address, marketing_opted_out_at)
    SELECT r.channel_name, COALESCE((SELECT c.address FROM chat_conversations AS c
        WHERE c.channel_name = r.channel_name AND c.thread_key = {ALIAS_OF.format(address="address")}), r.address),
        r.opted_out_at
    FROM {{r}} WHERE TRUE ORDER BY r.channel_name, r.address
    ON CONFLICT (channel_name, address) DO UPDATE SET marketing_opted_out_at = excluded.marketing_opted_out_at
    """,
    channel_name="text",
    address="text",
    opted_out_at="time",
)


def refused(said: Sequence[tuple[str, str, datetime, Scope]]) -> Steps[None]:
    """Record what the platform says that these (channel, address) want no more.

    Where that is every message, nothing more is said and no turn runs.
    """
    everything = [(name, address, at) for name, address, at, scope in said if scope is Scope.ALL]
    if everything:
        yield from record([(name, address, Consent.OPT_OUT, at) for name, address, at in everything])
        yield STOP_TURNS, [{"channel_name": name, "address": address} for name, address, _ in everything]
    yield from _set_marketing({(name, address): at for name, address, at, scope in said if scope is Scope.MARKETING})


def record_preferences(told: Sequence[tuple[str, Preference, datetime]]) -> Steps[None]:
    """Keep what customers told the platform about messages that we begin: (channel, preference, when)."""
    yield from _set_marketing(
        {
            (name, preference.identity or preference.sender): at if preference.consent is Consent.OPT_OUT else None
            for name, preference, at in told
        }
    )


def _set_marketing(opted_out: Mapping[tuple[str, str], datetime | None]) -> Steps[None]:
    if opted_out:
        yield (
            SET_MARKETING,
            [
                {"channel_name": name, "address": address, "opted_out_at": at}
                for (name, address), at in opted_out.items()
            ],
        )
