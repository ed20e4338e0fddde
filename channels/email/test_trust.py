"""Who is believed to be whom: honest results, spoofed ones, and signatures checked by ourselves."""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
from collections.abc import Iterator
from functools import cache

import dkim
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from channels.email.authentication import read_results
from channels.email.dkim_check import check
from channels.email.envelope import Envelope, Verdict, Verdicts
from channels.email.mail import Mail
from channels.email.mime import read_mail
from channels.email.settings import TrustSettings
from channels.email.trust import Trust, judge

BORDER = TrustSettings(authserv_id="mx.example.com")
FROM = "From: Customer <customer@example.org>"
NOTHING = Verdicts()
VERIFIED, FAILED = ("verified", "dmarc"), ("failed", "dmarc")
NOT_CHECKED, NOT_ALIGNED = ("unverified", "not_checked"), ("unverified", "not_aligned")
NO_SENDER = ("unverified", "no_sender")


def judged(
    *headers: str,
    settings: TrustSettings = BORDER,
    verdicts: Verdicts = NOTHING,
    signed_by: tuple[str, ...] | None = None,
    mail_from: str | None = None,
) -> tuple[str, str]:
    """Judge a message with these headers, in this order."""
    lines = headers if any(header.lower().startswith("from:") for header in headers) else (*headers, FROM)
    raw = "\r\n".join(lines).encode() + b"\r\n\r\nGood day\r\n"
    trust = judge(read_mail(raw), Envelope(raw, mail_from, verdicts=verdicts), settings, signed_by)
    return trust.level, trust.why


def told(results: str) -> str:
    return f"Authentication-Results: mx.example.com; {results}"


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ("dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=example.org", VERIFIED),
        ("spf=fail smtp.mailfrom=a@example.net;\r\n dkim=fail header.d=example.org;\r\n\tdmarc=pass", VERIFIED),
        ("dmarc=PASS header.from=Example.ORG", VERIFIED),
        ("dmarc=fail (p=NONE) header.from=example.org", FAILED),
        ("dkim=pass header.d=example.org; spf=pass smtp.mailfrom=example.org; dmarc=fail", FAILED),
        ("dmarc=pass; dmarc=fail", FAILED),
        ("dmarc=none; dkim=pass header.d=example.org", ("verified", "dkim")),
        ("dkim=pass (2048-bit key) header.i=@example.org header.s=s1", ("verified", "dkim")),
        ("dkim=fail header.d=example.org; dkim=pass header.d=EXAMPLE.org", ("verified", "dkim")),
        ('dkim/1=pass reason="good; really" header.d=example.org', ("verified", "dkim")),
        ("dkim=pass header.d=example.net; spf=fail smtp.mailfrom=example.net", NOT_ALIGNED),
        ("dkim=fail header.d=example.org", NOT_ALIGNED),
        ("dkim=pass header.d=mail.example.org", NOT_ALIGNED),
        ("dkim=pass header.d=ample.org", NOT_ALIGNED),
        ("dkim=pass header.d=org", NOT_ALIGNED),
        ("spf=pass (192.0.2.1 is allowed) smtp.mailfrom=bounce@example.org", ("verified", "spf")),
        ("spf=pass smtp.mailfrom=example.org", ("verified", "spf")),
        ("spf=pass smtp.mailfrom=example.net", NOT_ALIGNED),
        ("spf=pass smtp.helo=example.org", NOT_ALIGNED),
        ("spf=softfail smtp.mailfrom=example.org; dkim=fail header.d=example.org", ("failed", "spf_and_dkim")),
        ("spf=fail smtp.mailfrom=example.org; dkim=none", NOT_ALIGNED),
        ("spf=fail; dkim=temperror header.d=example.org", NOT_ALIGNED),
        ("spf=neutral; dkim=none; dmarc=none", NOT_CHECKED),
        ("dmarc=bestguesspass header.from=example.org", NOT_CHECKED),
        ("dmarc=temperror header.from=example.org", NOT_CHECKED),
        ("none", NOT_CHECKED),
        ("", NOT_CHECKED),
    ],
)
def test_our_border_host_is_believed(results: str, expected: tuple[str, str]) -> None:
    """DMARC decides; without it a good signature or SPF of the sender's own domain, or one above it."""
    assert judged(told(results)) == expected


def test_a_domain_speaks_for_what_lies_beneath_it() -> None:
    """A company signs for its departments, and a department not for its company."""
    header = told("dkim=pass header.d=example.org")

    assert judged(header, "From: customer@mail.example.org") == ("verified", "dkim")
    assert judged(header, "From: customer@mail.example.org.example.net") == NOT_ALIGNED
    assert judged(header, "From: customer@notexample.org") == NOT_ALIGNED


