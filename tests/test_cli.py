"""The command line: real processes, exit statuses, and errors of one line."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

import pytest

from channels.abilities import Finding
from channels.base import Consent, Echo, Inbound, Request
from gateway.cli.dead_letters import _completed
from gateway.cli.doctor import _show
from gateway.cli.failures import Misused
from gateway.cli.tables import show_table
from gateway.printable import printable
from gateway.storage import (
    Accept,
    ClaimDeliveries,
    Compose,
    Incoming,
    OpenChannels,
    Outcome,
    Pace,
    Rejected,
    SettleDelivery,
    Storage,
)
from tests.conftest import make_database
from tests.frontdesk import environment, free_port, frontdesk, running
from tests.saying import said

R = TypeVar("R")

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NUMBER = "+15550100001"
CUSTOMER = "+15550100123"
CONFIG = f"""
server: {{host: 127.0.0.1, port: ${{PORT:-8080}}, public_url: https://chat.example.com}}
assistant: {{api_key: sk-test, base_url: "http://127.0.0.1:9/v1"}}
channels:
  sms: {{type: twilio, account_sid: AC1, auth_token: secret, from: "{NUMBER}", api_base: "http://127.0.0.1:9"}}
"""
NOT_A_ROLE = "is not one of 'all', 'web', 'worker'"
CONFIG_OPTION = "'--config' (env var: 'FRONTDESK_CONFIG')"
COMMANDS = ("demo", "chat", "serve", "migrate", "doctor", "send", "conversations", "resume", "replay", "dead-letters")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a working directory with a configuration."""
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


@pytest.fixture
def migrated(folder: Path) -> Path:
    """Give a working directory whose database has its tables."""
    in_database(folder, Storage.migrate)
    return folder


def in_database(folder: Path, work: Callable[[Storage], Awaitable[R]]) -> R:
    """Do something in the folder's database."""

    async def inside() -> R:
        async with Storage(f"sqlite:///{folder}/frontdesk.db") as storage:
            return await work(storage)

    return asyncio.run(inside())


async def fail_a_delivery(storage: Storage) -> str:
    """Leave one dead letter and return its id."""
    answer = said("Your technician is late.")
    await storage.run(OpenChannels(("sms",)))
    await storage.run(Compose("sms", "sms", CUSTOMER, answer, NOW))
    claim = ClaimDeliveries("test", NOW, NOW + timedelta(minutes=1), (Pace("sms", 10.0),), 1, NOW - timedelta(days=1))
    [claimed] = (await storage.run(claim)).deliveries
    await storage.run(
        SettleDelivery(claimed.id, "test", Outcome.FAILED, NOW, error_code="30005", error_message="Unknown handset")
    )
    return claimed.id


def keeping(channel_name: str, body: str) -> Rejected:
    """Build a webhook that was kept."""
    request = Request("POST", f"/webhooks/{channel_name}", (("X-Twilio-Signature", "x"),), body.encode())
    return Rejected(channel_name, request, "unreadable then", NOW)


# --- usage -----------------------------------------------------------------------------------------------------


def test_the_help_names_every_command(tmp_path):
    """Somebody who types only the name, or --help, sees what there is."""
    shown = frontdesk(cwd=tmp_path)

    assert shown.returncode == 0
    assert [name for name in COMMANDS if f"\n  {name} " not in shown.stdout] == []
    assert frontdesk("--help", cwd=tmp_path).stdout == shown.stdout


def test_the_version_is_told(tmp_path):
    """It is the installed package's."""
    shown = frontdesk("--version", cwd=tmp_path)

    assert (shown.returncode, shown.stdout) == (0, f"frontdesk {version('frontdesk-gateway')}\n")


def test_a_text_may_begin_with_a_dash(migrated):
    """The help says how: after two dashes nothing is an option."""
    told = frontdesk("send", "--help", cwd=migrated)
    sent = frontdesk("send", "sms", CUSTOMER, "--", "-5 degrees", cwd=migrated)
    [delivery] = in_database(migrated, lambda storage: storage.deliveries())

    assert "begins with a dash, write --" in told.stdout
    assert (sent.returncode, delivery.content) == (0, "-5 degrees")


def test_the_help_loads_nothing_heavy(tmp_path):
    """The command line imports a library when a command needs it, so that the help comes at once."""
    code = "import sys, gateway.cli; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
    ).stdout.split()

    assert {"aiohttp", "openai", "pydantic", "rich", "sqlalchemy", "structlog", "twilio", "uvloop"}.isdisjoint(loaded)
    assert "gateway" in loaded


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nope"], "frontdesk: No such command 'nope'; see: frontdesk --help"),
        (["send", "sms"], "frontdesk: Missing argument 'RECIPIENT'; see: frontdesk send --help"),
        (
            ["serve", "--role", "no"],
            f"frontdesk: Invalid value for '--role': 'no' {NOT_A_ROLE}; see: frontdesk serve --help",
        ),
        (["dead-letters"], "frontdesk: Missing command; see: frontdesk dead-letters --help"),
        (["sned"], "frontdesk: No such command 'sned' (did you mean 'send'?); see: frontdesk --help"),
        (["send", "--template"], "frontdesk: Option '--template' requires an argument; see: frontdesk send --help"),
        (
            ["dead-letters", "retry", "--no"],
            "frontdesk: No such option: --no; see: frontdesk dead-letters retry --help",
        ),
        (
            ["demo", "--data", ""],
            "frontdesk: Invalid value for '--data': is empty; name a path; see: frontdesk demo --help",
        ),
        (
            ["doctor", "--config", " "],
            f"frontdesk: Invalid value for {CONFIG_OPTION}: is empty; name a path; see: frontdesk doctor --help",
        ),
        (
            ["migrate", "--config", "."],
            "frontdesk: .: is a folder; name the file in it: --config config.yaml",
        ),
        (
            ["migrate", "--config", "no/such.yaml"],
            f"frontdesk: no/such.yaml: cannot be read ({os.strerror(2)}); make it, or name another with --config",
        ),
        (
            ["dead-letters", "drop"],
            "frontdesk: name deliveries, or say --all: frontdesk dead-letters drop DELIVERY_ID... | --all",
        ),
        (["conversations"], "frontdesk: there is no database frontdesk.db yet; run: frontdesk migrate"),
        (["send", "fax", CUSTOMER, "Hi"], "frontdesk: no enabled channel is named fax; there are: sms"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(folder, arguments, line):
    """The line says what is wrong and where to go on."""
    ended = frontdesk(*arguments, cwd=folder)

    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"{line}\n")


def test_every_fault_of_the_configuration_has_its_own_line(folder):
    """Status 2, one line a fault with the key's path, and no secret."""
    text = CONFIG.replace("8080", "80800").replace("auth_token: secret", "auth_tokn: verysecret")
    (folder / "other.yaml").write_text(text.replace("https://chat", "ftp://chat"), encoding="utf-8")
    ended = frontdesk("migrate", "--config", "other.yaml", cwd=folder)

    assert ended.returncode == 2
    assert [line.partition(":")[0] for line in ended.stderr.splitlines()] == ["frontdesk"] * 2
    assert "server.port" in ended.stderr
    assert "server.public_url" in ended.stderr
    ended = frontdesk("send", "sms", CUSTOMER, "Hi", "--config", "third.yaml", cwd=folder)
    assert ended.returncode == 2
    assert "third.yaml" in ended.stderr


def test_a_channel_that_does_not_hold_stops_the_start(folder):
    """An adapter's refusal is told like any other fault, with status 2."""
    text = CONFIG.replace("auth_token: secret", "auth_tokn: verysecret")
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    ended = frontdesk("serve", cwd=folder)

    assert ended.returncode == 2
    assert "frontdesk: channels.sms.auth_tokn: unknown key" in ended.stderr
    assert "verysecret" not in ended.stderr


def test_the_configuration_may_be_named_by_the_environment(folder):
    """FRONTDESK_CONFIG stands for --config."""
    (folder / "config.yaml").rename(folder / "named.yaml")
    ended = frontdesk("migrate", cwd=folder, FRONTDESK_CONFIG="named.yaml")

    assert (ended.returncode, ended.stderr) == (0, "")


# --- commands --------------------------------------------------------------------------------------------------


def test_migrate_tells_before_and_after(folder):
    """The first run makes the tables, the second finds nothing to do."""
    first, second = frontdesk("migrate", cwd=folder), frontdesk("migrate", cwd=folder)

    assert (first.returncode, first.stdout) == (0, "schema before: none, now: 0007\n")
    assert (second.returncode, second.stdout) == (0, "the schema is at revision 0007 already; nothing to do\n")


async def test_on_postgresql_an_unfit_schema_names_the_command(folder, postgres_url):
    """There serve migrates nothing by itself: it exits with 2, and the command that it names mends it."""
    url = await make_database(postgres_url)
    text = f'{CONFIG}\ndatabase: {{url: "{url}"}}\n'
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    unfit = await asyncio.to_thread(lambda: frontdesk("serve", cwd=folder, PORT=str(free_port())))
    mended = await asyncio.to_thread(lambda: frontdesk("migrate", cwd=folder))
    listed = await asyncio.to_thread(lambda: frontdesk("conversations", cwd=folder))

    assert (unfit.returncode, unfit.stderr.splitlines()[-1]) == (
        2,
        "frontdesk: the database has no tables yet; run: frontdesk migrate",
    )
    assert (mended.returncode, mended.stdout) == (0, "schema before: none, now: 0007\n")
    assert (listed.returncode, listed.stdout) == (0, "no conversations\n")


def test_a_file_that_is_no_database_is_one_line(folder):
    """The database's own trouble is status 1, and no traceback."""
    (folder / "frontdesk.db").write_text("not a database, but a long enough text " * 100, encoding="utf-8")
    ended = frontdesk("conversations", cwd=folder)

    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "frontdesk doctor" in ended.stderr


def test_send_queues_a_message_in_parts(migrated):
    """A long text is cut as the channel cuts it, and the conversation is there to be listed."""
    sent = frontdesk("send", "sms", CUSTOMER, "word " * 400, cwd=migrated)
    listed = frontdesk("conversations", "--channel", "sms", cwd=migrated)
    queued = in_database(migrated, lambda storage: storage.deliveries(status="queued"))

    assert sent.returncode == 0
    assert "queued in 2 parts; a running frontdesk serve delivers it" in sent.stdout
    assert [row.id in sent.stdout for row in queued] == [True, True]
    head, row = listed.stdout.splitlines()
    assert head.split("\t") == ["conversation_id", "channel", "customer", "mode", "messages", "active"]
    assert row.split("\t")[1:5] == ["sms", CUSTOMER, "bot", "1"]


def test_send_writes_the_recipient_as_the_channel_does(migrated):
    """However it is typed, it is the customer who has written before; what is no address is not queued."""
    sent = frontdesk("send", "sms", "+1 (555) 010-0123", "Hi", cwd=migrated)
    wrong = frontdesk("send", "sms", "Ann", "Hi", cwd=migrated)
    own = frontdesk("send", "sms", NUMBER, "Hi", cwd=migrated)
    [delivery] = in_database(migrated, lambda storage: storage.deliveries())

    assert (sent.returncode, delivery.recipient) == (0, CUSTOMER)
    assert (wrong.returncode, len(wrong.stderr.splitlines())) == (2, 1)
    assert wrong.stderr.startswith('frontdesk: RECIPIENT must be a number with + and its country, such as "+1555')
    assert (own.returncode, own.stderr) == (2, "frontdesk: RECIPIENT is the channel's own number; name a customer's\n")


def test_send_respects_an_opt_out(migrated):
    """A customer who said STOP gets nothing, and the owner is told why."""
    stop = Inbound(NUMBER, CUSTOMER, "SM1", "STOP", consent=Consent.OPT_OUT)
    in_database(migrated, lambda storage: storage.run(Accept((Incoming("sms", "sms", stop),), NOW)))
    ended = frontdesk("send", "sms", CUSTOMER, "Come back!", cwd=migrated)

    assert ended.returncode == 1
    assert "has opted out of messages on sms" in ended.stderr
    assert in_database(migrated, lambda storage: storage.deliveries()) == []


def test_dead_letters_are_listed_and_sent_again(migrated):
    """What failed is shown with its reason, and queued again by its id."""
    delivery_id = in_database(migrated, fail_a_delivery)
    listed = frontdesk("dead-letters", "list", cwd=migrated)
    wrong = frontdesk("dead-letters", "retry", "nothing", cwd=migrated)
    retried = frontdesk("dead-letters", "retry", delivery_id, cwd=migrated)
    [row] = in_database(migrated, lambda storage: storage.deliveries())

    assert f"{delivery_id}\tsms\t{CUSTOMER}\t30005: Unknown handset\t" in listed.stdout
    assert (wrong.returncode, wrong.stdout) == (1, "queued again: 0\n")
    assert "not a dead letter: nothing" in wrong.stderr
    assert (retried.returncode, retried.stdout) == (0, "queued again: 1\n")
    assert (row.status, row.attempts) == ("queued", 0)


def test_the_beginning_of_an_id_names_a_dead_letter(migrated):
    """Eight characters are enough where no other begins with them; fewer never are."""
    delivery_id = in_database(migrated, fail_a_delivery)
    short = frontdesk("dead-letters", "drop", delivery_id[:7], cwd=migrated)
    enough = frontdesk("dead-letters", "drop", delivery_id[:8].upper(), delivery_id, cwd=migrated)

    assert (short.returncode, short.stdout) == (1, "dropped: 0\n")
    assert (enough.returncode, enough.stdout, enough.stderr) == (0, "dropped: 1\n", "")


def test_the_beginning_of_several_ids_names_none():
    """Nobody guesses which one is meant."""
    known = ["0b7a3ed7-1", "0b7a3ed7-2"]

    with pytest.raises(Misused, match="2 dead letters begin with 0b7a3ed7; write more of the id"):
        _completed("0b7a3ed7", known)
    assert _completed("0b7a3ed7-2", known) == "0b7a3ed7-2"


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_an_id_stands_in_one_piece_on_any_terminal(migrated, columns):
    """Whoever copies it from a narrow window gets all of it; the other columns make room."""
    delivery_id = in_database(migrated, fail_a_delivery)
    shown = frontdesk("dead-letters", "list", cwd=migrated, FORCE_COLOR="1", COLUMNS=columns)

    assert delivery_id in shown.stdout
    assert "\t" not in shown.stdout


def test_a_channel_that_is_nowhere_is_hinted_at(migrated):
    """No conversations on a channel that nobody has configured is most likely a typing error."""
    nowhere = frontdesk("conversations", "--channel", "smss", cwd=migrated)
    known = [frontdesk("conversations", "--channel", name, cwd=migrated).stdout for name in ("sms", "whatsapp")]

    assert nowhere.stdout.startswith("no conversations; no channel is named smss, there are: sms (kinds: sms, whatsapp")
    assert (nowhere.returncode, known) == (0, ["no conversations\n"] * 2)


def test_dead_letters_are_dropped_all_at_once(migrated):
    """What nobody wants to send any more leaves the list and stays failed."""
    in_database(migrated, fail_a_delivery)
    dropped = frontdesk("dead-letters", "drop", "--all", cwd=migrated)
    listed = frontdesk("dead-letters", "list", cwd=migrated)
    [row] = in_database(migrated, lambda storage: storage.deliveries())

    assert (dropped.returncode, dropped.stdout) == (0, "dropped: 1\n")
    assert (listed.returncode, listed.stdout) == (0, "no dead letters\n")
    assert row.status == "failed"


def test_replay_takes_in_what_can_be_read_now(migrated):
    """Kept webhooks are read again through the inbox; what still cannot be is kept, with the reason."""
    good = urlencode({"MessageSid": "SM7", "From": CUSTOMER, "To": NUMBER, "Body": "Are you there?"})
    elsewhere = urlencode({"MessageSid": "SM8", "From": CUSTOMER, "To": "+15559999999", "Body": "Hello?"})
    kept = (keeping("sms", good), keeping("sms", "MessageSid="), keeping("sms", elsewhere), keeping("fax", good))
    in_database(migrated, lambda storage: storage.run(Accept((), NOW, rejected=kept)))
    first, second = frontdesk("replay", cwd=migrated), frontdesk("replay", cwd=migrated)
    [conversation] = in_database(migrated, lambda storage: storage.conversations())

    assert first.returncode == 1
    assert first.stdout.splitlines() == [
        "replayed: 1 of 4",
        "1 not: no MessageSid",
        "1 not: no configured channel has this account",
        "1 not: no enabled channel is named fax",
    ]
    assert (conversation.user_messages, conversation.address) == (1, CUSTOMER)
    assert second.stdout.splitlines()[0] == "replayed: 0 of 3"


# --- serve -----------------------------------------------------------------------------------------------------


def test_serve_runs_alone_and_ends_on_sigterm(folder):
    """A second process on the same database or address is sent away with status 2; SIGTERM ends the first with 0."""
    port = str(free_port())
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "config.yaml").write_text(CONFIG, encoding="utf-8")
    with running("serve", cwd=folder, PORT=port) as first:
        first.wait_for('"event": "serving"')
        second = frontdesk("serve", cwd=folder, PORT=port)
        neighbour = frontdesk("serve", cwd=folder / "elsewhere", PORT=port)
        status = first.stop()

    assert (second.returncode, len(second.stderr.splitlines())) == (2, 1)
    assert "another frontdesk process serves frontdesk.db" in second.stderr
    assert neighbour.returncode == 2
    assert f"the address 127.0.0.1:{port} is in use" in neighbour.stderr
    assert status == 0
    assert "Traceback" not in first.printed


