"""When Meta takes a message to a customer who has been silent, and under which name.

developers.facebook.com/docs/messenger-platform/reference/send-api and .../send-messages/message-tags, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping

from channels.base import Outbound
from channels.errors import OutsideWindow

ANYTHING_S = 24 * 3600.0
BY_A_PERSON_S = 7 * 24 * 3600.0
CODE = "outside_window"
RESPONSE: Mapping[str, str] = {"messaging_type": "RESPONSE"}
HUMAN_AGENT: Mapping[str, str] = {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}

NEVER_WROTE = "this customer has not written on Messenger yet: Meta takes a message only after they have"
BOT_IS_LATE = "this customer has been silent for over 24 hours: Meta now takes a person's answers only, for seven days"
NO_FEATURE = (
    "this customer has been silent for over 24 hours: a person's answer needs Meta's Human Agent feature, "
    "which human_agent in config.yaml says the app does not have"
)
EVERYBODY_IS_LATE = "this customer has been silent for over seven days: Meta takes no message until they write again"


def message_type(outbound: Outbound, *, human_agent: bool) -> Mapping[str, str]:
    """Return the fields that say by which rule a message may be sent.

    Raises:
        OutsideWindow: by none.
    """
    silent_s = outbound.silent_s
    if silent_s is None:
        raise OutsideWindow(NEVER_WROTE, code=CODE)
    if silent_s <= ANYTHING_S:
        return RESPONSE
    if silent_s > BY_A_PERSON_S:
        raise OutsideWindow(EVERYBODY_IS_LATE, code=CODE)
    if not outbound.by_person:
        raise OutsideWindow(BOT_IS_LATE, code=CODE)
    if not human_agent:
        raise OutsideWindow(NO_FEATURE, code=CODE)
    return HUMAN_AGENT
