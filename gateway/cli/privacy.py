"""``frontdesk export`` and ``frontdesk forget``: a person's data, handed to them or erased."""

from __future__ import annotations

import getpass
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.failures import Failed, Misused
from gateway.cli.given import a_path
from gateway.cli.opening import DEFAULT_CONFIG, ConfigPath, complete, load_config, open_roster, open_storage

if TYPE_CHECKING:
    from gateway.cache import Memory
    from gateway.config import Config
    from gateway.roster import Roster
    from gateway.storage import Storage
    from gateway.storage.privacy import Person

Contact = Annotated[
    str,
    typer.Argument(
        metavar="CONTACT",
        help="A contact's or a conversation's id, or an address: a number, an e-mail, a platform's id.",
    ),
]
Channel = Annotated[str | None, typer.Option("--channel", help="Only who has it on this channel's name or kind.")]
Target = Annotated[
    Path | None,
    typer.Option("--to", metavar="FILE", parser=a_path, help="The ZIP to write; without it, one here by the id."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; needed for an address that nobody is known by.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(export)
    app.command()(forget)


def export(
    contact: Contact, channel: Channel = None, target: Target = None, config: ConfigPath = DEFAULT_CONFIG
) -> None:
    """Write everything about a person to a ZIP."""
    complete(_export(load_config(config), _given(contact), channel, target))


def forget(contact: Contact, channel: Channel = None, yes: Yes = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Erase everything about a person, for good."""
    complete(_forget(load_config(config), _given(contact), channel, _Question(yes, sys.stdin.isatty())))


def _given(contact: str) -> str:
    if not contact.strip():
        raise Misused("CONTACT must not be empty")
    return contact.strip()


async def _export(config: Config, contact: str, channel: str | None, target: Path | None) -> None:
    from gateway.clock import utc_now
    from gateway.privacy import export_person, find_people

    async with open_roster(config) as roster, open_storage(config) as storage:
        person = _the_one(await find_people(storage, roster, contact, channel), contact)
        target = target or Path(f"frontdesk-export-{_id(person)}.zip")
        if target.exists():
            raise Misused(f"{target} is there already; name another file with --to")
        try:
            exported = await export_person(storage, roster, config.data.dir, person, target, now=utc_now())
        except OSError as error:
            raise Failed(f"cannot write {target}: {error.strerror}") from error
    print(f"written to {target}: {_counted(exported.counts)}; {exported.files} files")
    if exported.missing:
        raise Failed(f"{exported.missing} of their files are not in {config.data.dir}; look on the other machines")


@dataclass(frozen=True, slots=True)
class _Question:
    """Whether somebody really means it."""

    is_answered: bool
    """By --yes."""
    can_be_asked: bool

    def ask(self, what: str) -> None:
        """Return where the answer is yes, or nobody can be asked.

        Raises:
            typer.Abort: it is no.
        """
        if self.can_be_asked and not self.is_answered:
            typer.confirm(what, abort=True)

    def insist(self, said: str) -> None:
        """Return where the answer is yes.

        Raises:
            Misused: nobody has said so, or can be asked.
            typer.Abort: it is no.
        """
        if not (self.is_answered or self.can_be_asked):
            raise Misused(f"{said}; run this again with --yes to erase them")
        self.ask(f"{said}; erase them, for good?")


async def _forget(config: Config, contact: str, channel: str | None, question: _Question) -> None:
    from gateway.clock import utc_now
    from gateway.privacy import SpoolBusy, addresses, find_people, forget_person
    from gateway.storage.privacy import NOBODY

    async with (
        open_roster(config) as roster,
        open_storage(config) as storage,
        _memory(config, storage) as (memory, away),
    ):
        people = await find_people(storage, roster, contact, channel)
        also = addresses(roster, contact) if channel is None else ()
        if people:
            person = _the_one(people, contact)
            question.ask(f"erase {_described(person)}, for good?")
        else:
            person = NOBODY
            question.insist(await _count_strangers(config, storage, roster, contact, also))
        try:
            forgotten = await forget_person(
                storage,
                memory,
                roster,
                config.data.dir,
                person,
                actor=_actor(),
                now=utc_now(),
                also=also,
            )
        except SpoolBusy:
            raise Failed(
                "nothing is erased: a running frontdesk serve still holds webhooks of theirs in its spool; run this "
                "again when it has brought them into the database"
            ) from None
    print(f"erased: {_counted(forgotten.rows) or 'nothing was left'}")
    print(f"files: {forgotten.files}, records of the spool: {forgotten.spooled}, kept webhooks: {forgotten.webhooks}")
    if forgotten.opt_outs_kept:
        print(f"kept: that {forgotten.opt_outs_kept} of their addresses, and nothing else, wants no messages")
    if away:
        print("Redis did not answer; it forgets by itself within 24 hours")


async def _count_strangers(config: Config, storage: Storage, roster: Roster, contact: str, also: Sequence[str]) -> str:
    """Say what is kept of somebody whom the database does not know.

    Raises:
        Failed: nothing is, or what was typed is no address.
    """
    from gateway.privacy import count_strangers

    spooled, webhooks = await count_strangers(storage, roster, config.data.dir, also) if also else (0, 0)
    if not spooled and not webhooks:
        raise Failed(f"nobody is known as {contact}; see: frontdesk conversations")
    return f"nobody is known as {contact}, but {spooled} records of the spool and {webhooks} kept webhooks are theirs"


def _the_one(people: Sequence[Person], contact: str) -> Person:
    if not people:
        raise Failed(f"nobody is known as {contact}; see: frontdesk conversations")
    if len(people) > 1:
        lines = [f"{contact} may be {len(people)} people; name one by its id:"]
        raise Misused("\n".join([*lines, *(f"  {_described(person)}" for person in people)]))
    return people[0]


def _described(person: Person) -> str:
    places = ", ".join(f"{address} on {channel}" for channel, address in person.places) or "no address"
    count = len(person.conversations)
    return f"{_id(person)} ({places}; {count} conversation{'' if count == 1 else 's'})"


def _id(person: Person) -> str:
    """Return an id by which exactly this person is found."""
    ids = (*person.contact_ids, *(known.conversation_id for known in person.conversations))
    return ids[0] if ids else "an address"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _actor() -> str:
    try:
        return f"cli:{getpass.getuser()}"
    except (ImportError, KeyError, OSError):  # a container's user without a name
        return "cli"


@asynccontextmanager
async def _memory(config: Config, storage: Storage) -> AsyncIterator[tuple[Memory, list[None]]]:
    """Open the memory that running processes share, and a list that is not empty once Redis has failed."""
    from gateway.assistant.parts import namespace_of
    from gateway.cache import open_memory

    away: list[None] = []
    namespace = f"{namespace_of(config.database.url)}:{await storage.installation_id()}"
    memory = open_memory(config.redis.url, on_error=lambda: away.append(None), namespace=namespace)
    try:
        yield memory, away
    finally:
        await memory.close()
