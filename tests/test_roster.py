"""The roster builds what is configured and knows whose event is whose."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from channels.base import (
    Channel,
    ChannelContext,
    DeliveryStatus,
    Event,
    Inbound,
    Outbound,
    Parsed,
    Receipt,
    Reply,
    Request,
    Status,
)
from channels.http import Http
from channels.registry import CHANNELS
from gateway.config import Config, ConfigError, load
from gateway.roster import RATE_PER_S, Build, Roster, build_roster

TOKEN = "t0ken-of-the-owner"


class PostcardSettings(BaseModel):
    """What a postcard office wants to know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    office: str
    app: str = "one"
    token: SecretStr

    @field_validator("token")
    @classmethod
    def _be_no_word(cls, token: SecretStr) -> SecretStr:
        if token.get_secret_value().isalpha():
            raise ValueError(f"{token.get_secret_value()} is no token; copy it from the office's door")
        return token


class PostcardChannel:
    """A whole small channel: postcards."""

    kind = "sms"
    max_body_bytes = 1000
    send_timeout_s = 1.0
    default_coalesce_s = 3.0

    def __init__(self, settings: PostcardSettings, context: ChannelContext) -> None:
        self.name = context.name
        self.account = settings.office
        self.context = context
        self.settings = settings

    @classmethod
    def build(cls, raw: Mapping[str, Any], context: ChannelContext) -> Channel:
        return cls(PostcardSettings.model_validate(raw), context)

    async def verify(self, request: Request) -> None:
        """Every card is what it says it is."""

    def parse(self, request: Request) -> Parsed:
        return Parsed((), Reply())

    def owns(self, event: Event) -> bool:
        return event.account == self.settings.office

    def shares_app_with(self, other: Channel) -> bool:
        return isinstance(other, PostcardChannel) and other.settings.app == self.settings.app

    def split(self, text: str) -> Sequence[str]:
        return [text]

    async def send(self, outbound: Outbound) -> Receipt:
        return Receipt("1")


class ExpressChannel(PostcardChannel):
    """A faster one."""

    default_rate_per_s = 2.0


TYPES: Mapping[str, Build] = {"postcard": PostcardChannel.build, "express": ExpressChannel.build}


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    """Give a real HTTP client; nothing here calls out."""
    async with Http() as opened:
        yield opened


def config(channels: Mapping[str, Any]) -> Config:
    return Config.model_validate(
        {
            "server": {"public_url": "https://chat.example.com/desk/"},
            "assistant": {"api_key": "k"},
            "channels": channels,
        }
    )


def postcard(office: str, **more: Any) -> dict[str, Any]:
    return {"type": "postcard", "office": office, "token": "t-1", **more}


def card_to(office: str) -> Inbound:
    return Inbound(account=office, sender="someone", external_id="1")


def refusal(http: Http, channels: Mapping[str, Any], types: Mapping[str, Build] = TYPES) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        build_roster(config(channels), http, types)
    return str(caught.value).splitlines()


async def test_enabled_channels_are_built_with_their_address(http: Http) -> None:
    """A disabled channel is not loaded, whatever its settings; the others know their webhook's address."""
    off = {"type": "postcard", "enabled": False}
    roster = build_roster(config({"cards": postcard("A"), "off": off, "more": postcard("B")}), http, TYPES)
    cards = roster["cards"]

    assert roster.names == ("cards", "more")
    assert [channel.name for channel in roster] == ["cards", "more"]
    assert isinstance(cards, PostcardChannel)
    assert len(secret := cards.context.secret) == 64
    assert cards.context == ChannelContext("cards", "https://chat.example.com/desk/webhooks/cards", http, secret)
    assert (roster.get("cards"), roster.get("off"), roster.get("nobody")) == (cards, None, None)


async def test_what_is_not_configured_is_the_channels_own(http: Http) -> None:
    """Waiting time and pace come from the configuration, then from the channel, then from the house."""
    roster = build_roster(
        config(
            {
                "plain": postcard("A"),
                "fast": postcard("B", type="express"),
                "own": postcard("C", type="express", coalesce_s=0, rate_per_s=0.5),
            }
        ),
        http,
        TYPES,
    )

    assert [roster.coalesce_s(name) for name in roster.names] == [3.0, 3.0, 0]
    assert [roster.rate_per_s(name) for name in roster.names] == [RATE_PER_S, 2.0, 0.5]