PASS = "dmarc=pass header.from=example.org"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([f"Authentication-Results: mx.example.net; {PASS}"], NOT_CHECKED),
        ([f"Authentication-Results: evil.mx.example.com; {PASS}"], NOT_CHECKED),
        ([f"Authentication-Results: mx.example.com.evil.example; {PASS}"], NOT_CHECKED),
        ([f"Authentication-Results: mx.exаmple.com; {PASS}"], NOT_CHECKED),
        ([f"Authentication-Results: spf=pass; {PASS}"], NOT_CHECKED),
        ([f"Authentication-Results: ; {PASS}"], NOT_CHECKED),
        ([f"X-Authentication-Results: mx.example.com; {PASS}"], NOT_CHECKED),
        ([f"ARC-Authentication-Results: i=1; mx.example.com; {PASS}"], NOT_CHECKED),
        ([told("dmarc=fail"), told(PASS)], FAILED),
        ([told("none"), told(PASS)], NOT_CHECKED),
        ([told("dmarc=none (never ends"), told(PASS)], NOT_CHECKED),
        ([told('spf=none smtp.mailfrom="never ends'), told(PASS)], NOT_CHECKED),
        (["Authentication-Results: mx.example.net; dmarc=fail", told(PASS)], VERIFIED),
        ([told(f"x=none {'(' * 20_000}"), told(PASS)], NOT_CHECKED),
    ],
    ids=[
        *("foreign", "beneath ours", "ours beneath", "look-alike letter", "without a host", "empty", "X-", "ARC"),
        *("second", "second after nothing", "open comment", "open quote", "a foreign one above", "too long"),
    ],
)
def test_only_the_topmost_results_of_our_own_host_count(headers: list[str], expected: tuple[str, str]) -> None:
    """Whoever writes results into their own message gains nothing by it."""
    assert judged(*headers) == expected


@pytest.mark.parametrize(
    "results",
    [
        f"spf=none (helo is x; {PASS} )",
        f"spf=none (a (nested; {PASS}) comment; {PASS} )",
        f"spf=none (a \\) still inside; {PASS} )",
        f"spf=none (a \\\\\\) still inside; {PASS} )",
        f'spf=none smtp.mailfrom="a; {PASS}"@example.net',
        f'spf=none smtp.mailfrom="a\\"; {PASS}"@example.net',
        f'spf=none reason="(" ; x=none smtp.mailfrom=") ; {PASS}"',
        f"spf=none smtp.mailfrom=a {PASS}",
        "spf=none smtp.mailfrom==?utf-8?q?=3B_dmarc=3Dpass?=@example.net",
        "spf=none smtp.mailfrom==?utf-8?b?OyBkbWFyYz1wYXNz?=@example.net",
        "dmarc=none header.from=example.net dmarc=pass",
        "x-dmarc=pass",
        "dmarc.x=pass",
        "dmarc=passed",
        "dmarc= pass",
        "dmarc=none=pass",
        "ｄｍａｒｃ=pass",
        "dmаrc=pass",
        "dmarc(comment)=(comment)",
    ],
)
def test_the_senders_own_words_in_results_are_no_results(results: str) -> None:
    """Comments, quoted parts, encoded words and look-alikes, of which a sender can make some, pass for nothing."""
    level, _ = judged(told(results))

    assert level == "unverified"


@pytest.mark.parametrize(
    "results",
    [
        'dkim=pass header.i="a header.d=example.org"@example.net header.d=example.net',
        'dkim=pass header.i="@example.org x"@example.net',
        "dkim=pass header.d=example.net header.d=example.org",
        "dkim=pass header.d=example.org header.d=example.net",
        'dkim=pass header.d="example.org;"',
        "spf=pass smtp.mailfrom=example.org@example.net",
        'spf=pass smtp.mailfrom="x@example.org"@example.net',
        "spf=pass smtp.mailfrom=example.org; spf=pass smtp.mailfrom=example.net",
        "spf=pass smtp.mailfrom=exаmple.org",
    ],
)
def test_another_domain_is_not_read_into_results(results: str) -> None:
    """The domain is what stands after the last @ outside of quotes, and named once."""
    assert judged(told(results)) == NOT_ALIGNED


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        ("From: customer@example.org, other@example.org", NO_SENDER),
        ("From: customer@example.org\r\nFrom: other@example.net", NO_SENDER),
        ("From: =?utf-8?q?=3Ccustomer=40example=2Eorg=3E?= <other@example.net>", NOT_CHECKED),
        ("From: =?utf-8?q?customer=40example=2Eorg=2C?= <other@example.net>", NOT_CHECKED),
        ('From: "customer@example.org" <other@example.net>', NOT_CHECKED),
        ("From: other@example.net\r\nReply-To: customer@example.org\r\nSender: customer@example.org", NOT_CHECKED),
        ("From: customer@exаmple.org", NOT_CHECKED),
        ("From: customer@localhost", NO_SENDER),
        ("From: Customer", NO_SENDER),
        ("From: ", NO_SENDER),
    ],
    ids=[
        *("two addresses", "two headers", "encoded address", "encoded list", "display name", "Reply-To"),
        *("look-alike letter", "no domain", "no address", "nothing"),
    ],
)
def test_only_the_one_address_that_was_checked_is_believed(sender: str, expected: tuple[str, str]) -> None:
    """A pass for example.org is none for who only seems to be there."""
    assert judged(told(PASS), *sender.split("\r\n")) == expected


