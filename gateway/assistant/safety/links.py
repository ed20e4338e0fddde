"""Taking links out of an answer, but for those to where the owner sends customers. Pure.

What counts is what a customer's screen would make a link of, not only what is a URL: messengers link bare domains.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.assistant.safety.domains import is_domain

LINK, MARKUP = "link", "markup"
REMOVED_LINK = "[...]"
"""What stands for a link: a mark and no word, for it is read in every language; GSM-7, so an SMS stays cheap."""

# Who writes without spaces puts an address between two words, which are none of it.
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u9fff\uac00-\ud7af\uff00-\uffef"
# Browsers take three wide full stops for dots in a host: www.unicode.org/reports/tr46, section 2.3. Behind an address
# they end a sentence, unless a name goes on.
_IN_TAIL = rf"""[^\s<>"`«»“”—–…{_UNSPACED}]"""
_TAIL = rf"""(?:{_IN_TAIL}++|[\u3002\uff0e\uff61](?=[A-Za-z0-9]))"""
_LETTER = rf"[^\W{_UNSPACED}]"
_LABEL = rf"{_LETTER}(?:{_LETTER}++|[\u00ad\u200c-\u200f-]++)*+"
_LINK = re.compile(
    rf"""
    (?P<script> (?<!\w)(?:
        (?:java|vb)\s{{0,9}}script\s{{0,9}}: | data\s{{0,9}}:(?:[\w.+-]+/[\w.+-]+)?[;,] | blob:(?=\w)
      ){_TAIL}*+ )
    | (?P<mailto> (?<!\w)mailto:{_TAIL}*+ )
    | (?P<mail> (?<![\w.+%-])[\w.+%-]*+@[\w.-]++ )
    | (?P<url> (?<![a-z0-9+])(?: [a-z0-9+]++:[/\\]{{2}} | https?:(?={_IN_TAIL}) | www\d?\. ){_TAIL}*+ )
    | (?<!{_LETTER})(?<![@-])-*+(?P<bare> {_LABEL}(?:\.{_LABEL})++ )
    """,
    re.IGNORECASE | re.VERBOSE,
)
# "evil.example-", "_evil.example_": no country has such a name, and screens link what is before it.
_BEHIND_TOP = re.compile(r"(\.(?!xn--)[^\W_]++)[^.]*+\Z", re.IGNORECASE)
_OTHER_THAN_NAME = re.compile(r"[^\w.]|_")
_AFTER_HOST = frozenset("/\\?#:")
_PATH = re.compile(rf"(?::\d++)?(?:[/\\?\#]{_TAIL}++)?")
_SCHEME_ENDS = re.compile(rf":[/\\]{{2}}{_TAIL}*+")
_GOES_ON = re.compile(rf":\d|[/\\?\#]{_IN_TAIL}")
_ADDRESS = re.compile(r"(?:https?://)?(?P<host>[\w.-]+)(?::(?P<port>\d{1,5}))?(?P<path>[/?#].*)?", re.IGNORECASE)
_ENDS = ".,;:!?'’)]}*_~"  # of a sentence, and of emphasis; seldom of an address
MAX_HOST = 253  # characters: RFC 1035, section 2.3.4, without its length octets
_USUAL_PORTS = frozenset({None, "80", "443"})

_IMAGE = re.compile(r"!\[[^\[\]]*+\](?:\([^()]*+(?:\([^()]*+\)[^()]*+)*+\)|\[[^\[\]]*+\])[ \t]?")
_MARKDOWN = re.compile(r"\[(?P<text>[^\[\]]*+)\]\((?P<inside>[^()]*+(?:\([^()]*+\)[^()]*+)*+)\)")
_INSIDE = re.compile(r"\s*<?(?P<target>[^\s<>]++)>?(?:\s+[\"'(].*)?\s*", re.DOTALL)
_TARGET = re.compile(r"[a-z][a-z0-9+.-]*+:|[/\\#?.]|[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,}(?![\w@])", re.IGNORECASE)
_ANGLES = re.compile(r"<((?:[a-z][a-z0-9+.-]*+:|www\.)[^<>\s]*+)>", re.IGNORECASE)
# The elements that link, or fetch by themselves.
_HTML = re.compile(
    r"</?(?:a|area|audio|base|button|embed|form|iframe|image|img|input|link|meta|object|script|source|style|svg|video)"
    r"(?:[\s/][^<>]*+)?>[ \t]?",
    re.IGNORECASE,
)


class Links:
    """The links that answers may hold."""

    def __init__(self, owner_texts: Iterable[str], allowed: Iterable[str]) -> None:
        """Take what the owner wrote, of which every host is allowed, and hosts or beginnings of addresses.

        Raises:
            ValueError: one of the latter is neither.
        """
        texts = tuple(owner_texts)
        found = [match for text in texts for match in _LINK.finditer(text)]
        self._mails = {match["mail"].rstrip(_ENDS).lower() for match in found if match["mail"]}
        self._numbers = tuple(_digits(text) for text in texts)
        named = [parts for match in found if (parts := _parts(match["url"] or match["bare"] or "")) is not None]
        self._starts = {*((host, "") for host, _ in named), *map(_start, allowed)}

    def cleaned(self, text: str, found: set[str]) -> str:
        """Return a text without links that are not allowed, and with no markup around the others; name what was."""
        pictureless = cut_out(_IMAGE, text)
        spelled_out = _MARKDOWN.sub(lambda match: self._spelled_out(match, found), pictureless)
        plain = _ANGLES.sub(r"\1", cut_out(_HTML, spelled_out))
        if pictureless != text or plain != spelled_out:
            found.add(MARKUP)
        return self._without_links(plain, found)

    def _spelled_out(self, match: re.Match[str], found: set[str]) -> str:
        """Return a markdown link as plain text."""
        inside = _INSIDE.fullmatch(match["inside"])
        if inside is None or not _TARGET.match(inside["target"]):
            return match[0]
        words, shown = match["text"].strip(), self._shown(inside["target"])
        found.add(LINK if shown is None else MARKUP)
        if shown is None:
            return words or REMOVED_LINK
        return shown if words in ("", shown, shown.partition("//")[2]) else f"{words} ({shown})"

    def _shown(self, target: str) -> str | None:
        """Return how a markdown link's target is shown, or None where it is not allowed."""
        scheme, _, rest = target.partition(":")
        if scheme.lower() in ("tel", "sms"):
            number = _digits(rest)
            return rest if len(number) > 4 and any(number in numbers for numbers in self._numbers) else None
        if scheme.lower() == "mailto":
            return self._mail(rest)
        return target if self._allows(target) else None

    def _without_links(self, text: str, found: set[str]) -> str:
        said, at = [], 0
        while match := _LINK.search(text, at):
            start = match.start(match.lastgroup or 0)
            link, is_link = _whole(text, match)
            kept = self._kept(link) if is_link else link
            if kept != link:
                found.add(LINK)
            said += [text[at:start], kept]
            at = start + len(link)
        return "".join([*said, text[at:]])

    def _kept(self, link: str) -> str:
        """Return what stays of a link, with what only follows it."""
        target = link.rstrip(_ENDS)
        return f"{self._shown(target) or REMOVED_LINK}{link[len(target) :]}"

    def _mail(self, address: str) -> str | None:
        """Return the address of a ``mailto:`` where it is the owner's, without what it would fill in."""
        bare = address.partition("?")[0]
        return bare if bare.lower() in self._mails else None

    def _allows(self, link: str) -> bool:
        parts = _parts(link)
        if parts is None:
            return False
        host, path = parts
        hosts = [host, *(f"*{host[at:]}" for at, letter in enumerate(host) if letter == ".")]
        return any((name, "") in self._starts for name in hosts) or any(
            name in hosts and _is_under(path, start) for name, start in self._starts
        )


def cut_out(pattern: re.Pattern[str], text: str) -> str:
    """Return a text without what a pattern finds, which may take the space behind it along; words stay apart."""

    def between(match: re.Match[str]) -> str:
        before, last = text[match.start() - 1 : match.start()], match[0][-1:]
        return " " if last in (" ", "\t") and before and not before.isspace() else ""

    return pattern.sub(between, text)


def _whole(text: str, match: re.Match[str]) -> tuple[str, bool]:
    """Return what was found with its path, where it has one, and whether it is a link at all."""
    kind = match.lastgroup or ""
    piece, behind = match[kind], match.end(kind)
    follows = text[behind : behind + 1]
    if kind in ("mail", "bare") and follows == ":" and (rest := _SCHEME_ENDS.match(text, behind)):
        return piece + rest[0], True  # "now.https://evil.example"
    if kind == "mail" and follows in ("/", "\\"):
        piece += _path(text, behind)
        return piece, not _are_mails(piece)
    if kind == "bare":
        name = _BEHIND_TOP.sub(r"\1", piece) if _OTHER_THAN_NAME.search(piece) else piece
        goes_on = name == piece and follows in _AFTER_HOST and _GOES_ON.match(text, behind) is not None
        if is_domain(name, goes_on=goes_on):
            return name + (_path(text, behind) if goes_on else ""), True
        return name, False
    return piece, kind != "mail"


def _path(text: str, at: int) -> str:
    match = _PATH.match(text, at)
    return match[0] if match else ""


def _parts(link: str) -> tuple[str, str] | None:
    """Return an address's host, with its port where that is unusual, and its path; None where a reader may be misled.

    Who reads ``https://example.com\\@other.example`` decides where it goes: browsers and libraries differ.
    """
    match = _ADDRESS.fullmatch(link.rstrip(_ENDS))
    if match is None or len(match["host"]) > MAX_HOST or "://" in (match["path"] or ""):
        return None
    host = match["host"].lower().strip("_.").removeprefix("www.")
    port = "" if match["port"] in _USUAL_PORTS else f":{match['port']}"
    return f"{host}{port}", (match["path"] or "").removeprefix("/")


def _start(allowed: str) -> tuple[str, str]:
    text = allowed.strip()
    anywhere = text.startswith("*.")
    parts = _parts(text.removeprefix("*."))
    if parts is None:
        raise ValueError(f"not a host or the beginning of an address: {allowed!r}")
    host, path = parts
    return f"*.{host}" if anywhere else host, path


def _is_under(path: str, start: str) -> bool:
    """Tell whether a path begins with another one, at the end of a step, and does not climb out of it again."""
    behind = path[len(start) :]
    whole_step = start.endswith(("/", "=")) or not behind or behind[0] in "/?#&"
    return path.startswith(start) and whole_step and ".." not in path and "%" not in behind.partition("?")[0]


def _are_mails(text: str) -> bool:
    """Tell whether this is e-mail addresses with slashes between them, and no path of a host."""
    return all(0 < part.find("@") < len(part) - 1 for part in text.split("/"))


def _digits(text: str) -> str:
    return "".join(filter(str.isdecimal, text))
