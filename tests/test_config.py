"""The configuration is strict, says what to do, and never tells a secret."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from gateway.assistant.models import build_model
from gateway.assistant.prompt import system_prompt
from gateway.config import BusinessConfig, ChannelConfig, Config, ConfigError, Interval, load

SECRET = "s3cret-of-the-owner"
KEY = "x" * 24
ENVIRON = {"OPENAI_API_KEY": SECRET, "TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "t"}
EXAMPLE = Path(__file__).parent.parent / "config.yaml"

SMALLEST = """
server: {public_url: https://chat.example.com}
assistant: {api_key: ${OPENAI_API_KEY}}
channels: {sms: {type: twilio, auth_token: ${TWILIO_AUTH_TOKEN}, from: +15550100001}}
"""

Load = Callable[..., Config]


@pytest.fixture
def load_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Give a loader of texts, beside the smallest configuration unless ``alone``."""

    monkeypatch.chdir(tmp_path)

    def load_it(text: str = "", *, alone: bool = False, **environ: str) -> Config:
        path = Path("config.yaml")
        path.write_text(text if alone else SMALLEST + text)
        return load(path, ENVIRON | environ)

    return load_it


def refusal(load_text: Load, text: str, **options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load_text(text, **options)
    return str(caught.value)


# --- what is taken ---


def test_channels_a_key_and_an_address_are_enough(load_text: Load) -> None:
    """Everything else has a default."""
    config = load_text()

    assert (config.server.port, config.database.url, config.redis.url) == (8080, "sqlite:///frontdesk.db", None)
    assert (config.assistant.model, config.business.name, config.handoff.while_waiting) == (
        "gpt-6-luna",
        "our business",
        "answer",
    )
    assert config.assistant.api_key.get_secret_value() == SECRET
    assert config.webhook_url("sms") == "https://chat.example.com/webhooks/sms"


def test_a_channel_keeps_its_own_keys_apart_from_its_adapters(load_text: Load) -> None:
    """The core reads what every channel takes; the rest goes to the adapter as it stands."""
    config = load_text(
        SMALLEST.replace("type: twilio,", "type: twilio, coalesce_s: 0, rate_per_s: 2.5, name: x,"), alone=True
    )

    assert config.channels["sms"] == ChannelConfig(
        name="sms",
        type="twilio",
        coalesce_s=0,
        rate_per_s=2.5,
        settings={"auth_token": "t", "from": "+15550100001", "name": "x"},
    )


def test_a_section_that_is_commented_out_keeps_its_defaults(load_text: Load) -> None:
    """A section without keys reads as null and means its defaults."""
    assert load_text("turns:\n  # concurrency: 8\n").turns.concurrency == 64


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("+15550100001", "+15550100001"),
        ("0123", "0123"),
        ("22:30", "22:30"),
        ("on", "on"),
        ("2026-12-25", "2026-12-25"),
        ("0x1f", "0x1f"),
        ("1_000", "1_000"),
        ("12", 12),
        ("-1.5", -1.5),
        ("true", True),
        ("~", None),
        ("'12'", "12"),
        ("!!str 12", "12"),
    ],
)
def test_plain_words_stay_words(load_text: Load, written: str, read: object) -> None:
    """Numbers, true, false and null are what looks like them today, not in YAML 1.1."""
    config = load_text(SMALLEST.replace("+15550100001", written), alone=True)

    assert config.channels["sms"].settings["from"] == read


def test_a_key_that_reads_as_something_else_stays_a_word(load_text: Load) -> None:
    """``on`` and ``123`` are names."""
    config = load_text(SMALLEST.replace("from:", "on:").replace("sms:", "123:"), alone=True)

    assert config.channels["123"].settings["on"] == "+15550100001"


# --- references ---


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("${A}", "a: b, [c]"),
        ('"${A}"', "a: b, [c]"),
        ("x-${A}-${A}", "x-a: b, [c]-a: b, [c]"),
        ("${NOT_SET:-d: e, {f}", "d: e, {f"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY:-}", None),
        ("$$", "$"),
        ("$${A}", "${A}"),
        ("$$${A}", "$a: b, [c]"),
        ("costs $5", "costs $5"),
        ("${NUMBER}", "12"),
    ],
)
def test_references_are_replaced_inside_strings(load_text: Load, written: str, read: object) -> None:
    """A value may hold what YAML would read otherwise; nothing but emptiness is null."""
    config = load_text(SMALLEST.replace("+15550100001", written), alone=True, A="a: b, [c]", EMPTY="", NUMBER="12")

    assert config.channels["sms"].settings["from"] == read


