"""Who wants no messages: consent by channel and address, and what it does to turns and deliveries that wait."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from channels.base import Consent as Word
from channels.base import Preference, Scope
from gateway.storage.hook_facts import Happening
from gateway.storage.identities import ALIAS_OF
from gateway.storage.sql import Steps, statement


@dataclass(frozen=True, slots=True)
class Consent:
    """What somebody has said about messages of ours."""

    opted_out: bool = False
    """They want none."""
    marketing_opted_out: bool = False
    """They want none that we begin."""
    said_at: datetime | None = None
    blocked: bool = False
    """Somebody here has blocked them: they may be written to, and are not answered."""
    undeliverable: bool = False
    """Their address was found to take no messages."""

    @property
    def stops_what_we_begin(self) -> bool:
        """Whether we may not write first."""
        return self.opted_out or self.marketing_opted_out


UNSAID = Consent()

READ = statement(
    """
    SELECT a.channel_name, a.address, a.opted_out_at, a.marketing_opted_out_at, a.consent_at, a.blocked_at,
        a.undeliverable_at
    FROM addresses AS a
    JOIN {r} ON a.channel_name = r.channel_name AND a.address = r.address
    """,
    channel_name="text",
    address="text",
)

SET_CONSENT = statement(
    """
    INSERT INTO addresses (channel_name, address, opted_out_at, consent_at)
    SELECT r.channel_name, r.address, r.opted_out_at, r.consent_at FROM {r} WHERE TRUE
    ORDER BY r.channel_name, r.address
    ON CONFLICT (channel_name, address)
    DO UPDATE SET opted_out_at = excluded.opted_out_at,
        consent_at = CASE WHEN addresses.consent_at > excluded.consent_at THEN addresses.consent_at
            ELSE excluded.consent_at END,
        marketing_opted_out_at = CASE WHEN excluded.opted_out_at IS NULL THEN NULL
            ELSE addresses.marketing_opted_out_at END,
        marketing_said_at = CASE WHEN excluded.opted_out_at IS NULL THEN excluded.consent_at
            ELSE addresses.marketing_said_at END
    """,
    channel_name="text",
    address="text",
    opted_out_at="time",
    consent_at="time",
)

CANCEL_WAITING = statement(
    """
    UPDATE deliveries AS d SET status = 'cancelled', error_code = 'opted_out', next_attempt_at = NULL,
        prepared = NULL
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


# A platform's word that is older than the customer's own is no news.
REFUSE = statement(
    """
    INSERT INTO addresses (channel_name, address, opted_out_at, consent_at)
    SELECT r.channel_name, r.address, r.opted_out_at, r.opted_out_at FROM {r} WHERE TRUE
    ORDER BY r.channel_name, r.address
    ON CONFLICT (channel_name, address)
    DO UPDATE SET opted_out_at = excluded.opted_out_at, consent_at = excluded.consent_at
    WHERE addresses.consent_at IS NULL OR addresses.consent_at <= excluded.consent_at
    RETURNING channel_name, address
    """,
    channel_name="text",
    address="text",
    opted_out_at="time",
)


def of(addresses: Iterable[tuple[str, str]]) -> Steps[Mapping[tuple[str, str], Consent]]:
    """Return what these (channel, address) have said, where they have said anything."""
    asked = [{"channel_name": name, "address": address} for name, address in dict.fromkeys(addresses)]
    rows = (yield READ, asked) if asked else []
    return {
        (row["channel_name"], row["address"]): Consent(
            row["opted_out_at"] is not None,
            row["marketing_opted_out_at"] is not None,
            row["consent_at"],
            row["blocked_at"] is not None,
            row["undeliverable_at"] is not None,
        )
        for row in rows
    }


def record(said: Sequence[tuple[str, str, Word | None, datetime]]) -> Steps[None]:
    """Set what each (channel, address) said last; an opt-out stops what waits for it, a person's words too."""
    last = {(channel_name, address): (word, at) for channel_name, address, word, at in said}
    if not last:
        return
    yield (
        SET_CONSENT,
        [
            {
                "channel_name": name,
                "address": address,
                "opted_out_at": at if word is Word.OPT_OUT else None,
                "consent_at": at,
            }
            for (name, address), (word, at) in last.items()
        ],
    )
    # Even where START follows in the same batch: what was queued before STOP stays cancelled.
    yield from _stop([(name, address) for name, address, word, _ in said if word is Word.OPT_OUT])


SET_UNDELIVERABLE = statement(
    """
    INSERT INTO addresses (channel_name, address, undeliverable_at)
    SELECT r.channel_name, r.address, r.undeliverable_at FROM {r} WHERE TRUE ORDER BY r.channel_name, r.address
    ON CONFLICT (channel_name, address) DO UPDATE SET undeliverable_at = excluded.undeliverable_at
    """,
    channel_name="text",
    address="text",
    undeliverable_at="time",
)

# Later deliveries would fare the same; the one that found it out has failed already.
FAIL_WAITING = statement(
    """
    UPDATE deliveries AS d SET status = 'failed', error_code = 'undeliverable', next_attempt_at = NULL, prepared = NULL
    FROM {r} WHERE d.channel_name = r.channel_name AND d.recipient = r.address AND d.status = 'queued'
    RETURNING {d.}id, {d.}conversation_id
    """,
    channel_name="text",
    address="text",
)


