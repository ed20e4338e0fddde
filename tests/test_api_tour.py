"""docs/api.md works as it stands: its commands, one after the other, against the demo."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.frontdesk import DEADLINE_S, ROOT, environment, running

PAGE = ROOT / "docs" / "api.md"
PORT = 8080
ENDED = "--- ended ---"


def blocks() -> list[str]:
    """Return the page's commands; the first starts the demo."""
    return re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)


def answers(printed: str) -> list[Any]:
    """Return the JSON objects that a block's commands printed, one after the other."""
    found, place, decoder = [], 0, json.JSONDecoder()
    while (place := printed.find("{", place)) >= 0:
        value, place = decoder.raw_decode(printed, place)
        found.append(value)
    return found


@pytest.mark.skipif(
    "CI" not in os.environ and shutil.which("curl") is None,  # where it has to pass, a missing curl is a failure
    reason="the page's commands need curl",
)
def test_the_tour_leads_to_a_customers_answer(tmp_path: Path) -> None:
    """Copied out of the page, in one shell; only the port is another one."""
    demo, *commands = blocks()
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "frontdesk"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m gateway "$@"\n')
    program.chmod(0o700)
    ours = {"TMPDIR": str(tmp_path), "PATH": f"{program.parent}:{environment()['PATH']}"}
    arguments = [*demo.split()[1:], "--port", "0"]
    with running(*arguments, cwd=tmp_path, **ours) as command:
        found = command.wait_for(r"Frontdesk runs at http://127\.0\.0\.1:(\d+)")
        command.wait_for("The demo goes on")
        script = f"\necho '{ENDED}'\n".join(commands).replace(str(PORT), found[1])
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            env=environment(**ours),
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    _, chat, _, delivery, people, ending = done.stdout.split(ENDED)

    [answer] = answers(chat)
    assert "gas boilers" in answer["message"]
    [[said]] = [listed["items"] for listed in answers(delivery)]
    assert said["status"] in {"queued", "sending", "sent", "delivered"}
    transcript, taken, reply = answers(people)
    assert [one["role"] for one in transcript["items"]] == ["agent", "user", "assistant"]
    assert transcript["items"][1]["content"] == "What are your hours?"
    assert (taken["mode"], taken["assigned_to"]) == ("human", "front office")
    assert reply["message"]["content"] == "Our technician comes at 3 pm."
    given, closed = answers(ending)
    assert (given["mode"], closed["is_active"], closed["rating"]) == ("bot", False, 5)