def test_a_reference_to_a_file_is_its_content_without_the_last_newline(load_text: Load, tmp_path: Path) -> None:
    """Secrets of containers come as files."""
    (tmp_path / "token").write_text("from a file\n")
    config = load_text(SMALLEST.replace("+15550100001", f"${{file:{tmp_path / 'token'}}}"), alone=True)

    assert config.channels["sms"].settings["from"] == "from a file"


def test_values_from_the_environment_fit_numbers_switches_and_lists(load_text: Load) -> None:
    """The environment knows only text; the field decides."""
    config = load_text(
        "turns: {concurrency: ${N}, max_age_h: ${H}}\napi: {keys: ${KEYS}}\n"
        "webhooks: [{url: 'https://crm.example.com/hook?a=b', secret: ${KEY}, allow_private: ${YES}}]\n",
        N="8",
        H="1.5",
        KEY=KEY,
        KEYS="the first of the keys, the second of the keys",
        YES="true",
    )

    assert (config.turns.concurrency, config.turns.max_age_h) == (8, 1.5)
    assert [key.get_secret_value() for key in config.api.keys] == [
        "the first of the keys",
        "the second of the keys",
    ]
    assert config.webhooks[0].allow_private is True


@pytest.mark.parametrize("switch", ["false", "off", "no", "${SMS_ENABLED:-false}", "${SMS_ENABLED}"])
def test_a_disabled_channel_needs_nothing(load_text: Load, switch: str) -> None:
    """Its account may not exist yet: its variables and settings are not looked at."""
    channel = f"{{type: future, enabled: {switch}, token: ${{MISSING}}, coalesce_s: -1}}"
    config = load_text(SMALLEST.replace("channels: {", f"channels: {{later: {channel}, "), alone=True, SMS_ENABLED="0")

    assert config.channels["later"] == ChannelConfig(name="later", type="future", enabled=False)


