"""How far a mailbox has been read."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from channels.email.imap.checkpoint import Checkpoint, key_of
from channels.email.imap.wire import Examined, Fetched
from channels.email.settings import ImapSettings

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
AT = Checkpoint("INBOX", 7, 41, NOON)


@pytest.mark.parametrize("checkpoint", [AT, AT.renumbered(8, 30), AT.renumbered(8, 0)])
def test_it_is_the_same_after_it_was_stored(checkpoint):
    """It is kept as JSON between polls."""

    assert Checkpoint.load(json.loads(json.dumps(checkpoint.dump())), "INBOX") == checkpoint


@pytest.mark.parametrize("stored", [None, {}, AT.dump() | {"mailbox": "Archive"}])
def test_another_mailbox_begins_anew(stored):
    """What was read in one mailbox says nothing of another."""

    assert Checkpoint.load(stored, "INBOX") is None


ACCOUNT = {"host": "imap.example.com", "username": "help", "password": "word"}


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        ({"password": "another", "port": 143, "security": "starttls"}, True),
        ({"host": "IMAP.example.com"}, True),
        ({"host": "imap.example.net"}, False),
        ({"username": "sales"}, False),
        ({"username": "Help"}, False),
        ({"mailbox": "Archive"}, False),
    ],
)
def test_another_account_has_another_key(changes, is_same):
    """Two accounts of one server may count alike; the key names neither."""
    key = key_of(ImapSettings.model_validate(ACCOUNT))
    other = key_of(ImapSettings.model_validate(ACCOUNT | changes))

    assert (other == key) is is_same
    assert re.fullmatch("[0-9a-f]{32}", key)


@pytest.mark.parametrize(
    ("examined", "fits"),
    [
        (Examined(7, 42, 3), True),
        (Examined(7, 99, 3), True),
        (Examined(7, None, 3), True),
        (Examined(8, 42, 3), False),
        (Examined(7, 41, 3), False),
    ],
)
def test_new_numbers_are_noticed(examined, fits):
    """A mailbox is numbered anew where it says so, and where its next UID has been used."""

    assert AT.still_fits(examined) is fits


def test_after_new_numbers_only_recent_mails_are_wanted():
    """What came in the day before the mailbox had last been read is wanted again, and nothing older."""
    again = AT.renumbered(8, 30)

    assert again.criteria() == ("UID", "1:30", "SINCE", "22-Nov-2026", "NOT", "SENTBEFORE", "17-Nov-2026")
    assert again.wants(Fetched(1, received_at=NOON - timedelta(hours=23)))
    assert not again.wants(Fetched(1, received_at=NOON - timedelta(hours=25)))
    assert again.wants(Fetched(1)), "a mail whose date is not told is not lost"


def test_after_all_old_mails_everything_new_is_wanted():
    """The limit ends with the mails that were there when the numbers changed."""
    again = AT.renumbered(8, 30)

    assert again.past(29).criteria()[:2] == ("UID", "30:30")
    assert again.past(30).criteria() == ("UID", "31:*")
    assert again.past(30).wants(Fetched(31, received_at=NOON - timedelta(days=9)))
    assert AT.renumbered(8, 0).criteria() == ("UID", "1:*")
