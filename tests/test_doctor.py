"""`frontdesk doctor`, against the stand-ins for the platforms and the model."""

from __future__ import annotations

import asyncio
import re
import sys
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.cli import checks, examples
from gateway.config import BusinessConfig, Config, DatabaseConfig, DataConfig, RedisConfig, ServerConfig, load
from gateway.sandbox.openai import API_KEY, OpenAIStandIn
from gateway.sandbox.twilio import TwilioStandIn
from gateway.storage import Storage
from tests.frontdesk import environment
from tests.loopback import LoopbackChannel, roster_of
from tests.test_mail import PASSWORD, serving

pytest_plugins = ["tests.fixtures_redis"]

NUMBER = "+15557654321"
PUBLIC_URL = "https://chat.corner-garage.dev"
ADDRESS = f"{PUBLIC_URL}/webhooks/sms#rc=5&rp=all"
EXAMPLE = Path(__file__).parent.parent / "config.yaml"
TODAY = date(2026, 11, 24)
CONFIG = """
server: {{public_url: "{public_url}"}}
assistant: {{api_key: "{api_key}", base_url: "{openai}/v1", model: "{model}", fallback_model: null}}
channels:
  sms: {{type: twilio, account_sid: AC1, auth_token: "{token}", from: "+15557654321", api_base: "{twilio}"}}
handoff: {{notify: [{{sms: "+15557654322", channel: sms}}]}}
"""


@pytest.fixture
async def platforms(aiohttp_server):
    """Serve a Twilio account whose number posts to us, and a model."""
    twilio = TwilioStandIn("AC1", "secret", number=NUMBER, webhook_url=ADDRESS)
    openai = OpenAIStandIn(BusinessConfig())
    twilio_server = await aiohttp_server(twilio.app())
    openai_server = await aiohttp_server(openai.app())
    return SimpleNamespace(
        twilio=twilio,
        openai=openai,
        twilio_url=str(twilio_server.make_url("")).rstrip("/"),
        openai_url=str(openai_server.make_url("")).rstrip("/"),
    )


def configure(folder: Path, platforms, **other: str) -> None:
    """Write a configuration of the platforms."""
    values = {
        "public_url": PUBLIC_URL,
        "api_key": API_KEY,
        "openai": platforms.openai_url,
        "model": "gpt-6-luna",
        "token": "secret",
        "twilio": platforms.twilio_url,
    }
    (folder / "config.yaml").write_text(CONFIG.format(**{**values, **other}), encoding="utf-8")


async def doctor(folder: Path, platforms, **other: str) -> tuple[int, list[str], str]:
    """Run the command and return its status, its lines and what it wrote to stderr."""
    configure(folder, platforms, **other)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway",
        "doctor",
        cwd=folder,
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, complained = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, printed.decode().splitlines(), complained.decode()


async def test_all_is_well(tmp_path, platforms):
    """Status 0, one plain line for each thing that was looked at, and the address to paste at Twilio."""
    async with Storage(f"sqlite:///{tmp_path}/frontdesk.db") as storage:
        await storage.migrate()
    status, lines, complaints = await doctor(tmp_path, platforms)

    assert (status, complaints) == (0, "")
    assert [line.partition(":")[0].split() for line in lines[:-1]] == [
        ["ok", "configuration"],
        ["ok", "public_url"],
        ["ok", "data"],
        ["ok", "spool"],
        ["ok", "database"],
        ["ok", "schema"],
        ["ok", "redis"],
        ["ok", "model"],
        ["ok", "tools"],
        ["ok", "handoff.notify.0"],
        *[["ok", "channels.sms"]] * 4,
    ]
    assert any(ADDRESS in line for line in lines)
    assert lines[-1] == "everything is as it should be"


async def test_a_webhook_without_retries_is_a_warning(tmp_path, platforms):
    """It works, so the status is 0; the line stands out all the same, with the address to paste."""
    platforms.twilio.webhook_url = ADDRESS.partition("#")[0]
    status, lines, _ = await doctor(tmp_path, platforms)
    [place] = [place for place, line in enumerate(lines) if line.startswith("warn ")]

    assert status == 0
    assert "what fails is not tried again" in lines[place]
    assert ADDRESS in lines[place + 1]