# --- what is refused ---


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("turns: {concurency: 3}", "turns.concurency: unknown key"),
        ("sever: {}", "sever: unknown key"),
        ("turns: {concurrency: 0}", "turns.concurrency: must be greater than or equal to 1"),
        ("turns: {concurrency: true}", "turns.concurrency: must not be true or false"),
        ("turns: 3", "turns: must be a section"),
        ("turns: {concurrency: many}", "turns.concurrency: must be a valid integer"),
        ("outbox: {confirm_wait_s: 0}", "outbox.confirm_wait_s: must be greater than 0"),
        ("database: {url: mysql://h/n}", "database.url: must be sqlite:///FILE or postgresql://"),
        ("database: {url: 'postgresql://u:p@SS:w0rd@h:1/n'}", "database.url: must be sqlite:///FILE or postgresql://"),
        ("redis: {url: 'redis://:p@SS:w0rd@h/0'}", "redis.url: must be redis://HOST:6379/0"),
        ("database: {url: 'sqlite:///:memory:'}", "database.url: must be sqlite:///FILE"),
        ("database: {url: null}", "database.url: must be text"),
        ("redis: {url: http://h}", "redis.url: must be redis://"),
        ("business: {phone: 15550100000}", "business.phone: must be text; put it in quotes"),
        ("business: {timezone: Detroit}", "business.timezone: unknown time zone"),
        ("business: {timezone: ../etc/passwd}", "business.timezone: unknown time zone"),
        ("business: {hours: {monday: 09:00-17:00}}", "business.hours.monday: unknown day"),
        ("business: {hours: {mon: 9-17}}", "business.hours.mon: must look like"),
        ("business: {hours: {mon: 09:00-25:00}}", "business.hours.mon: holds a time that no clock shows"),
        ("business: {hours: {mon: 22:00-02:00}}", "business.hours.mon: ends before it begins"),
        ('business: {hours: {mon: "13:00-17:00, 09:00-14:00"}}', "business.hours.mon: two times of the day overlap"),
        ("business: {holidays: [20261225]}", "business.holidays.0: must be a date"),
        ("business: {holidays: [2026-02-30]}", "business.holidays.0: must be a date"),
        ("business: {services: [{name: A, minutes: 1}, {name: a, minutes: 2}]}", "business.services: two services"),
        ("business: {services: [{name: A}]}", "business.services.0.minutes: missing"),
        ("business: {languages: []}", "business.languages: must not be empty"),
        ("business: {languages: [english!]}", "business.languages.0: must be a language tag"),
        ("business: {knowledge: /not/a/folder}", "business.knowledge: is not an existing folder"),
        ("handoff: {while_waiting: sing}", "handoff.while_waiting: must be 'answer' or 'silent'"),
        ("handoff: {notify: [{sms: '+1'}]}", "handoff.notify.0: must be {email: …}, or {sms: …, channel: …}"),
        ("handoff: {notify: [{email: a@b, sms: '+1'}]}", "handoff.notify.0: must be"),
        ("handoff: {notify: [{sms: '+1', channel: fax}]}", "handoff.notify.0.channel: names no channel of yours"),
        ("api: {keys: ['']}", "api.keys.0: must not be empty"),
        ("handoff: {notify: [{email: a@x.example}]}", "handoff.notify.0.email: has no mail server to go through; add"),
        ("handoff: {smtp: {from: a@x.example}}", "handoff.smtp.host: missing"),
        ("handoff: {smtp: {host: h}}", "handoff.smtp.from: missing"),
        ("handoff: {smtp: {host: h, from: desk}}", "handoff.smtp.from: must be one bare e-mail address"),
        ("handoff: {smtp: {host: h, from: a@x, sender: a@x}}", "handoff.smtp.sender: unknown key"),
        ("handoff: {smtp: {host: h, from: a@x, username: u}}", "handoff.smtp: must have both username and password"),
        ("handoff: {smtp: {host: h, from: a@x, security: ssl}}", "handoff.smtp.security: must be 'none', 'starttls'"),
        ("handoff: {notify: [{email: a..b@x.example}]}", "handoff.notify.0.email: must be one bare e-mail address"),
        ("handoff: {notify: [{email: owner}]}", "handoff.notify.0.email: must be one bare e-mail address"),
        ("handoff: {notify: [{email: 'Ann <ann@x.example>'}]}", "handoff.notify.0.email: must be one bare"),
        ("handoff: {notify: [{email: 'a@x.example,b@x.example'}]}", "handoff.notify.0.email: must be one bare"),
        (f"webhooks: [{{url: https://h, secret: {KEY}, events: [Message.Received]}}]", "webhooks.0.events.0: must be"),
        (f"webhooks: [{{url: https://h, secret: {KEY}, events: ['*', message.*]}}]", "webhooks.0.events.1: must be"),
        (f"webhooks: [{{url: https://h, secret: {KEY}, events: ['message. received']}}]", "webhooks.0.events.0: must"),
        ("business: {slot_minutes: 50}", "business.slot_minutes: must divide a day evenly"),
        ("business: {slot_minutes: 1439}", "business.slot_minutes: must divide a day evenly"),
        (f"webhooks: [{{url: ftp://h, secret: {KEY}}}]", "webhooks.0.url: must be an address"),
        ("webhooks: [{url: https://h}]", "webhooks.0.secret: missing"),
        ("turns: {}\nturns: {}", "turns: stands twice (line 6)"),
        ("turns: {? [a] : 1}", "turns: has a key that is no word (line 5)"),
        ("turns: !!python/object:os.system {}", "turns: has a YAML tag that means nothing here"),
        ("turns: &a [*a]", "config.yaml: an alias refers to itself"),
        ("turns: {concurrency: ${N", "config.yaml line"),
        ("business:\n  name: ${N", "business.name: a ${ has no }"),
        ("business: {name: ${A:-${B}}}", "config.yaml line"),
        ("business: {name: ${a b}}", "business.name: write ${NAME}, ${NAME:-default} or ${file:PATH}"),
        ("business: {name: ${file:/not/there}}", "business.name: the file /not/there cannot be read"),
    ],
)
def test_what_does_not_hold_is_told_with_its_path(load_text: Load, text: str, told: str) -> None:
    """Unknown keys, impossible values and broken YAML name the key and say what to do."""
    assert refusal(load_text, text).startswith(told)


@pytest.mark.parametrize("minutes", [5, 15, 20, 45, 60, 90, 1440])
def test_a_raster_that_divides_the_day_is_taken(load_text: Load, minutes: int) -> None:
    """Quarters, halves, hours and whole days."""
    assert load_text(f"business: {{slot_minutes: {minutes}}}").business.slot_minutes == minutes


