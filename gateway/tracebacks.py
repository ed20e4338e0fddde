"""An exception as text that holds no data: its type, its code, where it came from."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from pathlib import PurePath

from gateway.masking import masked, shortened

MAX_FRAMES = 25
MAX_ERRORS = 8

# asyncpg and SQLAlchemy's adapter, then sqlite3 (Python 3.11 docs), then the SDKs' and our own errors, then OSError
_CODES = ("sqlstate", "pgcode", "sqlite_errorname", "code", "status", "errno")
_CODE = re.compile(r"[\w.-]{1,40}")

_TELLING = (AttributeError, ImportError, ModuleNotFoundError, NameError, NotImplementedError, TypeError)
"""Types whose messages name parts of the code. Others may quote data: SQLAlchemy's carry the statement's parameters."""


def describe(error: BaseException) -> str:
    """Return an exception, its causes and the members of its groups, one per line, each with its frames below."""
    lines: list[str] = []
    for number, (relation, link) in enumerate(_family(error, "", set())):
        if number == MAX_ERRORS:
            lines.append("and more")
            break
        lines.append(f"{relation}{headline(link)}")
        lines += [f"  {frame}" for frame in _frames(link)]
    return "\n".join(lines)


def _family(error: BaseException, relation: str, seen: set[int]) -> Iterator[tuple[str, BaseException]]:
    if id(error) in seen:
        return
    seen.add(id(error))
    yield relation, error
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _family(member, "holding ", seen)
    if error.__cause__ is not None:
        yield from _family(error.__cause__, "caused by ", seen)
    elif error.__context__ is not None and not error.__suppress_context__:
        yield from _family(error.__context__, "while handling ", seen)


def headline(error: BaseException) -> str:
    """Return an exception's type and codes, and its message where that names parts of the code only."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    codes = " ".join(f"{key}={code}" for key in _CODES if (code := _code(error, key)))
    telling = f": {shortened(masked(str(error)))}" if kind in _TELLING else ""
    return f"{name}{f' [{codes}]' if codes else ''}{telling}"


def _code(error: BaseException, key: str) -> str | None:
    value = getattr(error, key, None)
    text = str(value) if isinstance(value, str | int) else ""
    return text if _CODE.fullmatch(text) and masked(text) == text else None


def _frames(error: BaseException) -> list[str]:
    """Return the innermost frames; source lines stay out, and so does where on this machine the files lie."""
    # Summing up a frame neither reads its file nor its variables.
    stack = [
        f"{place(frame.f_code.co_filename)}:{line} in {frame.f_code.co_name}"
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    left_out = len(stack) - MAX_FRAMES
    return stack if left_out <= 0 else [f"({left_out} outer frames)", *stack[-MAX_FRAMES:]]


def place(filename: str) -> str:
    """Return the last three parts of a file's path, or what follows ``site-packages``: no home directory, no user."""
    parts = PurePath(filename).parts
    if "site-packages" in parts:
        return "/".join(parts[parts.index("site-packages") + 1 :])
    return "/".join(parts[-3:])
