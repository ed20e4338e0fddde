"""The one table of paths."""

from __future__ import annotations

from gateway.web.api import (
    appointments,
    availability,
    chat,
    conversations,
    deliveries,
    leads,
    messages,
    people,
    persons,
    transcripts,
)
from gateway.web.api.route import Route

TABLE: tuple[Route, ...] = (
    *chat.ROUTES,
    *messages.ROUTES,
    *conversations.ROUTES,
    *transcripts.ROUTES,
    *people.ROUTES,
    *persons.ROUTES,
    *leads.ROUTES,
    *appointments.ROUTES,
    *availability.ROUTES,
    *deliveries.ROUTES,
)