@pytest.mark.parametrize(
    ("seconds", "told"), [(601, "must be less than or equal to 600"), (0, "must be greater than 0")]
)
def test_a_model_is_waited_for_ten_minutes_at_most(load_text: Load, seconds: int, told: str) -> None:
    """Longer than the SDK's own patience is a typing error, such as milliseconds."""
    patient = SMALLEST.replace("${OPENAI_API_KEY}}", f"${{OPENAI_API_KEY}}, timeout_s: {seconds}}}")

    assert refusal(load_text, patient, alone=True) == f"assistant.timeout_s: {told}"
    assert load_text(patient.replace(f"timeout_s: {seconds}", "timeout_s: 600"), alone=True).assistant.timeout_s == 600


def test_who_is_told_of_what_is_taken(load_text: Load) -> None:
    """Addresses of a local network are addresses; all events, or some of them by name."""
    config = load_text(
        "handoff: {notify: [{email: owner@example.com}, {email: root@localhost}], smtp: {host: h, from: desk@h}}\n"
        "webhooks: [{url: https://h, secret: xxxxxxxxxxxxxxxxxxxxxxxx,"
        ' events: "message.received, conversation.escalated"}]\n'
    )

    assert [notice.email for notice in config.handoff.notify] == ["owner@example.com", "root@localhost"]
    assert config.handoff.smtp is not None
    assert (config.handoff.smtp.port, config.handoff.smtp.security, config.handoff.smtp.sender) == (
        587,
        "starttls",
        "desk@h",
    )
    assert config.webhooks[0].events == ("message.received", "conversation.escalated")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("chat.example.com", "must be an address such as https://"),
        ("ftp://chat.example.com", "must be an address such as https://"),
        ("https://", "must be an address such as https://"),
        ("https://chat.example.com:http", "must be an address such as https://"),
        ("https://chat.exa mple.com", "must be an address such as https://"),
        ("https://chat.example.com?", "must end with its path"),
        ("https://chat.example.com#a", "must end with its path"),
        ("https://user@chat.example.com", "must end with its path"),
    ],
)
def test_a_public_address_that_nothing_can_be_added_to_is_refused(load_text: Load, url: str, told: str) -> None:
    """Webhook addresses are built on it, and signatures computed over it."""
    said = refusal(load_text, SMALLEST.replace("https://chat.example.com", f'"{url}"'), alone=True)

    assert said.startswith(f"server.public_url: {told}")


@pytest.mark.parametrize(
    ("url", "kept", "exposed"),
    [
        ("https://chat.example.com/desk/", "https://chat.example.com/desk", False),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", False),
        ("http://localhost", "http://localhost", False),
        ("http://chat.example.com", "http://chat.example.com", True),
    ],
)
def test_a_public_address_loses_its_last_slash_and_tells_whether_it_is_exposed(
    load_text: Load, url: str, kept: str, exposed: bool
) -> None:
    """http is for this machine only."""
    server = load_text(SMALLEST.replace("https://chat.example.com", url), alone=True).server

    assert (server.public_url, server.is_exposed) == (kept, exposed)


