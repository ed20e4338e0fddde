"""Which model takes what: what OpenAI's models refuse, as a table.

Read 2026-11-22 from developers.openai.com/api/docs/guides/deployment-checklist, .../docs/models/gpt-5.6-luna,
docs.litellm.ai/blog/gpt_6_sol_luna and the reports in livekit/agents#7169, bolna-ai/bolna#1019, BerriAI/litellm#34569
and #39631, onyx-dot-app/onyx#15008. A model that is not here gets every parameter, and the guard learns from refusals.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# From least to most, openai 3.54 types/shared/reasoning_effort.py.
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


class ChatTools(StrEnum):
    """What a model wants beside function tools in Chat Completions."""

    ANY_EFFORT = "any_effort"
    OMIT_EFFORT = "omit_effort"
    """Tools are taken while no effort is sent."""
    EFFORT_NONE = "effort_none"
    """Tools are taken only with an explicit effort of none."""
    NEVER = "never"
    """Tools need the Responses API."""


class Temperature(StrEnum):
    """When a model takes another temperature than 1."""

    NEVER = "never"
    EFFORT_NONE = "effort_none"


@dataclass(frozen=True, slots=True)
class Family:
    """Models that take the same parameters."""

    prefix: str
    efforts: tuple[str, ...]
    chat_tools: ChatTools
    temperature: Temperature

    def fit(self, effort: str) -> str:
        """Return the nearest effort that the family takes, the lower of two."""
        wanted = EFFORTS.index(effort)
        return min(self.efforts, key=lambda known: (abs(EFFORTS.index(known) - wanted), EFFORTS.index(known)))


_NONE_TO_XHIGH = ("none", "low", "medium", "high", "xhigh")
_NONE_TO_MAX = (*_NONE_TO_XHIGH, "max")
_LOW_TO_MAX = ("low", "medium", "high", "xhigh", "max")

# Reports differ about gpt-5.4's temperature and are silent about gpt-5.5 at effort none: both are taken as refused.
FAMILIES = (
    Family("gpt-5", ("minimal", "low", "medium", "high"), ChatTools.ANY_EFFORT, Temperature.NEVER),
    Family("gpt-5.1", ("none", "low", "medium", "high"), ChatTools.ANY_EFFORT, Temperature.EFFORT_NONE),
    Family("gpt-5.2", _NONE_TO_XHIGH, ChatTools.OMIT_EFFORT, Temperature.EFFORT_NONE),
    Family("gpt-5.4", _NONE_TO_XHIGH, ChatTools.OMIT_EFFORT, Temperature.NEVER),
    Family("gpt-5.5", ("low", "medium", "high", "xhigh"), ChatTools.NEVER, Temperature.NEVER),
    Family("gpt-5.6", _NONE_TO_MAX, ChatTools.EFFORT_NONE, Temperature.EFFORT_NONE),
    Family("gpt-6-sol", _NONE_TO_MAX, ChatTools.EFFORT_NONE, Temperature.EFFORT_NONE),
    Family("gpt-6-luna", _NONE_TO_MAX, ChatTools.EFFORT_NONE, Temperature.EFFORT_NONE),
    Family("gpt-6-astra", _LOW_TO_MAX, ChatTools.NEVER, Temperature.NEVER),
    Family("gpt-6.1-terra", _NONE_TO_MAX, ChatTools.NEVER, Temperature.EFFORT_NONE),
    Family("gpt-6.1-sol", _LOW_TO_MAX, ChatTools.NEVER, Temperature.NEVER),
    Family("gpt-6.2-astra", _LOW_TO_MAX, ChatTools.NEVER, Temperature.NEVER),
)


def family_of(model: str) -> Family | None:
    """Return the family of a model name such as ``gpt-6-luna`` or ``openai/gpt-6-luna-2026-09-01``, or None."""
    name = model.rpartition("/")[2]
    return next((row for row in FAMILIES if name == row.prefix or name.startswith(f"{row.prefix}-")), None)


def fit_effort(model: str, effort: str) -> str:
    """Return the effort to send to a model where the configuration asks for ``effort``."""
    family = family_of(model)
    return family.fit(effort) if family and effort in EFFORTS else effort


def lower_effort(model: str, effort: str | None) -> str | None:
    """Return the next lower effort that the model takes, or the same where there is none."""
    if effort not in EFFORTS:
        return effort
    family = family_of(model)
    known = family.efforts if family else ("none", "low", "medium", "high")
    below = [name for name in known if EFFORTS.index(name) < EFFORTS.index(effort)]
    return max(below, key=EFFORTS.index, default=effort)


def chat_effort(model: str, effort: str | None, *, with_tools: bool) -> str | None:
    """Return the effort that Chat Completions takes beside what else is sent, or None to send none."""
    family = family_of(model)
    if not with_tools or family is None:
        return effort
    if family.chat_tools is ChatTools.OMIT_EFFORT:
        return None
    return "none" if family.chat_tools is ChatTools.EFFORT_NONE else effort
