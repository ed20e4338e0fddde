"""What ``frontdesk doctor`` says about a Twilio account: are the credentials good, and does its webhook lead to us?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from channels.abilities import Finding
from channels.errors import CredentialsRejected, SendError
from channels.twilio.settings import TwilioSettings

if TYPE_CHECKING:
    from channels.twilio.client import TwilioApi, Webhook  # they load the SDK


async def diagnose(api: TwilioApi, settings: TwilioSettings, subject: str, address: str) -> Sequence[Finding]:
    """Ask Twilio; ``address`` is what should be configured there, with the retries in its fragment."""
    try:
        status = await api.account_status()
    except CredentialsRejected as error:
        fix = "copy account_sid and auth_token from the first page of Twilio's console"
        return [Finding(subject, False, f"Twilio rejects the credentials: {error}", fix)]
    except SendError as error:
        return [
            Finding(subject, False, f"Twilio cannot be asked: {error}", "try again; check api_base and the network")
        ]
    if status != "active":
        return [Finding(subject, False, f"the account is {status}", "activate it in Twilio's console")]
    credentials = Finding(subject, True, "Twilio accepts the credentials")
    try:
        return [credentials, *await _webhook(api, settings, subject, address)]
    except SendError as error:
        fix = f"look in Twilio's console whether it is {address}"
        return [credentials, Finding(subject, False, f"the webhook's address cannot be read: {error}", fix)]


async def _webhook(api: TwilioApi, settings: TwilioSettings, subject: str, address: str) -> list[Finding]:
    service, sender = settings.messaging_service_sid, settings.sender
    if service is not None:
        webhook = await api.service_webhook(service)
        if webhook.overridden_by is None or sender is None:
            return _judge(webhook, f"Messaging Service {service}", subject, address)
    assert sender is not None
    if settings.is_whatsapp:
        # A WhatsApp sender's address is not among the account's phone numbers.
        return [Finding(subject, True, f"Twilio's console has to show {address} for this WhatsApp sender")]
    ask = api.short_code_webhook if settings.is_short_code else api.number_webhook
    number = await ask(sender)
    if number is None:
        return [Finding(subject, False, f"the account has no number {sender}", "check `from` in config.yaml")]
    return _judge(number, sender, subject, address)


def _judge(webhook: Webhook, what: str, subject: str, address: str) -> list[Finding]:
    if webhook.overridden_by is not None:
        fix = f"in Twilio's console, let {what} post to {address} itself"
        return [Finding(subject, False, f"{what} is overridden by {webhook.overridden_by}", fix)]
    ours, _, wanted = address.partition("#")
    url, _, fragment = (webhook.url or "").partition("#")
    if url != ours:
        return [Finding(subject, False, f"{what} posts to {url or 'nobody'}", f"set it to {address}")]
    if (webhook.method or "POST") != "POST":
        return [Finding(subject, False, f"{what} uses {webhook.method}", f"set it to HTTP POST {address}")]
    if fragment == wanted:
        findings = [Finding(subject, True, f"{what} posts to us")]
    else:
        lost = f"{what} posts to us; what fails is not tried again"
        findings = [Finding(subject, True, lost, f"set it to {address}: Twilio then tries again after any failure")]
    if not webhook.fallback_url:
        # Nothing to mend: the poll brings what no webhook brought.
        findings.append(Finding(subject, True, f"{what} has no fallback address: what fails comes with the next poll"))
    return findings