def test_a_sender_that_is_shown_is_the_one_that_was_checked() -> None:
    """Where decoding has made another address of the header, nothing is said about either."""
    raw = f"{told(PASS)}\r\n{FROM}\r\n\r\n".encode()
    shown = Mail((("from", "other@example.org"),))

    assert judge(shown, Envelope(raw), BORDER) == Trust("unverified", "no_sender")


def test_without_a_border_host_nothing_in_the_message_is_believed() -> None:
    """Nobody has said whose results are ours."""
    assert judged(told(PASS), settings=TrustSettings()) == NOT_CHECKED


@pytest.mark.parametrize(
    ("verdicts", "mail_from", "expected"),
    [
        (Verdicts(dmarc=Verdict.PASS), None, VERIFIED),
        (Verdicts(dmarc=Verdict.FAIL, dkim=Verdict.PASS), None, FAILED),
        (Verdicts(dkim=Verdict.PASS, dkim_domains=("example.org",)), None, ("verified", "dkim")),
        (Verdicts(dkim=Verdict.PASS, dkim_domains=("example.net",)), None, NOT_ALIGNED),
        (Verdicts(dkim=Verdict.PASS), None, NOT_ALIGNED),
        (Verdicts(spf=Verdict.PASS), "bounce@example.org", ("verified", "spf")),
        (Verdicts(spf=Verdict.PASS), "bounce@example.net", NOT_ALIGNED),
        (Verdicts(spf=Verdict.PASS), "", NOT_ALIGNED),
        (Verdicts(spf=Verdict.PASS, spf_domain="example.org"), "bounce@example.net", ("verified", "spf")),
        (Verdicts(spf=Verdict.FAIL, dkim=Verdict.FAIL), None, ("failed", "spf_and_dkim")),
        (Verdicts(spf=Verdict.FAIL), None, NOT_ALIGNED),
        (NOTHING, None, NOT_CHECKED),
    ],
)
def test_a_carriers_verdicts_are_believed(verdicts: Verdicts, mail_from: str | None, expected: tuple[str, str]) -> None:
    """What a provider has checked counts the same, and SPF is about the envelope's sender."""
    assert judged(verdicts=verdicts, mail_from=mail_from) == expected


def test_a_carriers_verdicts_go_before_what_the_message_says() -> None:
    """Through a provider comes what anybody wrote, results in the name of our border host too."""
    assert judged(told(PASS), verdicts=Verdicts(spf=Verdict.FAIL)) == NOT_ALIGNED


@given(st.text('mx.example.com;=dmarcpass "\\()@\t', max_size=120))
def test_any_header_is_read(header: str) -> None:
    """Whatever stands there, results or none come out and nothing is raised."""
    for result in read_results(header, "mx.example.com") or ():
        assert result.method


# --- signatures ---


