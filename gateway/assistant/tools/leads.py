"""``create_lead``: who is interested in what becomes a record that the business can follow up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from gateway.assistant.tools.base import Acts, Arguments, Call, Tool, ToolRefused
from gateway.assistant.tools.contacts import own_phone, region_of, told_email, told_phone
from gateway.config import BusinessConfig
from gateway.storage import LeadFacts, SaveLead


class LeadArguments(Arguments):
    """What the customer has told about themselves."""

    name: str | None = Field(default=None, max_length=200, description="Their name.")
    phone: str | None = Field(default=None, max_length=50, description="Their phone number, as they wrote it.")
    email: str | None = Field(default=None, max_length=254, description="Their e-mail address.")
    address: str | None = Field(default=None, max_length=500, description="Their postal address.")
    notes: str | None = Field(default=None, max_length=2000, description="What they need, in one or two sentences.")


class CreateLead(Tool):
    """Keep what this customer has told about themselves and what they need, so that the business can follow it up.

    Call it when somebody shows interest and gives a way to be reached, and again when they tell more: it is added to
    the same record. Pass only what the customer has said; never guess.
    """

    name = "create_lead"
    arguments = LeadArguments
    acts = Acts.HERE

    def __init__(self, business: BusinessConfig) -> None:
        self._own_number = business.phone

    async def run(self, arguments: LeadArguments, call: Call) -> Mapping[str, Any]:
        """Keep it."""
        phone, email = told_phone(arguments.phone, region_of(self._own_number)), told_email(arguments.email)
        facts = LeadFacts(arguments.name, phone, email, arguments.address, arguments.notes)
        customer = call.customer
        known = LeadFacts(name=customer.name, phone=own_phone(customer), email=customer.email)
        told = (facts.name, phone, email, facts.address, known.name, known.phone, known.email)
        if not customer.has_lead and not any(told):
            raise ToolRefused("nothing_to_keep", "Ask for a name and for a way to be reached first.")
        return await call.commit(SaveLead(facts, customer.channel, call.now, known))