def unreachable(found: Sequence[tuple[str, str, datetime]]) -> Steps[list[Happening]]:
    """Mark (channel, address) that take no messages, and fail what waits for them; returns what is to be told."""
    last = {(name, address): at for name, address, at in found}
    if not last:
        return []
    records = [{"channel_name": name, "address": a, "undeliverable_at": at} for (name, a), at in last.items()]
    yield SET_UNDELIVERABLE, records
    failed = yield FAIL_WAITING, records
    at = max(last.values())
    return [Happening("delivery.failed", row["conversation_id"], at, row["id"]) for row in failed]


def reached(addresses: Sequence[tuple[str, str]]) -> Steps[None]:
    """Write again to (channel, address) from where somebody has written."""
    if addresses:
        records = [
            {"channel_name": name, "address": address, "undeliverable_at": None}
            for name, address in dict.fromkeys(addresses)
        ]
        yield SET_UNDELIVERABLE, records


TRY_AGAIN = statement(
    """
    UPDATE addresses AS a SET undeliverable_at = NULL FROM {r}
    WHERE a.channel_name = r.channel_name AND a.address = r.address AND a.undeliverable_at IS NOT NULL
    """,
    channel_name="text",
    address="text",
)


def try_again(addresses: Iterable[tuple[str, str]]) -> Steps[None]:
    """Write again to (channel, address) because a person wants it."""
    records = [{"channel_name": name, "address": address} for name, address in sorted(set(addresses))]
    if records:
        yield TRY_AGAIN, records


def _stop(addresses: Sequence[tuple[str, str]]) -> Steps[None]:
    if addresses:
        records = [{"channel_name": name, "address": address} for name, address in dict.fromkeys(addresses)]
        yield STOP_TURNS, records
        yield CANCEL_WAITING, records


# Under whatever name they told it, it is asked for by the address that their conversation has.
CONVERSES_AS = statement(
    f"""
    SELECT r.channel_name, r.address, c.address AS known_as FROM {{r}} JOIN chat_conversations AS c
    ON c.channel_name = r.channel_name AND c.thread_key = {ALIAS_OF.format(address="address")}
    """,
    channel_name="text",
    address="text",
)

# A word that is older than the last one is no news.
SET_MARKETING = statement(
    """
    INSERT INTO addresses (channel_name, address, marketing_opted_out_at, marketing_said_at)
    SELECT r.channel_name, r.address, r.opted_out_at, r.said_at FROM {r} WHERE TRUE
    ORDER BY r.channel_name, r.address
    ON CONFLICT (channel_name, address) DO UPDATE SET marketing_opted_out_at = excluded.marketing_opted_out_at,
        marketing_said_at = excluded.marketing_said_at
    WHERE addresses.marketing_said_at IS NULL OR addresses.marketing_said_at <= excluded.marketing_said_at
    """,
    channel_name="text",
    address="text",
    opted_out_at="time",
    said_at="time",
)


def refused(said: Sequence[tuple[str, str, datetime, Scope]]) -> Steps[None]:
    """Record what the platform says that these (channel, address) want no more.

    Where that is every message, nothing more is said and no turn runs.
    """
    everything = {(name, address): at for name, address, at, scope in said if scope is Scope.ALL}
    if everything:
        records = [{"channel_name": n, "address": a, "opted_out_at": at} for (n, a), at in everything.items()]
        rows = yield REFUSE, records
        yield from _stop([(row["channel_name"], row["address"]) for row in rows])
    yield from _set_marketing([(name, a, Word.OPT_OUT, at) for name, a, at, scope in said if scope is Scope.MARKETING])


def record_preferences(told: Sequence[tuple[str, Preference, datetime]]) -> Steps[None]:
    """Keep what customers told the platform about messages that we begin: (channel, preference, when)."""
    yield from _set_marketing(
        [
            (channel_name, name, preference.consent, at)
            for channel_name, preference, at in told
            for name in (preference.sender, preference.identity)
            if name
        ]
    )


def _set_marketing(said: Sequence[tuple[str, str, Word, datetime]]) -> Steps[None]:
    """Set what each (channel, address) said last, for the address that they converse as too."""
    if not said:
        return
    names = dict.fromkeys((channel_name, address) for channel_name, address, _, _ in said)
    rows = yield CONVERSES_AS, [{"channel_name": name, "address": address} for name, address in names]
    known_as = {(row["channel_name"], row["address"]): row["known_as"] for row in rows}
    last: dict[tuple[str, str], tuple[Word, datetime]] = {}
    for channel_name, address, word, at in sorted(said, key=lambda one: one[3]):
        for name in (address, known_as.get((channel_name, address), address)):
            last[channel_name, name] = word, at
    yield (
        SET_MARKETING,
        [
            {
                "channel_name": channel_name,
                "address": address,
                "opted_out_at": at if word is Word.OPT_OUT else None,
                "said_at": at,
            }
            for (channel_name, address), (word, at) in last.items()
        ],
    )