@cache
def key() -> tuple[bytes, bytes]:
    """A private key, and the DNS record of its public one."""
    made = rsa.generate_private_key(65537, 2048)
    no_password = serialization.NoEncryption()
    pem = made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, no_password)
    der = serialization.Encoding.DER
    public = made.public_key().public_bytes(der, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem, b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


class Records:
    """Answers with one record, or another, or none."""

    def __init__(self, record: bytes | None = None) -> None:
        self.record = record or key()[1]
        self.asked: list[tuple[str, float]] = []

    def __call__(self, name: str, timeout_s: float) -> bytes | None:
        self.asked.append((name, timeout_s))
        return self.record


MAIL = b"From: Customer <customer@example.org>\r\nTo: help@example.com\r\nSubject: Hello\r\n\r\nGood day\r\n"


def signed(mail: bytes = MAIL, domain: bytes = b"example.org", **options: object) -> bytes:
    return dkim.sign(mail, b"s1", domain, key()[0], **options) + mail


@pytest.mark.parametrize("how", [b"relaxed", b"simple"])
def test_a_good_signature_names_its_domain(how: bytes) -> None:
    """The key is asked for once, within the time that is left."""
    records = Records()

    assert check(signed(canonicalize=(how, how)), records, timeout_s=3.0) == ("example.org",)
    assert [name for name, _ in records.asked] == ["s1._domainkey.example.org."]
    assert 0 < records.asked[0][1] <= 3.0


def test_little_time_is_spent_on_name_servers() -> None:
    """Where nobody says how much, all questions together have two seconds."""
    records = Records()
    check(signed(), records)

    assert 0 < records.asked[0][1] <= 2.0


def test_two_good_signatures_name_two_domains() -> None:
    """A provider signs beside its customer."""
    assert check(signed(signed(), domain=b"Provider.example.net"), Records()) == ("provider.example.net", "example.org")


def signed_without_sender() -> bytes:
    """Sign the subject and the body only, as no signer should and dkimpy will not."""
    body = base64.b64encode(hashlib.sha256(b"Good day\r\n").digest()).decode()
    field = f"v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=s1; h=subject; bh={body}; b="
    private = serialization.load_pem_private_key(key()[0], None)
    assert isinstance(private, rsa.RSAPrivateKey)
    over = f"subject:Hello\r\ndkim-signature:{field}".encode()
    signature = base64.b64encode(private.sign(over, padding.PKCS1v15(), hashes.SHA256())).decode()
    return f"DKIM-Signature: {field}{signature}\r\n".encode() + MAIL


def signed_without(name: str, mail: bytes = MAIL) -> bytes:
    """Sign a mail but for one of its headers."""
    names = [header for header in ("From", "To", "Subject", "Date") if header != name]
    return signed(mail, include_headers=[header for header in names if f"{header}:".encode() in mail])


@pytest.mark.parametrize(
    "mail",
    [
        MAIL,
        signed().replace(b"Good day", b"Bad day"),
        signed().replace(b"Subject: Hello", b"Subject: Other"),
        signed().replace(b"Customer <", b"Other <"),
        b"From: other@example.org\r\n" + signed(),
        signed_without_sender(),
        signed().replace(b"d=example.org", b"d=example.net"),
        signed(length=True) + b"More\r\n",
        signed(length=True),
        signed_without("Subject"),
        signed_without("To"),
        signed_without("Date", b"Date: Tue, 24 Nov 2026 12:00:00 +0000\r\n" + MAIL),
        b"Subject: Other\r\n" + signed(),
        signed().replace(b"b=", b"b=!"),
        signed().replace(b"DKIM-Signature: ", b"DKIM-Signature: " + b" \r\n" * 2000),
        b"DKIM-Signature: v=1\r\n" + MAIL,
        b"DKIM-Signature:\r\n" + MAIL,
        b"DKIM-Signature: " + b"x" * 5000 + b"\r\n" + signed(),
        b"".join(b"X: y\r\n" for _ in range(600)) + signed(),
        b"not a header\r\n" + signed(),
        b"",
        b"\r\n\r\n",
        signed()[:200],
    ],
    ids=[
        *("unsigned", "other body", "other subject", "other name", "another sender above"),
        *("sender not signed", "other domain"),
        *("longer body", "open end", "no subject", "no recipient", "no date", "second subject"),
        *("no base64", "folded for ever", "no fields", "empty", "long", "many headers"),
        *("no header", "nothing", "no mail", "cut"),
    ],
)
def test_a_bad_signature_names_nobody(mail: bytes) -> None:
    """Whatever is wrong, it is as if nobody had signed."""
    assert check(mail, Records()) == ()


@pytest.mark.parametrize(
    "record",
    [
        b"v=DKIM1; p=",
        b"v=DKIM1; k=rsa; p=AAAA",
        b"\xff",
        b"p=" + b"A" * 10_000,
        b"v=DKIM2; p=AAAA",
        b"k=ed25519; p=AA==",
        key()[1] + b"; t=y",
        b"t= s : y ;" + key()[1].removeprefix(b"v=DKIM1;"),
    ],
    ids=["revoked", "no key", "bytes", "huge", "version", "another kind", "tested", "tested strictly"],
)
def test_a_bad_key_proves_nothing(record: bytes) -> None:
    """What the DNS of a stranger says is not trusted to be a key."""
    assert check(signed(), Records(record)) == ()


def test_a_key_that_is_not_tested_may_say_so() -> None:
    """Only ``y`` among its flags makes a message count as unsigned."""
    assert check(signed(), Records(key()[1] + b"; t=s; n=y")) == ("example.org",)


def test_dkimpy_itself_would_take_a_signature_without_the_sender() -> None:
    """Our own check is needed, and what it turns away is otherwise good."""
    assert dkim.verify(signed_without_sender(), dnsfunc=lambda name, timeout=5: key()[1])


def test_no_question_is_asked_after_the_time() -> None:
    """Slow name servers of five signers cannot add up."""
    times = iter([0.0, 0.5, 2.5])
    records = Records()

    assert check(signed(signed()), records, timeout_s=2.0, clock=lambda: next(times)) == ("example.org",)
    assert [timeout_s for _, timeout_s in records.asked] == [1.5]


def test_only_so_many_signatures_are_checked() -> None:
    """A message with a hundred of them does not cost a hundred questions."""
    records = Records(b"p=")

    assert check(b"".join(signed().partition(b"\r\nFrom")[0] + b"\r\n" for _ in range(100)) + MAIL, records) == ()
    assert len(records.asked) == 5


@pytest.mark.parametrize("body", [b" " * 1_000_000, b"\t \t" * 300_000 + b"\r\n", b"\r\n" * 500_000 + b"x"])
def test_white_space_takes_no_quadratic_time(body: bytes) -> None:
    """dkimpy would look at a million spaces for minutes: they are turned away, and a million lines are none of them."""
    mail = MAIL + body
    records = Records(b"p=")
    check(
        b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=a.example; s=s; h=from; bh=AAAA; b=AAAA\r\n" + mail,
        records,
    )

    assert len(records.asked) == (1 if b"x" in body else 0)


@pytest.fixture
def name_server() -> Iterator[list[str]]:
    """A name server on the loopback that knows one name; gives what it is asked."""
    asked: list[str] = []
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))

    def serve() -> None:
        while (received := server.recvfrom(4096))[0]:
            answer = dns.message.make_response(dns.message.from_wire(received[0]))
            name = answer.question[0].name
            asked.append(name.to_text())
            if name.to_text().startswith("s1."):
                halves = (key()[1][:200].decode(), key()[1][200:].decode())
                record = " ".join(f'"{half.replace(";", chr(92) + ";")}"' for half in halves)
                answer.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", record))
            else:
                answer.set_rcode(dns.rcode.NXDOMAIN)
            server.sendto(answer.to_wire(), received[1])

    thread = threading.Thread(target=serve)
    thread.start()
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], server.getsockname()[1]
    before, dns.resolver.default_resolver = dns.resolver.default_resolver, resolver
    yield asked
    dns.resolver.default_resolver = before
    server.sendto(b"", server.getsockname())
    thread.join()
    server.close()


