"""What ``frontdesk doctor`` says about a WhatsApp number: does Meta take its token, and does its webhook lead to us?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from channels.abilities import Finding
from channels.errors import CredentialsRejected, SendError
from channels.meta.diagnosis import app_id, token_findings
from channels.meta.graph import Graph
from channels.meta.webhooks import a_list, a_map, a_text
from channels.whatsapp.settings import WhatsAppSettings

CONSOLE = "in Meta's app dashboard, WhatsApp, Configuration"
NUMBER_FIELDS = "display_phone_number,verified_name,quality_rating,webhook_configuration"
# The first of these that is set is where a number's webhooks go:
# developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/override, read 2026-11.
ADDRESSES = ("phone_number", "whatsapp_business_account", "application")
LOW = "RED"  # .../whatsapp/messaging-limits, "Quality rating": many customers have blocked or reported us


async def diagnose(
    graph: Graph, settings: WhatsAppSettings, subject: str, address: str, now: datetime | None = None
) -> Sequence[Finding]:
    """Ask Meta; ``address`` is what should be configured there as the webhook's."""
    try:
        number = await graph.get(settings.phone_number_id, fields=NUMBER_FIELDS)
    except CredentialsRejected as error:
        fix = "make a system user's token with whatsapp_business_messaging and whatsapp_business_management"
        return [Finding(subject, False, f"Meta rejects the number's token: {error}", fix)]
    except SendError as error:
        fix = "check phone_number_id (Meta's id, not the number) and api_base and the network, or try again later"
        return [Finding(subject, False, f"Meta cannot be asked about the number: {error}", fix)]
    return [
        _number(subject, settings, number),
        _webhook(subject, a_map(number.get("webhook_configuration")), address),
        await _subscription(graph, settings, subject, address),
        *await token_findings(graph, subject, settings.app_secret, now),
    ]


def _number(subject: str, settings: WhatsAppSettings, number: Mapping[str, Any]) -> Finding:
    shown = a_text(number.get("display_phone_number")) or settings.phone_number_id
    name, quality = a_text(number.get("verified_name")), a_text(number.get("quality_rating"))
    if quality == LOW:
        fix = "send less that nobody has asked for, or WhatsApp will lower the number's limits"
        return Finding(subject, False, f"WhatsApp rates the quality of {shown} as {quality}", fix)
    return Finding(subject, True, f"Meta accepts the token for {shown}{f' ({name})' if name else ''}")


def _webhook(subject: str, configured: Mapping[str, Any], address: str) -> Finding:
    """Compare where Meta posts with our address; an app of several numbers posts to one of its channels' only."""
    url = next(filter(None, (a_text(configured.get(level)) for level in ADDRESSES)), "").rstrip("/")
    fix = f"{CONSOLE}, set the callback URL to {address} and subscribe to messages"
    if not configured:
        return Finding(subject, True, f"Meta does not tell its callback URL, which has to be {address}")
    if url == address:
        return Finding(subject, True, "the number posts to us")
    if url.startswith(address.rpartition("/")[0] + "/"):
        return Finding(subject, True, f"the number posts to {url}, which has to be another channel of the same app")
    return Finding(subject, False, f"the number posts to {url or 'nobody'}", fix)


async def _subscription(graph: Graph, settings: WhatsAppSettings, subject: str, address: str) -> Finding:
    """Tell whether the number's account posts to our app: a handshake passes without, and no message comes."""
    account = settings.business_account_id
    if account is None:
        hint = "with business_account_id it would be checked whether the business account posts to our app"
        return Finding(subject, True, hint)
    try:
        app = await app_id(graph)
        listed = a_list((await graph.get(f"{account}/subscribed_apps")).get("data"))
    except SendError as error:
        fix = f"check business_account_id, and look {CONSOLE} whether it posts to {address}"
        return Finding(subject, False, f"the business account's subscriptions cannot be read: {error}", fix)
    if app in (a_text(a_map(known.get("whatsapp_business_api_data")).get("id")) for known in listed):
        return Finding(subject, True, "the business account posts to our app")
    fix = f"subscribe it: POST {settings.api_base}/{settings.graph_version}/{account}/subscribed_apps with the token"
    return Finding(subject, False, "the business account does not post to our app", fix)
