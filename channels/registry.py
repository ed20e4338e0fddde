"""One row for each type of channel; the heavy SDKs behind them are imported when first needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from channels.base import Channel, ChannelContext
from channels.email.channel import EmailChannel
from channels.messenger.channel import MessengerChannel
from channels.twilio.channel import TwilioChannel
from channels.whatsapp.channel import WhatsAppChannel

CHANNELS: Mapping[str, Callable[[Mapping[str, Any], ChannelContext], Channel]] = {
    "twilio": TwilioChannel.build,
    "messenger": MessengerChannel.build,
    "email": EmailChannel.build,
    "whatsapp": WhatsAppChannel.build,
}
