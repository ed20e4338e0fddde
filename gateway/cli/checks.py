"""What ``frontdesk doctor`` looks at; each check reports, none raises for what it finds."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from channels.abilities import ChecksRecipient, Diagnoses, Finding, NamesWebhook
from channels.addresses import is_public
from channels.base import Channel
from gateway.cli.examples import is_example_host

if TYPE_CHECKING:
    from gateway.config import AssistantConfig, Config, NoticeConfig, SmtpConfig
    from gateway.roster import Roster

LOOK_TIMEOUT_S = 10.0
CHANNEL_TIMEOUT_S = 30.0
WARN_BEFORE_SHUTDOWN_DAYS = 90
MIB = 1024 * 1024
PUBLIC_URL_FIX = "set server.public_url to the address under which the internet reaches this machine"
OTHERS = stat.S_IRWXG | stat.S_IRWXO


def check_public_url(config: Config) -> Finding:
    """Tell whether a platform out there can post to us."""
    url = config.server.public_url
    parts = urlsplit(url)
    if is_example_host(parts.hostname or ""):
        return _problem("public_url", f"{url} is an example's name, which nobody has", PUBLIC_URL_FIX)
    if not _is_reachable(parts.hostname or ""):
        return _problem("public_url", f"{url} is no address of the internet", PUBLIC_URL_FIX)
    if parts.scheme != "https":
        fix = "put TLS in front, and https:// into server.public_url"
        return _problem("public_url", f"{url} is not encrypted", fix)
    return _ok("public_url", f"{url} (it was not tried from outside: only a message that comes in proves it)")


def _is_reachable(host: str) -> bool:
    try:
        return is_public(host)
    except ValueError:  # a name
        return "." in host and not host.endswith((".localhost", ".local", ".internal"))


async def check_database(config: Config) -> Sequence[Finding]:
    """Tell whether the database answers, and whether its schema fits."""
    from gateway.storage import SchemaMismatch, Storage, StorageUnavailable

    storage = Storage(config.database.url)
    if storage.path is not None and not storage.path.exists():
        return [_ok("database", f"{storage.path} does not exist yet; serve makes it")]
    where = str(storage.path) if storage.path is not None else _place(config.database.url)
    try:
        async with storage:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                await storage.ping()
                answers = _ok("database", f"{where} answers")
                await storage.check_schema()
    except (StorageUnavailable, TimeoutError) as error:
        fix = "start it, and check database.url; meanwhile webhooks are spooled"
        return [_problem("database", f"{where}: {error or 'does not answer'}", fix)]
    except SchemaMismatch as error:
        detail, _, command = str(error).partition("; ")
        schema = _problem("schema", detail, command)
    else:
        schema = _ok("schema", "is what this version needs")
    exposed = () if storage.path is None else _exposed("database", storage.path, f"600 {quote(str(storage.path))}*")
    return [answers, schema, *exposed]


def _exposed(subject: str, path: Path, change: str) -> Sequence[Finding]:
    """Warn of what other users of this machine may read."""
    if not path.exists() or not path.stat().st_mode & OTHERS:
        return []
    detail = f"other users of this machine may read {path}, where customers' messages are"
    return [Finding(subject, True, detail, f"run: chmod {change}")]


def _place(url: str) -> str:
    """Name a database without its password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def check_data(config: Config) -> Sequence[Finding]:
    """Tell whether files can be kept, and whether the spool has room."""
    folder = config.data.dir
    # serve makes the folder: until then it is its nearest parent that has to let it.
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        return [_problem("data", f"{folder} cannot be written", "make data.dir a folder that this user may write")]
    exposed = _exposed("data", folder, f"700 {quote(str(folder))}")
    return [_ok("data", f"{folder} is writable"), *exposed, _spool(folder, nearest, config.data.spool_max_mb)]


def _spool(folder: Path, nearest: Path, most_mb: int) -> Finding:
    if not most_mb:
        detail = "off: while the database is away, webhooks are turned away"
        return Finding("spool", True, detail, "set data.spool_max_mb to keep them")
    waiting = sum(path.stat().st_size for path in (folder / "spool").glob("*.spool"))
    if waiting:
        fix = "a running serve brings it in when the database answers"
        return Finding("spool", True, f"{waiting} bytes wait for the database", fix)
    free_mb = shutil.disk_usage(nearest).free // MIB
    if free_mb < most_mb:
        return Finding(
            "spool",
            True,
            f"the disk has {free_mb} MB left of {most_mb} wanted",
            "free some, or lower data.spool_max_mb",
        )
    return _ok("spool", f"empty, room for {most_mb} MB")


async def check_redis(config: Config) -> Sequence[Finding]:
    """Tell whether Redis answers, where one is configured."""
    from gateway.cache import open_memory

    if config.redis.url is None:
        return [_ok("redis", "none; wake-ups and memory stay inside one process")]
    failures: list[None] = []
    memory = open_memory(config.redis.url, on_error=lambda: failures.append(None))
    await memory.recall("0", 0)
    await memory.close()
    where = _place(config.redis.url)
    if failures:
        return [
            _problem("redis", f"{where} does not answer", "start it, and check redis.url; without it all is slower")
        ]
    return [_ok("redis", f"{where} answers")]


async def check_models(config: Config, today: date) -> Sequence[Finding]:
    """Tell whether each model answers us, and for how long it will."""
    names = [name for name in (config.assistant.model, config.assistant.fallback_model) if name is not None]
    return [await _check_model(config.assistant, name, today) for name in names]


