"""What proves that Amazon SNS posted something: a signature, and whose certificate it needs.

docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html, read 2026-11.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from channels.email.settings import an_origin
from channels.errors import Doubt, OutcomeUnknown, Refused, RetryLater, SignatureError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from channels.http import Http, HttpResponse

NOTIFICATION, SUBSCRIBE, UNSUBSCRIBE = "Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"
TIMEOUT_S = 5.0  # SNS waits 15 s for its answer, and a confirmation takes two calls
MAX_CERTIFICATES = 16
MAX_ANSWER_BYTES = 64 * 1024

_HOST = re.compile(r"sns\.[a-z0-9-]{1,40}\.amazonaws\.com(?:\.cn)?")
_CERTIFICATE = re.compile(r"/SimpleNotificationService-[0-9a-f]{1,64}\.pem")
_SIGNED = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    SUBSCRIBE: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_SIGNED[UNSUBSCRIBE] = _SIGNED[SUBSCRIBE]


class Sns:
    """Checks signatures and confirms subscriptions; keeps the certificates that it has fetched."""

    def __init__(self, http: Http, api_base: str | None) -> None:
        self._http = http
        self._origin = None if api_base is None else an_origin(api_base)
        self._keys: dict[str, RSAPublicKey] = {}
        self._fetching = asyncio.Lock()

    async def check(self, post: Mapping[str, Any]) -> None:
        """Return if SNS has signed a post.

        Raises:
            SignatureError: it has not.
            RetryLater: the certificate could not be fetched.
        """
        url, given = post.get("SigningCertURL"), post.get("Signature")
        text = string_to_sign(post)
        if text is None or not isinstance(given, str) or not isinstance(url, str):
            raise SignatureError(Doubt.UNSIGNED)
        if not self._is_certificates(url):
            raise SignatureError(Doubt.MISMATCH)
        key = self._keys.get(url) or await self._fetch_key(url)
        if not _is_signed(key, text, given, post.get("SignatureVersion")):
            raise SignatureError(Doubt.MISMATCH)

    async def confirm(self, post: Mapping[str, Any]) -> None:
        """Follow the link of a post whose signature and topic have been checked.

        Raises:
            SignatureError: the link leads elsewhere than to SNS, or is about another topic.
            RetryLater: it could not be followed.
        """
        url = post.get("SubscribeURL")
        if not isinstance(url, str) or not self._is_ours(url):
            raise SignatureError(Doubt.MISMATCH)
        if parse_qs(urlsplit(url).query).get("TopicArn") != [post.get("TopicArn")]:
            raise SignatureError(Doubt.MISMATCH)
        answer = await self._get(url)
        if answer.status != 200:
            raise RetryLater(f"SNS answered {answer.status} to the confirmation")

    async def _fetch_key(self, url: str) -> RSAPublicKey:
        """Fetch a certificate, one at a time: strangers can name many that there are not."""
        async with self._fetching:
            if url not in self._keys:
                answer = await self._get(url)
                if 400 <= answer.status < 500:
                    raise SignatureError(Doubt.MISMATCH)  # SNS has no such certificate
                if answer.status != 200:
                    raise RetryLater(f"SNS answered {answer.status} instead of a certificate")
                key = _read_key(answer.body)
                if len(self._keys) >= MAX_CERTIFICATES:
                    self._keys.clear()
                self._keys[url] = key
            return self._keys[url]

    async def _get(self, url: str) -> HttpResponse:
        try:
            return await self._http.request("GET", url, timeout_s=TIMEOUT_S, max_bytes=MAX_ANSWER_BYTES)
        except (OutcomeUnknown, Refused) as error:
            raise RetryLater(f"SNS does not answer: {error}") from error

    def _is_certificates(self, url: str) -> bool:
        parts = urlsplit(url) if self._is_ours(url) else None
        return parts is not None and not parts.query and bool(_CERTIFICATE.fullmatch(parts.path))

    def _is_ours(self, url: str) -> bool:
        """Tell whether an address is one of SNS's, written plainly: no port, no user, no trick that two readers of
        addresses read differently."""
        if not url.isascii() or not url.isprintable() or any(sign in url for sign in " \\#@"):
            return False
        origin, _, rest = url.partition("//")[2].partition("/")
        if self._origin is not None:
            return url == f"{self._origin}/{rest}"
        return url == f"https://{origin}/{rest}" and bool(_HOST.fullmatch(origin))


def string_to_sign(post: Mapping[str, Any]) -> bytes | None:
    """Return what SNS signs of a post; None where it lacks something."""
    lines: list[str] = []
    for name in _SIGNED.get(str(post.get("Type")), ()):
        value = post.get(name)
        if value is None and name == "Subject":
            continue
        if not isinstance(value, str):
            return None
        lines += (name, value)
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass") if lines else None


def _is_signed(key: RSAPublicKey, text: bytes, given: str, version: object) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    # 1 is what topics begin with: their attribute SignatureVersion makes it 2.
    algorithm = {"1": hashes.SHA1(), "2": hashes.SHA256()}.get(str(version))  # noqa: S303
    try:
        signature = base64.b64decode(given, validate=True)
        if algorithm is not None:
            key.verify(signature, text, PKCS1v15(), algorithm)
    except (binascii.Error, ValueError, InvalidSignature):
        return False
    return algorithm is not None


def _read_key(pem: bytes) -> RSAPublicKey:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.x509 import load_pem_x509_certificate

    try:
        key = load_pem_x509_certificate(pem).public_key()
    except ValueError as error:
        raise RetryLater("what SNS answered is no certificate") from error
    if not isinstance(key, RSAPublicKey):
        raise RetryLater("the certificate is for no RSA key")
    return key