def test_the_systems_name_server_is_asked(name_server: list[str]) -> None:
    """A key in several strings is put together; a name that is not there proves nothing."""
    mail = dkim.sign(MAIL, b"gone", b"example.net", key()[0]) + signed()

    assert check(mail) == ("example.org",)
    assert name_server == ["gone._domainkey.example.net.", "s1._domainkey.example.org."]


@pytest.mark.parametrize(
    ("sender", "signed_by", "expected"),
    [
        (FROM, ("example.org",), ("verified", "dkim")),
        (FROM, ("example.net",), NOT_ALIGNED),
        (FROM, (), NOT_ALIGNED),
        (FROM, None, NOT_CHECKED),
        ("From: customer@mail.example.org", ("example.org",), ("verified", "dkim")),
    ],
)
def test_our_own_check_counts_like_a_border_hosts(
    sender: str, signed_by: tuple[str, ...] | None, expected: tuple[str, str]
) -> None:
    """A good signature of the sender's domain verifies it; another's, or none, leaves it open."""
    assert judged(sender, signed_by=signed_by) == expected


def test_a_signature_that_we_have_checked_outweighs_a_failure() -> None:
    """What holds by our own arithmetic passes DMARC, whatever a host on the way could not find out."""
    assert judged(told("dmarc=fail"), signed_by=("example.org",)) == ("verified", "dkim")


def test_trust_is_a_value() -> None:
    """It is what is kept beside a message."""
    raw = f"{FROM}\r\n\r\n".encode()

    assert judge(read_mail(raw), Envelope(raw), BORDER) == Trust("unverified", "not_checked")
