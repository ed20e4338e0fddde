"""What is opened together: whose memory it is that outlives a database."""

from __future__ import annotations

from pathlib import Path

import asyncpg

from gateway.assistant.parts import open_parts
from gateway.cache import Remembered
from tests.gateways import config

pytest_plugins = ["tests.fixtures_redis"]

KEY = "c:0"
SAID = (Remembered(1, "user", "my door code is 4711"),)


async def make_anew(database_url: str) -> None:
    """Throw a database away, so that another one comes to stand at its address."""
    if database_url.startswith("sqlite"):
        path = Path(database_url.removeprefix("sqlite:///"))
        for file in path.parent.glob(f"{path.name}*"):
            file.unlink()
        return
    connection = await asyncpg.connect(database_url)
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await connection.close()


async def test_memory_of_a_database_is_not_its_successors(database_url: str, redis_url: str, tmp_path: Path) -> None:
    """Redis outlives a database: a conversation of the same name in the next one is not told what was said before."""
    settings = config(tmp_path, database_url, redis=redis_url)
    async with open_parts(settings) as parts:
        await parts.storage.migrate()
        await parts.memory.remember(KEY, SAID, replace=True)
    async with open_parts(settings) as parts:
        again = await parts.memory.recall(KEY, 1)
    await make_anew(database_url)
    async with open_parts(settings) as parts:
        await parts.storage.migrate()
        successor = await parts.memory.recall(KEY, 1)

    assert again == SAID
    assert successor is None


async def test_memory_waits_for_the_database(database_url: str, redis_url: str, tmp_path: Path) -> None:
    """While the database cannot tell which one it is, nothing is remembered in Redis; from then on everything is."""
    settings = config(tmp_path, database_url, redis=redis_url)
    async with open_parts(settings) as parts:
        await parts.memory.remember(KEY, SAID, replace=True)
        before = await parts.memory.recall(KEY, 1)
        await parts.storage.migrate()
        unknown = await parts.memory.recall(KEY, 1)
        await parts.memory.remember(KEY, SAID, replace=True)
        after = await parts.memory.recall(KEY, 1)

    assert (before, unknown) == (None, None)
    assert after == SAID


async def test_each_database_has_a_name_of_its_own(database_url: str, tmp_path: Path) -> None:
    """The name is made once with the database, and is another one where it is made anew."""
    names = []
    for _ in range(2):
        async with open_parts(config(tmp_path, database_url)) as parts:
            await parts.storage.migrate()
            await parts.storage.migrate()
            names += [await parts.storage.installation_id(), await parts.storage.installation_id()]
        await make_anew(database_url)

    assert names[0] == names[1]
    assert names[2] == names[3]
    assert len(set(names)) == 2
