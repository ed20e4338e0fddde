"""What ``frontdesk doctor`` says about a page: does Meta take its token, and does its webhook lead to us?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from channels.abilities import Finding
from channels.errors import CredentialsRejected, SendError
from channels.messenger.settings import MessengerSettings
from channels.meta.diagnosis import app_id, token_findings
from channels.meta.graph import Graph
from channels.meta.webhooks import a_list, a_text

# developers.facebook.com/docs/messenger-platform/webhooks, read 2026-11: what we read, in the order of its weight.
FIELDS = (
    "messages",
    "messaging_postbacks",
    "message_echoes",
    "message_deliveries",
    "message_reads",
    "message_reactions",
    "message_edits",
    "messaging_referrals",
    "messaging_optins",
    "messaging_handovers",
    "standby",
)
OBJECT = "page"
CONSOLE = "in Meta's app dashboard, Messenger, Settings, Webhooks"


async def diagnose(
    graph: Graph, settings: MessengerSettings, subject: str, address: str, now: datetime | None = None
) -> Sequence[Finding]:
    """Ask Meta; ``address`` is what should be configured there as the webhook's."""
    try:
        page = await graph.get(settings.page_id, fields="name")
    except CredentialsRejected as error:
        fix = "make a page access token in Meta's app dashboard (Messenger, Settings) and check page_id"
        return [Finding(subject, False, f"Meta rejects the page's token: {error}", fix)]
    except SendError as error:
        fix = "check page_id and api_base and the network, or try again later"
        return [Finding(subject, False, f"Meta cannot be asked about the page: {error}", fix)]
    accepted = Finding(subject, True, f"Meta accepts the token for {a_text(page.get('name')) or settings.page_id}")
    return [
        accepted,
        await _webhook(graph, settings, subject, address),
        *await token_findings(graph, subject, settings.app_secret, now),
    ]


async def _webhook(graph: Graph, settings: MessengerSettings, subject: str, address: str) -> Finding:
    paste = f"{CONSOLE}, set the callback URL to {address}"
    try:
        app = await app_id(graph)
        listed = a_list((await graph.get(f"{settings.page_id}/subscribed_apps")).get("data"))
    except SendError as error:
        fix = f"look {CONSOLE} whether the page is subscribed to {address}"
        return Finding(subject, False, f"the page's subscriptions cannot be read: {error}", fix)
    ours = next((known for known in listed if a_text(known.get("id")) == app), None)
    if ours is None:
        return Finding(subject, False, "the page does not post to our app", f"{paste} and add the page's subscriptions")
    fields = ours.get("subscribed_fields")
    missing = [name for name in FIELDS if not isinstance(fields, list) or name not in fields]
    if missing:
        fix = f"{paste} and subscribe the page to them"
        return Finding(subject, False, f"the page does not post {', '.join(missing)}", fix)
    return await _callback(graph, settings, subject, address, app)


async def _callback(graph: Graph, settings: MessengerSettings, subject: str, address: str, app: str) -> Finding:
    """Compare where the app posts with our address: it has one for all of its pages, and any of our channels' will do.

    developers.facebook.com/docs/graph-api/reference/app/subscriptions, read 2026-11.
    """
    token = f"{app}|{settings.app_secret.get_secret_value()}"
    try:
        listed = a_list((await graph.get(f"{app}/subscriptions", token=token)).get("data"))
    except SendError as error:  # a wrong app_secret is another finding's matter
        said = f"the page posts to our app, whose callback URL Meta does not tell ({error}); it has to be {address}"
        return Finding(subject, True, said)
    urls = (a_text(known.get("callback_url")) for known in listed if a_text(known.get("object")) == OBJECT)
    url = next(urls, "").rstrip("/")
    if url == address:
        return Finding(subject, True, "the page posts to us")
    if url.startswith(address.rpartition("/")[0] + "/"):
        return Finding(subject, True, f"the page posts to {url}, which has to be another channel of the same app")
    fix = f"{CONSOLE}, set the callback URL to {address}"
    return Finding(subject, False, f"the page's app posts to {url or 'nobody'}", fix)