async def test_each_problem_comes_with_what_to_do(tmp_path, platforms):
    """Status 1; a wrong token, a wrong key and a local address are three problems with three fixes."""
    status, lines, complaints = await doctor(
        tmp_path, platforms, token="wrong", api_key="sk-wrong", public_url="http://localhost:8080"
    )
    problems = [place for place, line in enumerate(lines) if line.startswith("problem ")]

    assert (status, complaints) == (1, "")
    assert [lines[place].split()[1] for place in problems] == ["public_url:", "model:", "channels.sms:"]
    assert [lines[place + 1].strip().partition(":")[0] for place in problems] == ["fix"] * 3
    assert lines[-1] == "3 problems"


async def test_a_number_that_posts_elsewhere_is_a_problem(tmp_path, platforms):
    """The fix holds the address to paste, with Twilio's retries in its fragment."""
    platforms.twilio.webhook_url = "https://demo.twilio.com/welcome/sms/reply"
    status, lines, _ = await doctor(tmp_path, platforms)
    [place] = [place for place, line in enumerate(lines) if line.startswith("problem ")]

    assert status == 1
    assert "demo.twilio.com" in lines[place]
    assert ADDRESS in lines[place + 1]


async def test_a_reader_that_has_seen_enough_ends_it_quietly(tmp_path, platforms):
    """As in ``frontdesk doctor | head -1``: nothing is complained about, whatever was open."""
    platforms.openai.faults.latency_s = 0.5
    configure(tmp_path, platforms)
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        '{ "$0" -m gateway doctor; echo "status $?" >&2; } | head -n 1',
        sys.executable,
        cwd=tmp_path,
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, complained = await asyncio.wait_for(process.communicate(), 60)

    assert printed.startswith(b"ok ")
    assert complained.decode() == "status 1\n"


async def test_a_configuration_that_does_not_load_is_status_2(tmp_path, platforms):
    """Nothing can be looked at then; the line is the configuration's own."""
    status, lines, complaints = await doctor(tmp_path, platforms, public_url="chat")

    assert (status, lines) == (2, [])
    assert complaints.startswith("frontdesk: server.public_url: ")


# --- single checks ---------------------------------------------------------------------------------------------


def config_with(**sections) -> Config:
    """Build a configuration around the sections that matter."""
    given = {"server": {"public_url": PUBLIC_URL}, "assistant": {"api_key": "k"}, **sections}
    return Config.model_validate(given)


@pytest.mark.parametrize(
    ("url", "ok"),
    [
        ("https://chat.corner-garage.dev", True),
        ("https://chat.example.com", False),
        ("https://EXAMPLE.org.", False),
        ("https://chat.corner-garage.example", False),
        ("https://chat.test", False),
        ("https://chat.invalid", False),
        ("https://myexample.com", True),
        ("https://8.8.8.8", True),
        ("http://chat.corner-garage.dev", False),
        ("https://localhost:8080", False),
        ("https://192.168.1.7", False),
        ("https://[::1]:8080", False),
        ("https://nas.local", False),
        ("https://gateway", False),
    ],
)
def test_the_public_url_is_on_the_internet_and_encrypted(url, ok):
    """Platforms reach neither this machine's own names, nor private addresses, nor the names of examples."""
    finding = checks.check_public_url(config_with(server=ServerConfig(public_url=url)))

    assert finding.ok is ok
    assert (finding.fix is None) is ok


def test_a_public_url_that_looks_well_was_not_tried():
    """Nobody takes the line for a proof."""
    assert "was not tried from outside" in checks.check_public_url(config_with()).detail


