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
    personal_data,
    transcripts,
)
from gateway.web.api.route import Route

TABLE: tuple[Route, ...] = (
    *chat.ROUTES,
    *messages.ROUTES,
    *conversations.ROUTES,
    *transcripts.ROUTES,
    *people.ROUTES,
    *personal_data.ROUTES,
    *leads.ROUTES,
    *appointments.ROUTES,
    *availability.ROUTES,
    *deliveries.ROUTES,
)
