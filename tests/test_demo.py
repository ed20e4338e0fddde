"""`frontdesk demo` and `frontdesk chat`, as a newcomer runs them."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from rich.cells import cell_len

from gateway.lock import OwnerLock
from gateway.printable import printable
from gateway.sandbox.control import Control
from gateway.sandbox.customer import DemoRefused, Heard
from gateway.sandbox.demo import free_port
from gateway.sandbox.leftovers import sweep
from gateway.sandbox.platforms import BUSINESS, DATABASE, HOST
from gateway.sandbox.terminal import BACK_BELOW, ROOM_ABOVE, above, converse, recite
from gateway.sandbox.twilio import TwilioStandIn
from gateway.sandbox.twilio_account import STOPPED
from gateway.sandbox.walk import BY_SMS, Walk
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
    before = os.umask(0o022)  # as most shells have it
    with running("demo", "--data", "kept", "--port", "0", cwd=home, TMPDIR=str(home)) as command:
        os.umask(before)
        command.wait_for("goes on until SIGTERM")
        yield command


BY_SMS_STEPS = ["webhook", "stored", "turn", "Twilio", "status"]
BY_EMAIL_STEPS = ["webhook", "MIME", "turn", "SMTP"]


def test_the_walk_is_told_step_by_step(demo):
    """Three messages and two mails, each from its webhook to its delivery, with milliseconds that never go back."""
    walks = re.split(r"\n\S+ (?:texts|mails): ", demo.printed)[1:]

    assert len(walks) == 5
    for number, walk in enumerate(walks):
        steps = re.findall(r"^ +(\d+) ms  (\w+)", walk, re.MULTILINE)
        assert [word for _, word in steps] == (BY_SMS_STEPS if number < 3 else BY_EMAIL_STEPS)
        assert [int(ms) for ms, _ in steps] == sorted(int(ms) for ms, _ in steps)
        assert f"\n{NAME} replies: " in walk
    assert "On Saturday we are open 09:00-12:00." in walks[1]
    assert "stored as message 3 of its conversation" in walks[4]


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


def test_what_it_keeps_is_its_users_alone(demo, home):
    """The database, the log, the spool: no other user of the machine reads what customers wrote."""
    kept = home / "kept"
    names = {path.name for path in kept.iterdir()}
    readable = [path for path in (kept, *kept.rglob("*")) if path.stat().st_mode & 0o077]

    assert names >= {"frontdesk.db", "demo.log", "spool"}
    assert readable == []


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


def test_chat_by_mail_shows_subjects_and_files(demo, home):
    """The subject stands before the first mail of a thread only, no quote is shown, and an invitation is named."""
    soon = [datetime.now(UTC).date() + timedelta(days=days) for days in range(3, 8)]
    day = next(day for day in soon if day.isoweekday() <= 5)
    said = f"Which services do you offer?\nBook an inspection on {day} at 10:00. My number is +15550100126.\n"
    ended = frontdesk("chat", "--channel", "email", cwd=home, stdin=said, TMPDIR=str(home))
    lines = ended.stdout.splitlines()

    assert (ended.returncode, ended.stderr) == (0, "")
    assert lines[1] == (
        f"{NAME}: [Re: Which services do you offer?] We offer Inspection (60 minutes), Repair (120 minutes)."
    )
    assert lines[3].startswith(f"{NAME}: ")
    assert "at 10:00" in lines[3]
    assert lines[4:] == ["[file invite.ics]"]


@pytest.mark.parametrize("sender", ["abc", "help@example.com", "a b@example.org"])
def test_chat_by_mail_from_what_is_no_customers_address(demo, home, sender):
    """It is refused before anything is said, the business's own address too."""
    ended = frontdesk("chat", "--channel", "email", "--from", sender, cwd=home, stdin="Hi\n", TMPDIR=str(home))

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"frontdesk: {sender} is no customer's e-mail address; write one such as customer@example.org\n"
    )


def test_chat_does_not_wait_for_what_nobody_says(demo, home):
    """STOP is confirmed by Twilio itself; afterwards no answer comes, and the script goes on."""
    said = "STOP\nAre you there?\n/quit\nnever said\n"
    ended = frontdesk("chat", "--from", "+15550100777", cwd=home, stdin=said, TMPDIR=str(home))

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == ["you> STOP", f"{NAME}: {STOPPED}", "you> Are you there?"]