def test_what_is_still_the_examples_is_told():
    """The file at the root as it comes: its business is a warning, its number and its address are problems."""
    config = load(EXAMPLE, {"OPENAI_API_KEY": "k", "TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "t"})
    found = {finding.subject: finding.ok for finding in examples.check_examples(config)}
    mended = config_with(business={"name": "Corner Garage", "phone": "+15557654321"})

    assert found == {"business.name": True, "business.phone": True, "channels.sms.from": False}
    assert checks.check_public_url(config).ok is False
    assert examples.check_examples(mended) == []
    assert all(value in EXAMPLE.read_text() for values in examples.ACCOUNTS.values() for value in values)


def test_keys_without_effect_are_named_where_they_are_set(tmp_path):
    """The file at the root sets none of them to anything; each one that an owner sets is a warning."""
    environ = {"OPENAI_API_KEY": "k", "TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "t"}
    config = config_with(business={"knowledge": str(tmp_path)})
    found = examples.check_without_effect(config)

    assert examples.check_without_effect(load(EXAMPLE, environ)) == []
    assert {finding.subject for finding in found} == {"business.knowledge"}
    assert all(finding.ok and finding.fix for finding in found)


def test_the_example_marks_each_key_without_effect():
    """Whoever reads the file learns the same."""
    text = EXAMPLE.read_text()
    keys = [path.rpartition(".")[2] for path in examples.WITHOUT_EFFECT]

    assert [key for key in keys if not re.search(rf"^ *{key}: .*\[no effect yet\]$", text, re.MULTILINE)] == []


async def test_a_database_that_is_away_is_a_problem():
    """The line names the database and not its password."""
    url = "postgresql://owner:hunter2@127.0.0.1:9/frontdesk"
    [finding] = await checks.check_database(config_with(database=DatabaseConfig(url=url)))

    assert not finding.ok
    assert "postgresql://127.0.0.1:9/frontdesk" in finding.detail
    assert "hunter2" not in f"{finding}"


async def test_a_database_without_its_tables_names_the_command(tmp_path):
    """The database answers, its schema does not fit, and the fix is a command."""
    path = tmp_path / "frontdesk.db"
    path.touch(mode=0o600)
    answers, schema = await checks.check_database(config_with(database=DatabaseConfig(url=f"sqlite:///{path}")))

    assert (answers.ok, schema.ok) == (True, False)
    assert schema.fix == "run: frontdesk migrate"


async def test_what_others_may_read_is_a_warning(tmp_path):
    """A database or a data folder from before, or from a careless copy, comes with the command that closes it."""
    data, path = tmp_path / "the data", tmp_path / "frontdesk.db"
    async with Storage(f"sqlite:///{path}") as storage:
        await storage.migrate()
    data.mkdir(mode=0o700)
    config = config_with(database=DatabaseConfig(url=f"sqlite:///{path}"), data=DataConfig(dir=data))
    closed = [*await checks.check_database(config), *checks.check_data(config)]
    path.chmod(0o644)
    data.chmod(0o755)
    opened = [*await checks.check_database(config), *checks.check_data(config)]

    assert [finding.fix for finding in closed] == [None] * 4
    assert all(finding.ok for finding in opened)
    assert [finding.fix for finding in opened if finding.fix] == [
        f"run: chmod 600 {path}*",
        f"run: chmod 700 '{data}'",
    ]


async def test_redis_is_asked_where_there_is_one(redis_server):
    """A Redis that answers is well, a dead one is a problem, and none at all is a choice."""
    config = config_with(redis=RedisConfig(url=redis_server.url))
    alive = await checks.check_redis(config)
    redis_server.kill()
    dead = await checks.check_redis(config)
    none = await checks.check_redis(config_with())

    assert [finding.ok for finding in (*alive, *dead, *none)] == [True, False, True]


async def test_nobody_to_tell_is_a_warning():
    """A customer who waits is seen only by whoever looks for one."""
    [finding] = await checks.check_handoff(config_with(), roster_of())

    assert (finding.ok, "handoff.notify" in (finding.fix or "")) == (True, True)


class Other(LoopbackChannel):
    """A channel of another kind."""

    kind = "whatsapp"


class Particular(LoopbackChannel):
    """A channel that knows its customers' addresses."""

    def check_recipient(self, text: str) -> str:
        """Know one."""
        if text != "+15557654322":
            raise ValueError("is none")
        return text


@pytest.mark.parametrize(
    ("number", "channel", "told"),
    [
        ("+15557654322", "sms", None),
        ("+1555", "sms", "sms is none"),
        ("+15557654322", "other", "channels.other sends no text messages"),
        ("+15557654322", "off", "channels.off is not enabled"),
    ],
)
async def test_a_text_message_that_would_not_arrive_is_a_problem(number, channel, told):
    """It is found out before a customer waits."""
    config = config_with(handoff={"notify": [{"sms": number, "channel": channel}]})
    [finding] = await checks.check_handoff(config, roster_of(Particular("sms"), Other("other")))

    assert finding.ok is (told is None)
    assert (told or "by SMS through channels.sms") in finding.detail


@pytest.mark.parametrize(
    ("password", "ok", "told"),
    [
        (None, True, "answers"),
        (PASSWORD, True, "lets us in, and the password goes there unencrypted"),
        ("wrong-word-2", False, "535"),
    ],
)
async def test_the_mail_server_is_asked(password, ok, told):
    """With the login that mails will have; a password is told to nobody."""
    async with serving() as box:
        login = {} if password is None else {"username": "desk", "password": password}
        smtp = {"host": "127.0.0.1", "port": box.port, "security": "none", "from": "desk@corner-garage.dev", **login}
        notify = [{"email": "owner@corner-garage.dev"}]
        [finding] = await checks.check_handoff(config_with(handoff={"notify": notify, "smtp": smtp}), roster_of())

    assert (finding.subject, finding.ok) == ("handoff.smtp", ok)
    assert f"127.0.0.1:{box.port}" in finding.detail
    assert told in finding.detail
    assert "word" not in finding.detail.replace("password", "")
    assert box.mails == []


def test_a_folder_that_cannot_be_written_is_a_problem(tmp_path):
    """The data folder has to take media and the spool."""
    (tmp_path / "data").write_text("a file", encoding="utf-8")
    [finding] = checks.check_data(config_with(data=DataConfig(dir=tmp_path / "data")))

    assert not finding.ok
    assert "data.dir" in (finding.fix or "")


def test_what_waits_in_the_spool_is_told(tmp_path):
    """Files in the spool are well, and still something to look after; a spool that is off is too."""
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "1.spool").write_bytes(b"12345")
    full = checks.check_data(config_with(data=DataConfig(dir=tmp_path)))[-1]
    off = checks.check_data(config_with(data=DataConfig(dir=tmp_path, spool_max_mb=0)))[-1]

    assert full.ok
    assert "5 bytes wait" in full.detail
    assert off.fix is not None


@pytest.mark.parametrize(
    ("ends", "ok", "warns"),
    [(None, True, False), ("2027-11-24", True, False), ("2027-02-22", True, True), ("2026-11-01", False, True)],
)
async def test_a_model_near_its_end_is_told(platforms, ends, ok, warns):
    """Within 90 days of its shutdown a model is a warning, after it a problem."""
    platforms.openai.models["gpt-6-luna"] = ends
    assistant = {"api_key": API_KEY, "base_url": f"{platforms.openai_url}/v1", "model": "gpt-6-luna"}
    [finding] = await checks.check_models(config_with(assistant=assistant), TODAY)

    assert (finding.ok, finding.fix is not None) == (ok, warns)


async def test_each_configured_model_is_asked(platforms):
    """A fallback model that does not exist is found before it is needed."""
    assistant = {"api_key": API_KEY, "base_url": f"{platforms.openai_url}/v1", "fallback_model": "no-such-model"}
    first, second = await checks.check_models(config_with(assistant=assistant), TODAY)

    assert (first.ok, second.ok) == (True, False)
    assert "does not exist" in second.detail  # the server's own words
