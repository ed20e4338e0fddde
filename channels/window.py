"""The time in which WhatsApp lets a business answer freely, whoever carries its messages."""

from __future__ import annotations

from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field

from channels.base import Outbound
from channels.content import Content, Template
from channels.errors import OutsideWindow

OPEN_S = 24 * 3600.0  # "Customer service windows" in WhatsApp's documentation, read 2026-11
MAX_PARAMETER = 1024  # characters of a template's body

OUTSIDE = (
    "the customer has written nothing for 24 hours, and WhatsApp then takes approved templates only; "
    "send a template, or set fallback_template"
)
UNFIT = (
    "the customer has written nothing for 24 hours, and this answer does not fit into fallback_template: "
    "that takes a text of up to 1024 characters and nothing beside it"
)
INVITED = "the customer has written nothing for 24 hours; a template invites them to write, and only that was sent"


class FallbackTemplate(BaseModel):
    """The approved template that is sent in the place of an answer that comes too late."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    """WhatsApp's name of it; at Twilio its ContentSid."""
    language: str = "en_US"
    text_parameter: bool = False
    """Whether the template's text leaves one thing open, and the answer goes there."""


def is_open(outbound: Outbound) -> bool:
    """Tell whether the customer wrote lately enough for a free answer."""
    return outbound.silent_s is not None and outbound.silent_s <= OPEN_S


def allowed(outbound: Outbound, fallback: FallbackTemplate | None) -> tuple[Outbound, str | None]:
    """Return what may be sent, and a remark where that is the template in the answer's place.

    Raises:
        OutsideWindow: nothing may be sent.
    """
    if outbound.content.template is not None or is_open(outbound):
        return outbound, None
    text = outbound.content.text
    # A reaction would be a riddle as a template, and a part without words leaves the template's text open.
    if fallback is None or outbound.content.reaction is not None or (fallback.text_parameter and not text.strip()):
        raise OutsideWindow(OUTSIDE, code="outside_window")
    if not fallback.text_parameter and outbound.part > 1:
        raise OutsideWindow(INVITED, code="outside_window")
    parameters = (_parameter(outbound.content),) if fallback.text_parameter else ()
    template = Template(fallback.name, fallback.language, parameters)
    remark = f"sent as template {fallback.name}: outside WhatsApp's 24 hours"
    return replace(outbound, content=Content(template=template)), remark


def _parameter(content: Content) -> str:
    """Return an answer as a parameter may hold it: no line breaks, no tabs, no four spaces in a row.

    Raises:
        OutsideWindow: something of it would be lost.
    """
    line = " ".join(content.text.split())
    beside = replace(content, text="")
    if len(line) > MAX_PARAMETER or not beside.is_empty:
        raise OutsideWindow(UNFIT, code="outside_window")
    return line
