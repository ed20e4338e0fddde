"""What the README shows works as it stands."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

from tests.frontdesk import ROOT, environment
from tests.gateways import write_config
from tests.world import world

README = ROOT / "README.md"


async def test_the_embedding_example_runs(tmp_path: Path) -> None:
    """It is copied out of the README, and answers."""
    [example] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    (tmp_path / "ask.py").write_text(example)
    async with world() as around:
        write_config(tmp_path, f"sqlite:///{tmp_path}/frontdesk.db", **around.addresses)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "ask.py",
            cwd=tmp_path,
            env=environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        printed, complained = await asyncio.wait_for(process.communicate(), 60)

    assert (process.returncode, printed.decode()) == (0, "re: When are you open?\n"), complained.decode()


def test_the_unit_in_operations_reads_the_environment_that_the_readme_makes() -> None:
    """The link leads to a heading, and the unit to the same .env."""
    operations = (ROOT / "docs" / "operations.md").read_text()

    assert "docs/operations.md#as-a-service" in README.read_text()
    assert "\n## As a service\n" in operations
    assert "EnvironmentFile=/srv/frontdesk/.env" in operations
