"""What the assistant is made of, opened in order and closed in reverse: for the server and for embedding alike."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog

from channels.http import Http
from gateway.assistant.loop import Loop
from gateway.assistant.model import Model
from gateway.assistant.models import build_model
from gateway.assistant.people import People
from gateway.assistant.pictures import Pictures
from gateway.assistant.service import ChatbotService
from gateway.assistant.summary import Summaries
from gateway.assistant.tools import Toolbox
from gateway.assistant.tools.standard import build_tools
from gateway.assistant.transcript import Transcript
from gateway.assistant.turn import Assistant
from gateway.bus import Bus, open_bus
from gateway.cache import Memory, open_memory
from gateway.clock import Clock, utc_now
from gateway.config import BusinessConfig, Config, ConfigError, Problem
from gateway.media import Media, MediaStore
from gateway.metrics import Metrics
from gateway.roster import Roster, build_roster
from gateway.storage import KeepRaster, Storage, StorageUnavailable

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything below the doors and the workers."""

    config: Config
    metrics: Metrics
    http: Http
    roster: Roster
    storage: Storage
    bus: Bus
    memory: Memory
    model: Model
    media: Media
    summaries: Summaries
    assistant: Assistant
    service: ChatbotService


def namespace_of(database_url: str) -> str:
    """Return what keeps two installations apart that share a Redis: their databases."""
    return hashlib.sha256(database_url.encode()).hexdigest()[:12]


def _memory_namespace(storage: Storage, database_url: str) -> Callable[[], Awaitable[str | None]]:
    """Return who tells the memory's namespace once the database does.

    A database that was made anew gives its conversations the numbers, and callers' conversations the ids, of others.
    """

    async def tell() -> str | None:
        try:
            installation = await storage.installation_id()
        except StorageUnavailable:
            return None
        return None if installation is None else f"{namespace_of(database_url)}:{installation}"

    return tell


def build_assistant(
    storage: Storage,
    memory: Memory,
    media: Media,
    model: Model,
    summaries: Summaries,
    metrics: Metrics,
    clock: Clock,
    config: Config,
) -> Assistant:
    """Put together what answers.

    Raises:
        ConfigError: the tools, or the allowed links, do not hold.
    """
    assistant, business = config.assistant, config.business
    toolbox = Toolbox(build_tools(storage, assistant, business), storage, metrics, clock)
    transcript = Transcript(storage, memory, media, Pictures(), assistant)
    loop = Loop(storage, model, toolbox, metrics, clock, max_rounds=assistant.max_rounds)
    try:
        return Assistant(storage, transcript, loop, summaries, metrics, clock, assistant, business)
    except ValueError as error:
        raise ConfigError([Problem("assistant.allowed_links", str(error))]) from error


@asynccontextmanager
async def open_parts(config: Config, clock: Clock = utc_now, *, owner: str | None = None) -> AsyncIterator[Parts]:
    """Open the storage, the memory, the HTTP client and the model; the database may be away.

    ``owner`` is the name of the serve process that these are of; None where callers embed the service.

    Raises:
        ConfigError: a channel's settings, or the tools, do not hold.
    """
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(Http())
        roster = build_roster(config, http)
        stack.push_async_callback(roster.close)
        storage = await stack.enter_async_context(Storage(config.database.url))
        memory = open_memory(
            config.redis.url,
            on_error=metrics.cache_errors.inc,
            namespace=_memory_namespace(storage, config.database.url),
        )
        stack.push_async_callback(memory.close)
        model = build_model(config.assistant)
        stack.push_async_callback(model.close)
        media = Media(storage, roster, MediaStore(config.data.dir / "media"), http, clock)
        summaries = Summaries(storage, model, metrics, clock)
        stack.push_async_callback(summaries.close)
        assistant = build_assistant(storage, memory, media, model, summaries, metrics, clock, config)
        bus = open_bus(config.redis.url, on_error=metrics.cache_errors.inc, namespace=namespace_of(config.database.url))
        await bus.open()
        stack.push_async_callback(bus.close)
        people = People(storage, roster, bus, clock)
        answers = config.handoff.while_waiting == "answer"
        service = ChatbotService(storage, assistant, people, clock, answer_while_waiting=answers, owner=owner)
        yield Parts(config, metrics, http, roster, storage, bus, memory, model, media, summaries, assistant, service)


async def fit_database(storage: Storage, business: BusinessConfig, clock: Clock) -> None:
    """Make the schema fit the program, and the seats of what is booked the business's raster.

    Raises:
        SchemaMismatch: PostgreSQL needs ``frontdesk migrate``.
        StorageUnavailable: the database is away.
    """
    if storage.is_sqlite:
        await storage.migrate()
    else:
        await storage.check_schema()
    seated = await storage.run(KeepRaster(business, clock()))
    if seated:
        log.info("appointments_seated_anew", appointments_count=seated)
