"""`frontdesk demo` and `frontdesk chat`, as a newcomer runs them."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.sandbox.demo import BUSINESS, HOST, free_port
from gateway.sandbox.terminal import ERASE_LINE
from gateway.sandbox.whereabouts import announced, find
from tests.frontdesk import DEADLINE_S, Running, environment, frontdesk, running

NAME = str(BUSINESS["name"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a directory whose temporary files are the test's own."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(home: Path) -> Iterator[Running]:
    """Run a demo without a terminal until it only serves."""
    with running("demo", "--data", "kept", "--port", "0", cwd=home, TMPDIR=str(home)) as command:
        command.wait_for("goes on until SIGTERM")
        yield command


def test_the_walk_is_told_step_by_step(demo):
    """Three messages, each from its webhook to its delivery, with milliseconds that never go back."""
    walks = re.split(r"\n\S+ texts: ", demo.printed)[1:]

    assert len(walks) == 3
    for walk in walks:
        steps = re.findall(r"^ +(\d+) ms  (\w+)", walk, re.MULTILINE)
        assert [word for _, word in steps] == ["webhook", "stored", "turn", "Twilio", "status"]
        assert [int(ms) for ms, _ in steps] == sorted(int(ms) for ms, _ in steps)
        assert f"\n{NAME} replies: " in walk
    assert "On Saturday we are open 09:00-12:00." in walks[1]


def test_the_last_lines_say_what_to_look_at(demo, home):
    """Every address and file that is named is there."""
    url = demo.wait_for(r"(http://\S+)/healthz")[1]
    database = demo.wait_for(r"sqlite3 (\S+) ")[1]
    with urllib.request.urlopen(f"{url}/readyz", timeout=10) as answer:
        ready = json.load(answer)
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        metrics = answer.read().decode()

    assert ready == {"status": "ok", "problems": {}}
    assert re.search(r"^frontdesk_messages_accepted_total [3-9]", metrics, re.MULTILINE)
    assert (home / database).stat().st_size > 0
    assert url.startswith(f"http://{HOST}:")


def test_chat_talks_to_the_demo(demo, home):
    """Piped lines are said one by one, each after the answer to the one before."""
    said = "Which services do you offer?\n\nthanks\n"
    ended = frontdesk("chat", cwd=home, stdin=said, TMPDIR=str(home))

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == [
        "you> Which services do you offer?",
        f"{NAME}: We offer Inspection (60 minutes), Repair (120 minutes).",
        "you> thanks",
        f"{NAME}: You are welcome.",
    ]


def test_chat_does_not_wait_for_what_nobody_says(demo, home):
    """After STOP no answer comes, and the script goes on."""
    said = "STOP\nAre you there?\n/quit\nnever said\n"
    ended = frontdesk("chat", "--from", "+15550100777", cwd=home, stdin=said, TMPDIR=str(home))

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == ["you> STOP", "you> Are you there?"]


def test_at_a_terminal_replies_appear_as_they_come(demo, home):
    """A person types at a prompt, reads the reply above the next one, and leaves with /quit."""
    keyboard, terminal = pty.openpty()
    command = [sys.executable, "-m", "gateway", "chat", "--from", "+15550100888"]
    settings = environment(TMPDIR=str(home))
    with subprocess.Popen(command, cwd=home, env=settings, stdin=terminal, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        greeting = read_until(keyboard, "you> ")
        os.write(keyboard, b"Are you open on Sunday?\n")
        reply = read_until(keyboard, "closed.")
        os.write(keyboard, b"/quit\n")
        status = process.wait(timeout=DEADLINE_S)
    os.close(keyboard)

    assert f"You are +15550100888, writing to {NAME} by sms." in greeting
    assert f"{ERASE_LINE}{NAME}: On Sunday we are closed." in reply
    assert status == 0


def read_until(fd: int, wanted: str) -> str:
    """Return what a terminal showed up to a text, or as much as came in time."""
    shown = ""
    until = time.monotonic() + DEADLINE_S
    while wanted not in shown and select.select([fd], [], [], max(0.0, until - time.monotonic()))[0]:
        shown += os.read(fd, 4096).decode()
    return shown


def test_chat_on_a_channel_that_is_not_there(demo, home):
    """The line names the channels that are."""
    ended = frontdesk("chat", "--channel", "fax", cwd=home, stdin="Hi\n", TMPDIR=str(home))

    assert (ended.returncode, ended.stderr) == (1, "frontdesk: the demo has these channels: sms\n")


def test_a_second_demo_takes_another_port_but_not_the_same_data(demo, home):
    """The data folder is served already: one line and status 2."""
    ended = frontdesk("demo", "--data", "kept", cwd=home, TMPDIR=str(home))

    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert "another frontdesk process serves frontdesk.db" in ended.stderr


def test_sigterm_ends_it_cleanly(tmp_path):
    """Also in the middle of the walk: status 0, no warning printed or logged, and nothing of it can be found."""
    with running("demo", "--data", "kept", "--port", "0", cwd=tmp_path, TMPDIR=str(tmp_path)) as command:
        command.wait_for("accepted as")
        status = command.stop()
    log = (tmp_path / "kept" / "demo.log").read_text(encoding="utf-8")
    ended = frontdesk("chat", cwd=tmp_path, stdin="Hi\n", TMPDIR=str(tmp_path))

    assert status == 0
    assert command.printed.splitlines()[-1] == "The demo ends."
    assert re.search("Warning|Traceback|Unclosed", command.printed) is None
    assert [line for line in log.splitlines() if "[info" not in line] == []
    assert ended.returncode == 1
    assert ended.stderr == "frontdesk: no demo runs on this machine; start one in another terminal: frontdesk demo\n"


def test_a_taken_port_gives_another():
    """The preferred port is used where it is free."""
    free = free_port(0)

    assert free_port(free) == free


def test_the_later_of_two_demos_is_found(tmp_path):
    """A demo that ends takes only its own announcement away."""
    path = tmp_path / "demo.json"
    with announced("http://127.0.0.1:1", path):
        path.write_text(json.dumps({"url": "http://127.0.0.1:2", "pid": 1}), encoding="utf-8")
    later = find(path)
    with announced("http://127.0.0.1:3", path):
        third = find(path)

    assert (later, third, find(path)) == ("http://127.0.0.1:2", "http://127.0.0.1:3", None)
