"""The appointments as one iCalendar object, for a calendar program that subscribes to them.

https://www.rfc-editor.org/rfc/rfc5545 is the format, rfc7986 has the calendar's name and how often to ask again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from icalendar import Calendar, Event, vCalAddress, vDuration, vText

from gateway.printable import without_controls
from gateway.storage import Appointment

PRODUCT = "-//Frontdesk//Appointments//EN"
REFRESH = timedelta(minutes=15)
_END = b"END:VCALENDAR\r\n"


class _Words(vText):
    r"""Text as section 3.3.11 of RFC 5545 escapes it.

    icalendar 7.3 by itself takes a backslash before an N for a line break: it would tear ``C:\New`` in two.
    """

    __slots__ = ()

    def to_ical(self) -> bytes:
        r"""Escape it: a line break becomes the two characters ``\n``, so no text begins a property of its own."""
        escaped = self.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")
        return escaped.encode()


def calendar_of(appointments: Iterable[Appointment], *, installation: str, name: str) -> bytes:
    """Return the calendar of these appointments; the same appointments give the same bytes.

    ``installation`` names the database, so that two businesses' appointments never pass for the same one; ``name`` is
    what the program shows the calendar as.
    """
    calendar = Calendar()
    calendar.add("PRODID", PRODUCT)
    calendar.add("VERSION", "2.0")
    calendar.add("METHOD", "PUBLISH")
    calendar["NAME"] = calendar["X-WR-CALNAME"] = _Words(_line(name))  # RFC 7986, and what came before it
    calendar.add("REFRESH-INTERVAL", REFRESH, parameters={"VALUE": "DURATION"})
    calendar["X-PUBLISHED-TTL"] = vDuration(REFRESH)
    # Each event by itself: thousands of them in one tree are freed at once, and for so long nothing else runs.
    events = b"".join(_event(appointment, installation).to_ical() for appointment in appointments)
    head: bytes = calendar.to_ical().removesuffix(_END)
    return head + events + _END


def invitation_of(appointments: Sequence[Appointment], *, installation: str, name: str, address: str) -> str:
    """Return what a calendar program takes the customer's appointments from, or off, when it is attached to a mail.

    ``name`` and ``address`` are the business's: an organizer has to be named (RFC 5546, section 3.2.1). They are
    published, which asks for no answer that would come as one more mail; where all of them are cancelled, that is what
    is told (section 3.2.5).
    """
    calendar = Calendar()
    calendar.add("PRODID", PRODUCT)
    calendar.add("VERSION", "2.0")
    is_off = all(appointment.status == "cancelled" for appointment in appointments)
    calendar.add("METHOD", "CANCEL" if is_off else "PUBLISH")
    for appointment in appointments:
        event = _event(appointment, installation)
        event["SUMMARY"] = _Words(" – ".join(filter(None, (_line(appointment.service), _line(name)))))
        event.add("ORGANIZER", vCalAddress(f"mailto:{address}"), parameters={"CN": _line(name).replace('"', "'")})
        event.pop("DESCRIPTION", None)  # what the customer has told of themself is nothing to tell them
        calendar.add_component(event)
    return bytes(calendar.to_ical()).decode()


def _event(appointment: Appointment, installation: str) -> Event:
    """Return one appointment; its times are UTC, which needs no rules of a time zone and is the same moment in all."""
    cancelled = appointment.status == "cancelled"
    changed_at = appointment.updated_at or appointment.created_at
    event = Event()
    event.add("UID", f"appointment-{appointment.id}@{installation}")
    event.add("DTSTAMP", changed_at)
    event.add("LAST-MODIFIED", changed_at)
    event.add("SEQUENCE", appointment.revision)
    event.add("DTSTART", appointment.starts_at)
    event.add("DTEND", appointment.starts_at + timedelta(minutes=appointment.minutes))
    event.add("STATUS", "CANCELLED" if cancelled else "CONFIRMED")
    event.add("TRANSP", "TRANSPARENT" if cancelled else "OPAQUE")
    for key, text in _texts(appointment).items():
        if text:
            event[key] = _Words(text)
    return event


def _texts(appointment: Appointment) -> dict[str, str]:
    """Return what there is to read; every word of it is a customer's or the model's."""
    title = (_line(appointment.service), _line(appointment.customer_name))
    about = (_line(appointment.phone), _line(appointment.email), _lines(appointment.notes))
    return {
        "SUMMARY": " – ".join(filter(None, title)) or "Appointment",
        "LOCATION": _lines(appointment.address),
        "DESCRIPTION": "\n".join(filter(None, about)),
    }


def _line(text: str | None) -> str:
    return without_controls(" ".join((text or "").split()))


def _lines(text: str | None) -> str:
    """Keep line breaks, whichever characters they were: some readers break a line at each that Unicode knows."""
    return without_controls("\n".join((text or "").splitlines())).strip()