def test_chat_fails_where_nothing_at_all_is_answered(demo, home):
    """A script whose every line meets silence has not worked."""
    sender = "+15550100778"
    frontdesk("chat", "--from", sender, cwd=home, stdin="STOP\n", TMPDIR=str(home))
    ended = frontdesk("chat", "--from", sender, cwd=home, stdin="Are you there?\n", TMPDIR=str(home))

    assert (ended.returncode, ended.stdout) == (1, "you> Are you there?\n")
    assert ended.stderr == "frontdesk: no answer came; see the demo's log\n"


def test_chat_from_what_is_no_address(demo, home):
    """It is refused before anything is said, in a line that says how one looks."""
    ended = frontdesk("chat", "--from", "abc", cwd=home, stdin="Hi\n", TMPDIR=str(home))

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "frontdesk: abc is no telephone number; write one such as +15550100125\n"


async def test_the_back_door_takes_telephone_numbers_only(aiohttp_client):
    """Whoever uses it without the terminal gets 422 and the reason."""
    twilio = TwilioStandIn("AC1", "t", number="+15550100001")
    app = web.Application()
    app.add_routes(Control({"sms": twilio}, NAME).routes())
    client = await aiohttp_client(app)
    said = await client.post("/sandbox/text", json={"channel": "sms", "from": "abc", "text": "Hi"})
    read = await client.get("/sandbox/outbox", params={"channel": "sms", "to": "abc"})

    assert (said.status, read.status, list(twilio.messages)) == (422, 422, [])
    assert "is no telephone number" in (await said.json())["error"]


