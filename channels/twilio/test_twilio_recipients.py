"""What an operator may type as a customer's address on Twilio."""

from __future__ import annotations

import pytest

from channels.abilities import ChecksRecipient
from channels.http import Http
from channels.twilio.channel import TwilioChannel
from channels.twilio.test_doubles import CUSTOMER, NUMBER, build


def channel(sender: str | None = NUMBER) -> TwilioChannel:
    built: TwilioChannel = build(Http(), **{"from": sender, "messaging_service_sid": "MG1"})
    return built


def test_twilio_checks_recipients() -> None:
    """It has the rare ability, whatever it sends."""
    assert isinstance(channel(), ChecksRecipient)


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        (CUSTOMER, CUSTOMER),
        (" +1 (555) 010-9999 ", CUSTOMER),
        ("+1.555.010.9999", CUSTOMER),
        ("+1\u00a0555\u2011010\u20139999", CUSTOMER),
        ("+49 30/901820", "+4930901820"),
        ("22345", "22345"),
        ("223-45", "22345"),
    ],
)
def test_a_number_is_written_as_twilio_writes_it(typed: str, written: str) -> None:
    """Otherwise one customer would have two conversations."""
    assert channel().check_recipient(typed) == written


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        (CUSTOMER, f"whatsapp:{CUSTOMER}"),
        ("whatsapp:+1 555 010 9999", f"whatsapp:{CUSTOMER}"),
        ("WhatsApp: +15550109999", f"whatsapp:{CUSTOMER}"),
        ("US.13490000000000000001", "whatsapp:US.13490000000000000001"),
        ("whatsapp:US.13490000000000000001", "whatsapp:US.13490000000000000001"),
    ],
)
def test_on_whatsapp_the_prefix_may_be_left_out(typed: str, written: str) -> None:
    """The customer's own messages come with it; so does what we begin."""
    assert channel(f"whatsapp:{NUMBER}").check_recipient(typed) == written


@pytest.mark.parametrize(
    ("sender", "typed", "said"),
    [
        (NUMBER, "abc", "must be a number with [+] and its country"),
        (NUMBER, "5550109999", "must be a number with [+] and its country"),
        (NUMBER, "555-0109", "must be a number with [+] and its country"),
        (NUMBER, "+05550109999", "must be a number with [+]"),
        (NUMBER, "+1555010999900001", "must be a number with [+]"),
        (NUMBER, "ann@example.com", "must be a number with [+]"),
        (NUMBER, "", "must be a number with [+]"),
        (NUMBER, f"whatsapp:{CUSTOMER}", "is on WhatsApp, and this channel sends SMS"),
        (NUMBER, NUMBER, "is the channel's own number"),
        (NUMBER, f"{NUMBER[:5]} {NUMBER[5:]}", "is the channel's own number"),
        (f"whatsapp:{NUMBER}", NUMBER, "is the channel's own number"),
        (f"whatsapp:{NUMBER}", "22345", "must be a number with [+]"),
    ],
)
def test_what_is_no_customers_address_is_told_how_to_write_one(sender: str, typed: str, said: str) -> None:
    """Twilio would refuse it minutes later, as a dead letter."""
    with pytest.raises(ValueError, match=said):
        channel(sender).check_recipient(typed)
