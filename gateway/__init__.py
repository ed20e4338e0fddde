"""Frontdesk: what happens to a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.assistant.service import ChatbotService

__all__ = ["ChatbotService"]


def __getattr__(name: str) -> Any:
    """Import the service when it is first asked for: importing ``gateway`` stays cheap."""
    if name == "ChatbotService":
        from gateway.assistant.service import ChatbotService

        return ChatbotService
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