# --- what strangers wrote, at a terminal ---

HOSTILE = "\x1b[2J\x1b]0;root\x07Zo\u202ee\u0301\x9b31m"


@pytest.mark.parametrize("terminal", ["0", "1"])
def test_a_table_shows_strangers_text_and_does_not_obey_it(
    terminal: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A customer's address or a platform's message cannot clear the screen, retitle it or turn the writing around."""
    monkeypatch.setenv("TTY_COMPATIBLE", terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    show_table(("customer", "error"), [(HOSTILE, "30003")])
    shown = capsys.readouterr().out

    assert "\ufffd[2J\ufffd]0;root\ufffdZo\ufffde\u0301\ufffd31m" in shown
    assert printable(shown, keep="\n\t") == shown


def test_a_finding_shows_the_platforms_words_and_does_not_obey_them(capsys: pytest.CaptureFixture[str]) -> None:
    """What a platform or a model's server says of itself is shown by doctor, character by character."""
    _show(Finding("model", False, HOSTILE, HOSTILE))
    shown = capsys.readouterr().out

    assert shown.count("\ufffd[2J") == 2
    assert printable(shown) == shown


@pytest.mark.parametrize(
    ("text", "keep", "shown"),
    [
        ("Grüße, 日本 🙂", "", "Grüße, 日本 🙂"),
        ("a\nb\tc", "\n", "a\nb\ufffdc"),
        ("a\nb\tc", "", "a\ufffdb\ufffdc"),
        ("\x00\x7f\x85\u2028\u2029", "", "\ufffd" * 5),
        ("\u200b\u200f\u202a\u2066\ufeff\xad", "", "\ufffd" * 6),
        ("\ud800", "", "\ufffd"),
        ("no\xa0break", "", "no\xa0break"),
    ],
)
def test_only_what_shows_itself_is_printed(text: str, keep: str, shown: str) -> None:
    """Controls, invisible characters and halves of characters become U+FFFD; letters and spaces stay."""

    assert printable(text, keep=keep) == shown


# --- resume ----------------------------------------------------------------------------------------------------


async def leave_to_a_person(storage: Storage) -> str:
    """Leave a message to a person who answered elsewhere before it, and return the conversation's id."""
    await storage.run(OpenChannels(("sms",)))
    echo, question = Echo(NUMBER, CUSTOMER, "E1", "Ann here"), Inbound(NUMBER, CUSTOMER, "M1", "Open on Monday?")
    await storage.run(Accept((Incoming("sms", "sms", echo), Incoming("sms", "sms", question)), NOW))
    [conversation] = await storage.conversations()
    assert (conversation.mode, conversation.due_at) == ("human", None)
    return conversation.conversation_id


def test_the_bot_speaks_again(migrated):
    """Whoever answered elsewhere and is done gives the conversation back, and what waits gets its answer."""
    conversation_id = in_database(migrated, leave_to_a_person)
    told = frontdesk("resume", conversation_id, cwd=migrated)
    [conversation] = in_database(migrated, lambda storage: storage.conversations())

    assert told.stdout == "the bot speaks again; a message waits; a running frontdesk serve answers it\n"
    assert (conversation.mode, conversation.due_at is not None) == ("bot", True)


def test_a_conversation_that_is_none_is_not_resumed(migrated):
    """The line says where the ids are."""
    refused = frontdesk("resume", "nope", cwd=migrated)

    assert (refused.returncode, refused.stderr) == (
        1,
        "frontdesk: there is no conversation nope; see: frontdesk conversations\n",
    )