@contextmanager
def chatting(home: Path, sender: str, *more: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Sit at a terminal in front of a chat; what is given reads and writes it."""
    keyboard, terminal = pty.openpty()
    command = [sys.executable, "-m", "gateway", "chat", "--from", sender, *more]
    with subprocess.Popen(
        command,
        cwd=home,
        env=environment(TMPDIR=str(home)),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY),  # so that Ctrl-C is for it
    ) as process:
        os.close(terminal)
        try:
            yield keyboard, process
        finally:
            process.kill()
            os.close(keyboard)


def test_at_a_terminal_replies_appear_as_they_come(demo, home):
    """A person types at a prompt, reads the reply above the next one, and leaves with /quit."""
    with chatting(home, "+15550100888") as (keyboard, process):
        greeting = read_until(keyboard, "you> ")
        os.write(keyboard, b"Are you open on Sunday?\n")
        reply = read_until(keyboard, f"closed.{BACK_BELOW.strip()}")
        os.write(keyboard, b"/quit\n")
        status = process.wait(timeout=DEADLINE_S)

    assert f"You are +15550100888, writing to {NAME} by sms." in greeting
    assert f"{ROOM_ABOVE}{NAME}: On Sunday we are closed." in reply.replace("\r\n", "\n")
    assert status == 0


def test_at_a_terminal_who_writes_mail_is_told_of_the_limit(demo, home):
    """Nobody waits for a sixth answer and wonders."""
    with chatting(home, "reader@example.org", "--channel", "email") as (keyboard, process):
        greeting = read_until(keyboard, "you> ")
        os.write(keyboard, b"/quit\n")
        process.wait(timeout=DEADLINE_S)

    assert f"You are reader@example.org, writing to {NAME} by email." in greeting
    assert "gets five answers of the bot in ten minutes" in greeting


def test_a_reply_leaves_what_is_half_typed(demo, home):
    """It comes above the line in which somebody types; the words go on, and are sent whole."""
    with chatting(home, "+15550100889") as (keyboard, process):
        read_until(keyboard, "you> ")
        os.write(keyboard, b"Are you open on Sunday?\n")
        read_until(keyboard, "you> ")
        os.write(keyboard, b"and open on Mon")
        shown = read_until(keyboard, "closed.")
        os.write(keyboard, b"day?\n")
        answered = read_until(keyboard, "08:00-17:00.")
        os.write(keyboard, b"/quit\n")
        process.wait(timeout=DEADLINE_S)

    assert "and open on Mon" in shown
    assert "\x1b[K" not in shown + answered
    assert "On Monday we are open 08:00-17:00." in answered


@pytest.mark.parametrize("key", [b"\x04", b"\x03"], ids=["the end of the input", "Ctrl-C"])
def test_the_shells_prompt_gets_a_line_of_its_own(demo, home, key):
    """Whatever ends a chat but /quit, the cursor does not stay behind our prompt."""
    with chatting(home, "+15550100890") as (keyboard, process):
        read_until(keyboard, "you> ")
        os.write(keyboard, key)
        shown = read_until(keyboard, "\n")
        process.wait(timeout=DEADLINE_S)

    assert shown.endswith("\n")


@pytest.mark.parametrize("columns", [20, 80])
def test_a_long_reply_takes_a_line_for_each_row(columns):
    """Wide characters count twice, or a row would run into the line beneath."""
    shown = above("Corner Garage: 日本語のお客様、こんにちは。お元気ですか。", columns)
    rows = [row.removesuffix(BACK_BELOW) for row in shown.split(ROOM_ABOVE)[1:]]

    assert all(cell_len(row) <= columns for row in rows)
    assert "".join(rows).replace(" ", "") == "CornerGarage:日本語のお客様、こんにちは。お元気ですか。"


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

    assert (ended.returncode, ended.stderr) == (
        1,
        "frontdesk: the demo has these channels: sms, messenger, whatsapp, email\n",
    )


def test_a_second_demo_takes_another_port_but_not_the_same_data(demo, home):
    """The data folder is served already: one line and status 2."""
    taken = demo.wait_for(r"http://127\.0\.0\.1:(\d+)/healthz")[1]
    ended = frontdesk("demo", "--data", "kept", "--port", taken, cwd=home, TMPDIR=str(home))

    assert re.match(rf"Port {taken} is taken: the demo uses \d+ instead\.\n", ended.stdout)
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


@pytest.fixture
def neighbour() -> Iterator[int]:
    """Give the number of another process that lives."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process.pid
        process.kill()


def dead_pid() -> int:
    """Return the number of a process that has ended."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
        return process.pid


def test_of_two_demos_the_newest_that_still_runs_is_found(tmp_path, neighbour):
    """A demo that ends takes only its own announcement away, and one that was killed does not count."""
    with announced("http://127.0.0.1:1", tmp_path):
        first = find(tmp_path)
        with announced("http://127.0.0.1:2", tmp_path, neighbour):
            later = find(tmp_path)
        killed = announced("http://127.0.0.1:3", tmp_path, dead_pid())
        killed.__enter__()
        left = find(tmp_path)

    assert (first, later, left, find(tmp_path)) == (
        "http://127.0.0.1:1",
        "http://127.0.0.1:2",
        "http://127.0.0.1:1",
        None,
    )


def test_what_a_killed_demo_announced_goes_at_the_next_start(tmp_path):
    """Its file would stay for ever."""
    announced("http://127.0.0.1:3", tmp_path, dead_pid()).__enter__()
    with announced("http://127.0.0.1:1", tmp_path):
        files = list(tmp_path.iterdir())

    assert len(files) == 1
    assert list(tmp_path.iterdir()) == []


def test_an_announcement_follows_nobodys_link(tmp_path):
    """The folder is everybody's: a link that somebody has put in the file's place leads nowhere."""
    precious = tmp_path / "precious"
    precious.write_text("untouched", encoding="utf-8")
    folder = tmp_path / "shared"
    folder.mkdir()
    name = f"frontdesk-demo-at-{os.getuid()}-{os.getpid()}"
    for ending in (".json", ".draft"):
        (folder / f"{name}{ending}").symlink_to(precious)
    with announced("http://127.0.0.1:1", folder):
        found = find(folder)

    assert (found, precious.read_text(encoding="utf-8")) == (None, "untouched")


def test_the_folders_of_killed_demos_are_swept(tmp_path, neighbour):
    """What lives stays, whoever says that it does: its number, or, in another container, the lock on its database."""
    gone, killed, served, living = (
        tmp_path / f"frontdesk-demo-{pid}-x" for pid in (dead_pid(), dead_pid(), dead_pid(), neighbour)
    )
    kept = tmp_path / "frontdesk-demo-of-mine"
    for folder in (killed, served, living, kept):
        folder.mkdir()
        (folder / DATABASE).touch()
    gone.symlink_to(kept)
    lock = OwnerLock(served / DATABASE)
    lock.acquire()
    sweep(tmp_path, DATABASE)
    lock.release()

    assert [path.exists() for path in (gone, killed, served, living, kept)] == [True, False, True, True, True]


def test_a_demo_that_was_killed_leaves_nothing_to_the_one_after_the_next(tmp_path):
    """Without --data its folder goes at the next start."""
    with running("demo", "--port", "0", cwd=tmp_path, TMPDIR=str(tmp_path)) as killed:
        killed.wait_for("signature verified")
        killed.process.kill()
    left = [path for path in tmp_path.iterdir() if path.is_dir()]
    with running("demo", "--port", "0", cwd=tmp_path, TMPDIR=str(tmp_path)) as next_one:
        next_one.wait_for("signature verified")
        next_one.stop()

    assert len(left) == 1
    assert list(tmp_path.iterdir()) == []


def test_what_was_cut_off_is_finished_before_the_walk_goes_on(tmp_path):
    """After ``kill -9`` the next start says so, answers what was waiting, and tells its own steps rightly."""
    with running("demo", "--data", "kept", "--port", "0", cwd=tmp_path, TMPDIR=str(tmp_path)) as killed:
        killed.wait_for("only then 200 OK")
        killed.process.kill()
    with running("demo", "--data", "kept", "--port", "0", cwd=tmp_path, TMPDIR=str(tmp_path)) as command:
        command.wait_for("goes on until SIGTERM")
        command.stop()
    before, *walks = re.split(r"\n\S+ (?:texts|mails): ", command.printed)

    assert "was cut off while it answered" in before
    assert "It is finished" in before
    assert len(walks) == 5
    assert "On Saturday we are open 09:00-12:00." in walks[1]


HOSTILE = "\x1b[2Jgone\u202e"


class Telephone:
    """A customer whose business says something hostile, once, and refuses to hear in words as bad."""

    def __init__(self) -> None:
        self.heard = [Heard((HOSTILE,), waits=True), Heard((), waits=False)]

    async def listen(self, _: float = 0) -> Heard:
        return self.heard.pop(0) if self.heard else await asyncio.Event().wait()

    async def say(self, text: str) -> None:
        raise DemoRefused(HOSTILE)


class Script:
    """What is typed: one line, and no more as soon as the answer is there."""

    def __init__(self, written: list[str]) -> None:
        self.lines = ["Hi", None]
        self.written = written

    async def next(self) -> str | None:
        while len(self.lines) == 1 and not any("gone" in text for text in self.written):
            await asyncio.sleep(0)
        return self.lines.pop(0)


@pytest.mark.parametrize("talk", [converse, recite])
async def test_a_terminal_shows_what_is_said_and_does_not_obey_it(talk):
    """Replies, refusals and the business's name are shown; only the room above our own prompt is obeyed."""
    written = []
    await talk(Telephone(), "Za\x1bp", Script(written), written.append)
    shown = "".join(written).replace(ROOM_ABOVE, "").replace(BACK_BELOW, "\n")

    assert "Za\ufffdp: \ufffd[2Jgone\ufffd\n" in shown
    assert "[\ufffd[2Jgone\ufffd]\n" in shown
    assert printable(shown) == shown


@pytest.fixture
async def back_door(aiohttp_client):
    """Give a browser's way into the back door of a demo, and what customers said through it."""
    said = []

    class Telephones:
        async def text(self, sender: str, text: str) -> int:
            said.append((sender, text))
            return 200

    app = web.Application()
    app.add_routes(Control({"sms": Telephones()}, NAME).routes())
    return await aiohttp_client(app), said


@pytest.mark.parametrize(
    ("host", "content_type", "status"),
    [
        ("127.0.0.1:4711", "application/json", 202),
        ("localhost", "application/json; charset=utf-8", 202),
        ("LOCALHOST:1", "application/json", 202),
        ("127.0.0.1:4711", "text/plain", 415),
        ("127.0.0.1:4711", "application/x-www-form-urlencoded", 415),
        ("evil.example:4711", "application/json", 403),
        ("127.0.0.1.evil.example", "application/json", 403),
        ("localhost:1@evil.example", "application/json", 403),
    ],
)
async def test_a_page_in_a_browser_says_nothing_at_the_back_door(back_door, host, content_type, status):
    """A form of any website, or a name that leads to this machine, makes no customer speak."""
    client, said = back_door
    body = json.dumps({"channel": "sms", "from": "+15550100125", "text": "Hi"})
    headers = {"Host": host, "Content-Type": content_type}
    answer = await client.post("/sandbox/text", data=body, headers=headers)

    assert answer.status == status
    assert said == ([("+15550100125", "Hi")] if status == 202 else [])


@pytest.mark.parametrize("path", ["/sandbox", "/sandbox/outbox?channel=sms&to=1"])
async def test_a_page_in_a_browser_reads_nothing_at_the_back_door(back_door, path):
    """What customers received is for this machine's own programs."""
    client, _ = back_door
    answer = await client.get(path, headers={"Host": "evil.example"})

    assert answer.status == 403


def test_the_walk_shows_what_is_said_and_does_not_obey_it():
    """What a model answers, or a platform calls a message, is told character by character."""
    told = []
    Walk(None, None, BY_SMS, "sms", "+15550100123", NAME, told.append)._tell_ms(1.0, HOSTILE)

    assert told == ["       1 ms  \ufffd[2Jgone\ufffd"]