@pytest.mark.parametrize(
    ("channels", "told"),
    [
        ("{SMS: {type: t}}", "channels.SMS: is no channel name"),
        ("{-a: {type: t}}", "channels.-a: is no channel name"),
        ("{a/b: {type: t}}", "channels.a/b: is no channel name"),
        ("{a: {}}", "channels.a.type: missing"),
        ("{a: 3}", "channels.a: must be a section"),
        ("[a]", "channels: must be a section"),
        ("{a: {type: t, coalesce_s: -1}}", "channels.a.coalesce_s: must be greater than or equal to 0"),
        ("{a: {type: t, rate_per_s: 0}}", "channels.a.rate_per_s: must be greater than 0"),
        ("{a: {type: t, enabled: maybe}}", "channels.a.enabled: must be a valid boolean"),
        ("{a: {type: t, token: ${MISSING}}}", "channels.a.token: the environment variable MISSING is not set"),
        ("{a: {type: t, token: ${EMPTY}}}", "channels.a.token: the environment variable EMPTY is not set or is empty"),
        ("{a: {type: t, enabled: ${MISSING}}}", "channels.a.enabled: the environment variable MISSING is not set"),
    ],
)
def test_a_channel_that_does_not_hold_is_told_with_its_path(load_text: Load, channels: str, told: str) -> None:
    """What every channel takes is checked here, whatever its type."""
    text = SMALLEST[: SMALLEST.index("channels:")] + f"channels: {channels}"

    assert refusal(load_text, text, alone=True, EMPTY="").startswith(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "config.yaml: holds no configuration"),
        ("- a", "config.yaml: holds no configuration"),
        ("a: [b", "config.yaml line 1: expected"),
        ("a: \x01", "config.yaml: holds characters that YAML does not allow"),
        ("{}", "server: missing"),
    ],
)
def test_a_file_that_is_no_configuration_is_told(load_text: Load, text: str, told: str) -> None:
    """Whatever the file is, there is a line about it."""
    assert refusal(load_text, text, alone=True).startswith(told)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """The first thing that a newcomer meets: the path is the one that was named."""
    path = tmp_path / "config.yaml"
    with pytest.raises(ConfigError) as caught:
        load(path, {})

    assert str(caught.value).startswith(f"{path}: cannot be read (No such file or directory); make it")


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    """It is told what it is, and which file in it may be meant."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {})

    assert str(caught.value) == f"{tmp_path}: is a folder; name the file in it: --config {tmp_path}/config.yaml"


def test_all_problems_are_told_together(load_text: Load) -> None:
    """An owner mends them in one go."""
    said = refusal(load_text, "turns: {max_attempts: 0, max_age_h: -1}\noutbox: {a: 1}").splitlines()

    assert [line.partition(":")[0] for line in said] == ["turns.max_attempts", "turns.max_age_h", "outbox.a"]


@pytest.mark.parametrize(
    "text",
    [
        "database: {url: mysql://u:${OPENAI_API_KEY}@h}",
        "redis: {url: ${OPENAI_API_KEY}}",
        "business: {timezone: ${OPENAI_API_KEY}, hours: {mon: ${OPENAI_API_KEY}}, holidays: ${OPENAI_API_KEY}}",
        "assistant2: {api_key: ${OPENAI_API_KEY}}",
        f"api: {{keys: [{{{SECRET}: 1}}]}}",
        f"api: {{keys: {SECRET}: x}}",
        f"api: *{SECRET}",
        f"api: !{SECRET} x",
        f"api: '{SECRET}\nx: y",
    ],
)
def test_an_error_never_tells_a_secret(load_text: Load, text: str) -> None:
    """Neither from the environment nor from the file itself."""
    assert SECRET not in refusal(load_text, text)


def test_a_configuration_does_not_print_its_secrets(load_text: Load) -> None:
    """Its repr may land in a log or a debugger."""
    config = load_text(
        "database: {url: postgresql://u:${P}@h/n}\nredis: {url: redis://:${P}@h}\napi: {keys: [${P}]}\n"
        "webhooks: [{url: https://h, secret: ${P}}]\n"
        "handoff: {smtp: {host: h, from: a@x, username: u, password: ${P}}}\n",
        P="pass-word-1-of-24-letters",
        OPENAI_API_KEY="pass-word-1",
        TWILIO_AUTH_TOKEN="pass-word-1",
    )

    assert "pass-word-1" not in repr(config)
    assert "+15550100001" not in repr(config)


# --- the business ---


def test_opening_hours_are_read_per_date() -> None:
    """A break, midnight, a closed day and a holiday."""
    business = BusinessConfig.model_validate(
        {"hours": {"mon": "9:00 - 12:00,13:00-24:00", "sun": None, "sat": "closed"}, "holidays": ["2026-11-30"]}
    )

    assert business.hours == {"mon": "09:00-12:00, 13:00-24:00"}
    assert business.open_on(date(2026, 11, 23)) == (Interval(540, 720), Interval(780, 1440))
    assert business.open_on(date(2026, 11, 22)) == ()
    assert business.open_on(date(2026, 11, 30)) == ()


def test_the_assistant_takes_the_sections_as_they_are(load_text: Load) -> None:
    """The prompt and the model are built from what was loaded."""
    config = load_text("business: {name: Example Plumbing, hours: {mon: 09:00-17:00}}")

    assert build_model(config.assistant) is not None
    assert "Monday: 09:00-17:00" in system_prompt(config.business, config.assistant.instructions)


# --- the file at the root ---


def test_notices_by_mail_go_through_the_first_e_mail_channel(load_text: Load) -> None:
    """Unless they have a server of their own; one that is not enabled has none."""
    channel = "type: email, address: help@example.com, smtp: {host: h, username: u, password: p}"
    channels = SMALLEST.replace("channels: {sms: ", "channels: {support: {%s}, sms: ")
    channels += "handoff: {notify: [{email: a@x.example}]}\n"
    smtp = load_text(channels % channel, alone=True).notice_smtp
    refused = refusal(load_text, channels % f"{channel}, enabled: false", alone=True)

    assert smtp is not None
    assert (smtp.host, smtp.username, smtp.sender, smtp.port) == ("h", "u", "help@example.com", 587)
    assert refused.startswith("handoff.notify.0.email: has no mail server")


def test_the_example_loads() -> None:
    """With the accounts' variables set, the file at the root is a configuration."""
    config = load(EXAMPLE, ENVIRON)

    assert [(channel.name, channel.type, channel.enabled) for channel in config.channels.values()] == [
        ("sms", "twilio", True),
        ("whatsapp2", "twilio", False),
        ("messenger", "messenger", False),
        ("whatsapp", "whatsapp", False),
        ("support", "email", False),
    ]
    assert config.business.open_on(date(2026, 11, 23))[0] == Interval(540, 720)


