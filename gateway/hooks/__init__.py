"""Webhooks that leave the building: what happens here is told to the addresses of the configuration, signed."""

from gateway.hooks.payloads import WEBHOOKS, Payload, WebhookTest
from gateway.hooks.receivers import Receiver, receivers_of
from gateway.hooks.worker import Hooks

__all__ = ["WEBHOOKS", "Hooks", "Payload", "Receiver", "WebhookTest", "receivers_of"]