async def test_settings_that_an_adapter_refuses_are_told_with_their_path(http: Http) -> None:
    """Unknown keys, missing secrets and refused values of all channels together, without the value itself."""
    said = refusal(
        http,
        {
            "a": {"type": "postcard", "offce": "A"},
            "b": postcard("B", token="secretword"),
            "c": postcard("C"),
        },
    )

    assert said == [
        "channels.a.office: missing; add it",
        "channels.a.token: missing; add it",
        "channels.a.offce: unknown key; check its spelling, or remove it",
        "channels.b.token: [hidden] is no token; copy it from the office's door",
    ]


async def test_an_unknown_type_is_told_of_a_disabled_channel_too(http: Http) -> None:
    """Nothing else of it is looked at, but a typing error in its type would wait for the day that it is enabled."""
    off = {"type": "postcrad", "enabled": False}

    assert refusal(http, {"cards": postcard("A"), "off": off}) == [
        "channels.off.type: unknown type; use one of: express, postcard"
    ]


async def test_one_account_is_one_channel(http: Http) -> None:
    """Two channels of one account would each answer every message: the second is refused."""
    assert refusal(http, {"a": postcard("A"), "b": postcard("B"), "again": postcard("A")}) == [
        "channels.again: the same account as channels.a; remove one"
    ]


async def test_a_pools_number_with_a_channel_of_its_own_belongs_to_that(http: Http) -> None:
    """Whichever address told the event, the channel of exactly that account has it; a report is its address's own."""

    class Pool(PostcardChannel):
        def owns(self, event: Event) -> bool:
            return True

    one = config({"pool": postcard("P"), "number": postcard("N")})
    roster = build_roster(one, http, {"postcard": Pool.build})
    pool, number = roster["pool"], roster["number"]
    report = Status(account="N", status=DeliveryStatus.SENT, external_id="1")

    assert roster.owner_of(pool, card_to("N")) is number
    assert roster.owner_of(number, card_to("N")) is number
    assert roster.owner_of(pool, card_to("elsewhere")) is pool
    assert roster.owner_of(pool, report) is pool


async def test_an_unknown_type_is_told_with_the_known_ones(http: Http) -> None:
    """A typing error in ``type`` is as easy to mend as any other."""
    assert refusal(http, {"a": postcard("A", type="postcrad")}) == [
        "channels.a.type: unknown type; use one of: express, postcard"
    ]


@pytest.mark.parametrize(
    ("office", "owner"),
    [("A", "a"), ("B", "b"), ("C", None), ("D", None), ("E", None)],
    ids=["own account", "same app", "other app", "other type", "nobody's"],
)
async def test_an_event_goes_to_the_channel_that_has_its_account(http: Http, office: str, owner: str | None) -> None:
    """At a webhook that several accounts of one app share, each event finds its own channel and no stranger's."""
    roster = build_roster(
        config(
            {
                "a": postcard("A"),
                "b": postcard("B"),
                "c": postcard("C", app="two"),
                "d": postcard("D", type="express"),
            }
        ),
        http,
        TYPES,
    )
    found = roster.owner_of(roster["a"], card_to(office))

    assert (found.name if found else None) == owner


async def test_without_channels_the_roster_is_empty(http: Http) -> None:
    """The API alone needs none."""
    roster: Roster = build_roster(config({}), http, TYPES)

    assert (roster.names, list(roster)) == ((), [])


async def test_the_real_types_are_known(http: Http) -> None:
    """Twilio's adapter is built from the keys of the example, and refuses a secret that is missing."""
    sms = {"type": "twilio", "account_sid": "AC" + "0" * 32, "auth_token": TOKEN, "from": "+15550100001"}
    roster = build_roster(config({"sms": sms}), http)
    without_token = {key: value for key, value in sms.items() if key != "auth_token"}

    assert roster["sms"].kind == "sms"
    assert "twilio" in CHANNELS
    assert refusal(http, {"sms": without_token}, CHANNELS) == ["channels.sms.auth_token: missing; add it"]


async def test_the_example_file_starts(http: Http) -> None:
    """With its variables set, every channel of the file at the root can be built."""
    environ = {
        "OPENAI_API_KEY": "k",
        "FRONTDESK_API_KEY": "k",
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "TWILIO_AUTH_TOKEN": TOKEN,
    }
    example = load(Path(__file__).parent.parent / "config.yaml", environ)

    assert build_roster(example, http).names == ("sms",)


async def test_a_value_of_another_shape_is_told_without_the_value(http: Http) -> None:
    """An account's number in the wrong place is not repeated."""
    sms = {"type": "twilio", "account_sid": TOKEN, "auth_token": TOKEN, "from": "+15550100001"}
    (said,) = refusal(http, {"sms": sms}, CHANNELS)

    assert said.startswith("channels.sms.account_sid: must begin with AC and have 34 characters")
    assert TOKEN not in said
