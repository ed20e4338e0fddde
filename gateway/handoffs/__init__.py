"""Between the bot and people: who is told of what, and what happens when nobody comes."""

from gateway.handoffs.worker import Handoffs

__all__ = ["Handoffs"]
