"""The reader at a real mail server: Dovecot, where it is installed (``apt-get install dovecot-imapd``)."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from channels.email.imap.mailbox import ImapMailbox
from channels.email.settings import ImapSettings
from channels.errors import CredentialsRejected, Refused
from tests.imap_world import MAX_MAIL_BYTES, NOON, Hands, certificate, mail, read_all

DOVECOT = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

pytestmark = [
    pytest.mark.skipif(DOVECOT is None, reason="Dovecot is not installed: apt-get install dovecot-imapd"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Dovecot starts as root only"),
]

CONFIGURATION = """
base_dir = {folder}/run
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
mail_location = maildir:{folder}/mail:UTF-8
ssl = yes
ssl_cert = <{folder}/certificate.pem
ssl_key = <{folder}/key.pem
disable_plaintext_auth = no
auth_failure_delay = 0
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
passdb {{
  driver = static
  args = password=the-password
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={folder}/home
}}
first_valid_uid = 1
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A server of one user's."""

    folder: Path
    port: int
    tls_port: int

    def deliver(self, raw: bytes, name: str, mailbox: str = "") -> Path:
        """Put a mail into the mailbox, as a delivery agent does."""
        new = self.folder / "mail" / mailbox / "new" / name
        written = self.folder / "mail" / mailbox / "tmp" / name
        for folder in (new.parent, written.parent, new.parent.with_name("cur")):
            folder.mkdir(parents=True, exist_ok=True)
        written.write_bytes(raw)
        self.own()
        return written.rename(new)

    def own(self) -> None:
        """Give everything to the user under whom the server reads it."""
        owner = pwd.getpwnam("mail")
        for path in (self.folder / "mail", *(self.folder / "mail").rglob("*")):
            os.chown(path, owner.pw_uid, owner.pw_gid)

    def reader(self, **changes: object) -> ImapMailbox:
        """Return a reader of its mailbox."""
        given = {"host": "127.0.0.1", "username": "help", "password": "the-password", "security": "tls"}
        ports = {"port": self.port if changes.get("security") else self.tls_port}
        chosen = given | ports | {"ca_file": self.folder / "certificate.pem"} | changes
        return ImapMailbox(ImapSettings.model_validate(chosen), MAX_MAIL_BYTES, clock=Hands(), roll=lambda: 1.0)


def free_port() -> int:
    """Return a port that nobody has now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def server() -> Iterator[Server]:
    """Run the server for one test."""
    assert DOVECOT is not None
    with tempfile.TemporaryDirectory(prefix="frontdesk-dovecot-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        for part in ("run", "mail", "home"):
            (folder / part).mkdir()
        certificate(folder)
        running = Server(folder, free_port(), free_port())
        configuration = folder / "dovecot.conf"
        configuration.write_text(CONFIGURATION.format(folder=folder, port=running.port, tls_port=running.tls_port))
        running.own()
        process = subprocess.Popen([DOVECOT, "-F", "-c", str(configuration)])
        try:
            yield running
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture
async def started(server: Server) -> Server:
    """Wait until the server listens."""
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            await writer.wait_closed()
            return server


async def test_mail_is_read_and_heard_of(started):
    """From the first poll to IDLE, with bytes of any kind, and nothing is marked as read."""
    reader = started.reader()
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    odd = b"From: a@example.org\r\nSubject: (odd\r\n\r\n:-) \xff {5}\r\n* BYE\r\nA0 OK\r\n"
    raw = [odd, mail("two") + b"x" * 300_000 + b"\r\n", *[mail(f"more {number}") for number in range(30)]]
    for number, content in enumerate(raw):
        started.deliver(content, f"{1_800_000_000 + number}.m{number}.host")
    found, checkpoint = await read_all(reader, checkpoint, Hands())
    listening = asyncio.create_task(reader.wait_for_news(30))
    started.deliver(mail("news"), "1800001000.m.host")
    async with asyncio.timeout(10):
        await listening
    news, checkpoint = await read_all(reader, checkpoint, Hands())
    await reader.close()

    assert found == raw
    assert news == [mail("news")]
    assert not [path for path in (started.folder / "mail" / "cur").iterdir() if "S" in path.name.partition(":2,")[2]]


@pytest.mark.parametrize("security", ["none", "starttls"])
async def test_the_connection_is_as_the_settings_say(started, security):
    """In the clear where that is wanted, or with STARTTLS."""
    reader = started.reader(security=security)
    await reader.check()
    polled = await reader.poll(None, NOON)
    await reader.close()

    assert polled.checkpoint["uid"] == 0


async def test_a_restored_mailbox_is_read_again_from_a_day_before_on(started):
    """Without its index the server numbers everything anew, and says so."""
    reader = started.reader()
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    for name, age in (("old", timedelta(days=40)), ("recent", timedelta(hours=2))):
        came_at = NOON - age
        path = started.deliver(mail(name, came_at), f"{int(came_at.timestamp())}.{name}.host")
        os.utime(path, times=(came_at.timestamp(),) * 2)
    _, checkpoint = await read_all(reader, checkpoint, Hands())
    await reader.close()
    for file in (started.folder / "mail").glob("dovecot*"):
        file.unlink()
    await asyncio.sleep(1.1)  # UIDVALIDITY is a time in seconds
    again = started.reader()
    found, after = await read_all(again, checkpoint, Hands())
    await again.close()

    assert after["uidvalidity"] != checkpoint["uidvalidity"]
    assert found == [mail("recent", NOON - timedelta(hours=2))]


async def test_a_mailbox_of_any_name_is_found(started):
    """Its name is told in modified UTF-7."""
    started.deliver(mail("one"), "1800000000.m.host", mailbox=".Entwürfe & mehr")
    reader = started.reader(mailbox="Entwürfe & mehr")
    polled = await reader.poll(None, NOON)
    await reader.close()

    assert polled.checkpoint["uid"] == 1


async def test_a_large_mail_is_told_by_its_headers(started):
    """The real server cuts a header block, too."""
    reader = started.reader()
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    started.deliver(mail("huge") + b"x" * 60_000_000, "1800000000.m.host")
    polled = await reader.poll(checkpoint, NOON)
    await reader.close()

    assert polled.requests[0].body == mail("huge").removesuffix(b"Hello\r\n")


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"password": "another"}, CredentialsRejected), ({"mailbox": "Nowhere"}, Refused), ({"ca_file": None}, Refused)],
)
async def test_what_is_wrong_is_said(started, changes, error):
    """In the real server's words."""
    with pytest.raises(error):
        await started.reader(**changes).check()
