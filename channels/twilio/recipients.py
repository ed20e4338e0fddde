"""Customers' addresses as an operator types them. Pure."""

from __future__ import annotations

import re

from channels.twilio.settings import TwilioSettings

WHATSAPP = "whatsapp:"

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")  # E.164; the shortest numbers of the world have seven digits
_SHORT_CODE = re.compile(r"[0-9]{3,6}")  # a longer one would be a number whose country somebody forgot
_USER_ID = re.compile(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,256}")  # WhatsApp's own id of somebody with a hidden number
_BETWEEN = re.compile(r"[\s().\u00a0\u2010-\u2015/-]")  # what people write between digits

SMS = 'must be a number with + and its country, such as "+15550100123", or a short code such as "22345"'
ON_WHATSAPP = 'must be a number with + and its country, such as "+15550100123", or whatsapp:+15550100123'


def check_recipient(text: str, settings: TwilioSettings) -> str:
    """Return a customer's address as Twilio writes it: without what stands between digits, with WhatsApp's prefix.

    Raises:
        ValueError: it is none that this channel reaches, or the channel's own number.
    """
    address = _on_whatsapp(text.strip()) if settings.is_whatsapp else _by_sms(text.strip())
    if address == settings.sender:
        raise ValueError("is the channel's own number; name a customer's")
    return address


def _by_sms(text: str) -> str:
    if text.lower().startswith(WHATSAPP):
        raise ValueError("is on WhatsApp, and this channel sends SMS; name the number alone")
    number = _BETWEEN.sub("", text)
    if not _NUMBER.fullmatch(number) and not _SHORT_CODE.fullmatch(number):
        raise ValueError(SMS)
    return number


def _on_whatsapp(text: str) -> str:
    bare = text[len(WHATSAPP) :].strip() if text.lower().startswith(WHATSAPP) else text
    number = _BETWEEN.sub("", bare)
    if _NUMBER.fullmatch(number):
        return WHATSAPP + number
    if _USER_ID.fullmatch(bare):
        return WHATSAPP + bare
    raise ValueError(ON_WHATSAPP)
