"""``escalate_to_human``: the model's own way to hand a conversation to a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from gateway.assistant.tools.base import Arguments, Call, Tool
from gateway.config import BusinessConfig
from gateway.schedule import Schedule

NAME = "escalate_to_human"
REASONS = Literal["customer_request", "complaint", "emergency", "complex_question", "ai_confidence_low"]


class EscalationArguments(Arguments):
    """Why a person is needed."""

    reason: REASONS = Field(description="Which of the reasons fits best.")
    summary: str = Field(max_length=1000, description="What it is about, in one or two sentences, for the colleague.")


class EscalateToHuman(Tool):
    """Hand this conversation to a person of the business.

    Call it when the customer asks for a person, complains, is in danger, needs a decision that you may not make, or
    when you cannot help. Then tell the customer that a person will take over.
    """

    name = NAME
    arguments = EscalationArguments

    def __init__(self, business: BusinessConfig) -> None:
        self._schedule = Schedule(business)

    async def run(self, arguments: EscalationArguments, call: Call) -> Mapping[str, Any]:
        """Note the wish; the turn's end carries it out, together with the answer."""
        opening = self._schedule.next_opening(call.now)
        away = opening is not None and opening > call.now
        return {
            "status": "handed_over",
            "reason": arguments.reason,
            "summary": arguments.summary,
            "available": f"{opening:%A}, {opening.day} {opening:%B}, {opening:%H:%M}" if away and opening else "now",
        }