async def _check_model(settings: AssistantConfig, name: str, today: date) -> Finding:
    from gateway.assistant.model import Line, ModelError, ModelUnavailable, Prompt
    from gateway.assistant.models import build_model
    from gateway.assistant.server import Patience

    alone = settings.model_copy(update={"model": name, "fallback_model": None})
    model = build_model(alone, Patience(timeout_s=LOOK_TIMEOUT_S, deadline_s=2 * LOOK_TIMEOUT_S))
    try:
        lifetime = await model.lifetime()
        if lifetime is None:
            # The server lists no models, or refuses us: only a question tells which, and why.
            await model.complete(Prompt("Answer with the word OK.", (Line("user", "Are you there?"),)))
    except ModelUnavailable as error:
        return _problem("model", f"{name}: {error}", "check assistant.base_url and the network, or try again later")
    except ModelError as error:
        said = f": {error.words}" if error.words else ""
        fix = "check assistant.api_key and assistant.model, and the account"
        return _problem("model", f"{name}: {error}{said}", fix)
    finally:
        await model.close()
    return _with_end(name, None if lifetime is None else lifetime.shutdown_on, today)


def _with_end(name: str, ends: date | None, today: date) -> Finding:
    if ends is None:
        return _ok("model", f"{name} answers; no shutdown date is known")
    days = (ends - today).days
    fix = "choose a current model for assistant.model"
    if days < 0:
        return _problem("model", f"{name} was to be shut down on {ends}", fix)
    if days <= WARN_BEFORE_SHUTDOWN_DAYS:
        return Finding("model", True, f"{name} answers, and will be shut down on {ends}, in {days} days", fix)
    return _ok("model", f"{name} answers until {ends}")


def check_tools(config: Config) -> Finding:
    """Name what the assistant can do."""
    from gateway.assistant.tools.standard import build_tools
    from gateway.config import ConfigError
    from gateway.storage import Storage

    try:
        tools = build_tools(Storage(config.database.url), config.assistant, config.business)
    except ConfigError as error:
        return _problem("tools", str(error), "see docs/adding-a-tool.md")
    listed = ", ".join(tool.name for tool in tools)
    without = "" if config.business.hours else " (none for appointments: business.hours is empty)"
    return _ok("tools", f"{listed}{without}")


async def check_handoff(config: Config, roster: Roster) -> Sequence[Finding]:
    """Tell whether people would learn that a customer waits."""
    handoff = config.handoff
    if not handoff.notify:
        detail = "nobody is told that a customer waits, or that a channel has stopped"
        return [Finding("handoff", True, detail, "name an e-mail address or a number in handoff.notify")]
    findings = [_check_texting(place, notice, roster) for place, notice in enumerate(handoff.notify) if notice.sms]
    by_mail = any(notice.email for notice in handoff.notify)
    smtp = config.notice_smtp if by_mail else handoff.smtp
    return findings if smtp is None else [*findings, *await _check_mail(smtp)]


def _check_texting(place: int, notice: NoticeConfig, roster: Roster) -> Finding:
    subject, channel = f"handoff.notify.{place}", roster.get(notice.channel or "")
    if channel is None:
        return _problem(subject, f"channels.{notice.channel} is not enabled", "enable it, or name another channel")
    if channel.kind != "sms":
        detail = f"channels.{channel.name} sends no text messages, and reaches you only while you write to it"
        return _problem(subject, detail, "name a channel that sends SMS")
    if isinstance(channel, ChecksRecipient):
        try:
            channel.check_recipient(notice.sms or "")
        except ValueError as error:
            return _problem(subject, f"sms {error}", "correct it")
    return _ok(subject, f"somebody is told by SMS through channels.{channel.name}")


async def _check_mail(smtp: SmtpConfig) -> Sequence[Finding]:
    from gateway.mail import Mail, MailError

    subject, where = "handoff.smtp", f"{smtp.host}:{smtp.port}"
    try:
        await Mail(smtp, timeout_s=LOOK_TIMEOUT_S).check()
    except MailError as error:
        return [_problem(subject, f"{where}: {error}", "check host, port, security, username and password")]
    if smtp.password is not None and smtp.security == "none":
        detail = f"{where} lets us in, and the password goes there unencrypted"
        return [Finding(subject, True, detail, "set handoff.smtp.security to starttls or tls")]
    return [_ok(subject, f"{where} {'answers' if smtp.password is None else 'lets us in'}")]


async def check_channel(channel: Channel, webhook_url: str) -> Sequence[Finding]:
    """Ask a channel about its credentials and its webhook at the platform."""
    subject = f"channels.{channel.name}"
    pasted = channel.webhook_address if isinstance(channel, NamesWebhook) else webhook_url
    address = _ok(subject, f"the webhook's address to paste is {pasted}")
    if not isinstance(channel, Diagnoses):
        return [address]
    try:
        async with asyncio.timeout(CHANNEL_TIMEOUT_S):
            return [address, *await channel.diagnose()]
    except TimeoutError:
        fix = "check the network and the channel's api_base, or try again later"
        return [address, _problem(subject, "the platform does not answer", fix)]


def _ok(subject: str, detail: str) -> Finding:
    return Finding(subject, True, detail)


def _problem(subject: str, detail: str, fix: str) -> Finding:
    return Finding(subject, False, detail, fix)