def test_the_example_asks_for_what_env_example_lists() -> None:
    """Whoever fills in .env.example has set every variable that config.yaml needs, and those of channels to come."""
    listed = set(re.findall(r"^([A-Z_]+)=", (EXAMPLE.parent / ".env.example").read_text(), re.MULTILINE))
    lines = [line for line in EXAMPLE.read_text().splitlines() if not line.startswith("#")]
    used = set(re.findall(r"\$\{([A-Z_]+)\}", "\n".join(lines)))
    with pytest.raises(ConfigError) as caught:
        load(EXAMPLE, {})
    needed = set(re.findall(r"variable ([A-Z_]+)", str(caught.value)))

    assert used == listed - {"POSTGRES_PASSWORD"}  # compose.yaml puts it into DATABASE_URL
    optional = ("META_", "MAILGUN_", "SMTP_", "IMAP_")  # their channels are not enabled
    assert needed == {name for name in used if not name.startswith(optional)}


def sections(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Return the keys of a class that lead to other classes, through lists and optional values."""
    found: dict[str, type[BaseModel]] = {}
    for key, field in model.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        found.update((key, kind) for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))
    return found


@pytest.mark.parametrize("name", sorted(sections(Config).keys() - {"channels"}))
def test_the_example_shows_every_key(name: str) -> None:
    """A key that is added to a section appears in the example, in a comment at least."""
    blocks = re.split(r"^(?=[a-z_]+:)", EXAMPLE.read_text(), flags=re.MULTILINE)
    block = next(block for block in blocks if block.startswith(f"{name}:"))

    def missing(model: type[BaseModel]) -> list[str]:
        keys = [field.alias or name for name, field in model.model_fields.items()]
        own = [key for key in keys if not re.search(rf"(^|[ {{]){key}:", block, re.MULTILINE)]
        return own + [key for kind in sections(model).values() for key in missing(kind)]

    assert missing(sections(Config)[name]) == []


def test_the_example_shows_what_every_channel_takes() -> None:
    """The core's own keys of a channel are explained above the channels."""
    text = EXAMPLE.read_text()

    assert [key for key in ("type", "enabled", "coalesce_s", "rate_per_s") if f" {key}:" not in text] == []


def test_the_example_shows_the_defaults() -> None:
    """Where a value is not the owner's own, it is what holds without the line."""
    smallest = {"server": {"public_url": "https://chat.example.com"}, "assistant": {"api_key": SECRET}}
    defaults, shown = Config.model_validate(smallest), load(EXAMPLE, ENVIRON)
    own = {"assistant": {"instructions"}, "business": set(BusinessConfig.model_fields), "api": {"keys"}}

    differing = [
        f"{name}.{key}"
        for name, section in sections(Config).items()
        if name not in {"channels", "webhooks"}
        for key in section.model_fields.keys() - own.get(name, set())
        if getattr(getattr(shown, name), key) != getattr(getattr(defaults, name), key)
    ]

    assert differing == []
    assert (shown.business.slot_minutes, shown.business.capacity, shown.business.languages) == (60, 1, ("en",))


def test_the_example_is_yaml_for_other_readers_too() -> None:
    """An editor that knows nothing of references can still colour it, once they are quoted."""
    quoted = re.sub(r"\$\{[^}]*\}", "reference", EXAMPLE.read_text())

    assert set(yaml.safe_load(quoted)) == set(Config.model_fields)
