"""E-mail to the people who work here: one mail to one address, through the mail server of ``handoff.smtp``."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage

from aiosmtplib import SMTP, SMTPException, SMTPRecipientsRefused, SMTPResponseException

from gateway.config import SmtpConfig

TIMEOUT_S = 30.0  # for connecting, greeting, logging in and handing over one small mail
GOODBYE_S = 2.0
FINAL = 500
"""Reply codes from here on are final."""


class MailError(Exception):
    """The mail server did not take the mail.

    ::

        MailError
        ├── MailLater      it may take it, or may have taken it: send it again after a while
        └── MailRefused    it never takes this mail

    ``code`` is the server's reply code, or None where there was none. Only the message quotes the server.
    """

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class MailLater(MailError):
    """The server is away, busy, not to be trusted, or lets us not in; whether it took the mail may be unknown."""


class MailRefused(MailError):
    """The server refuses the sender, the recipient or the mail for good."""


class Mail:
    """One mail server; each mail has a connection of its own, because mails are few."""

    def __init__(
        self, config: SmtpConfig, *, timeout_s: float = TIMEOUT_S, trusted: ssl.SSLContext | None = None
    ) -> None:
        self._config = config
        self._timeout_s = timeout_s
        self._trusted = trusted
        """None trusts whom the system trusts."""

    def message(self, id_: str, to: str, subject: str, text: str, *, name: str, at: datetime) -> EmailMessage:
        """Return a mail. The same ``id_`` gives the same Message-ID: a mail program shows a repeated mail once.

        ``name`` is who it is from, in words; ``at`` is when it was written.
        """
        message = EmailMessage()
        message["From"] = Address(display_name=name, addr_spec=self._config.sender)
        message["To"] = Address(addr_spec=to)
        message["Subject"] = subject
        message["Date"] = at
        message["Message-ID"] = f"<{id_}@{self._domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834, section 5: nobody's absence answers it
        message.set_content(text, charset="utf-8")
        return message

    async def send(self, message: EmailMessage) -> None:
        """Hand the mail over.

        Raises:
            MailLater: it has to be sent again.
            MailRefused: it never will be taken.
        """
        async with self._open() as client:
            with _telling_refusals():
                async with asyncio.timeout(self._timeout_s):
                    await client.send_message(message)

    async def check(self) -> None:
        """Greet the server, encrypt and log in as for a mail.

        Raises:
            MailLater: one of these fails.
        """
        async with self._open():
            pass

    @property
    def _domain(self) -> str:
        return self._config.sender.rpartition("@")[2]

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[SMTP]:
        """Connect and log in; whatever fails here says nothing about a mail."""
        password = self._config.password
        client = SMTP(
            hostname=self._config.host,
            port=self._config.port,
            username=self._config.username,
            password=None if password is None else password.get_secret_value(),
            local_hostname=self._domain if self._domain.isascii() else None,
            timeout=self._timeout_s,
            use_tls=self._config.security == "tls",
            start_tls=self._config.security == "starttls",
            tls_context=self._trusted or self._trusted_by_config(),
        )
        try:
            await self._connect(client)
            yield client
            with contextlib.suppress(SMTPException):  # the mail is theirs, whatever becomes of the goodbye
                await client.quit(timeout=GOODBYE_S)
        finally:
            client.close()

    def _trusted_by_config(self) -> ssl.SSLContext | None:
        ca_file = self._config.ca_file
        return None if ca_file is None else ssl.create_default_context(cafile=ca_file)

    async def _connect(self, client: SMTP) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await client.connect()
        except _FAILURES as error:
            raise MailLater(_said(error), _code(error)) from error


_FAILURES = (SMTPException, OSError, TimeoutError)


@contextmanager
def _telling_refusals() -> Iterator[None]:
    """Tell a server's final no (RFC 5321, section 4.2.1) from everything that may pass."""
    try:
        yield
    except _FAILURES as error:
        code = _code(error)
        kind = MailRefused if code is not None and code >= FINAL else MailLater
        raise kind(_said(error), code) from error


def _code(error: Exception) -> int | None:
    if isinstance(error, SMTPRecipientsRefused):
        return error.recipients[0].code
    return error.code if isinstance(error, SMTPResponseException) else None


def _said(error: Exception) -> str:
    if isinstance(error, SMTPRecipientsRefused):
        error = error.recipients[0]
    if isinstance(error, SMTPResponseException):
        return f"{error.code} {error.message}"
    return str(error) or type(error).__name__
