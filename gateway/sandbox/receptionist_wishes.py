"""What the customer wants, by English keywords: the matter of a turn, which everything else is decided by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from gateway.config import BusinessConfig
from gateway.sandbox.receptionist_contact import Contact, read_contact, without_contact
from gateway.sandbox.receptionist_dates import Slot, When, read_when, without_when
from gateway.sandbox.receptionist_offers import Offer, Purpose, read_offer
from gateway.sandbox.receptionist_talk import Heard

HOURS = re.compile(r"\b(hours?|open|opened|opening|close|closes|closing|closed|what time)\b")
BOOKING = re.compile(r"\b(book|booking|appointment|schedule|reserve|reservation)\b")
PERSON = re.compile(r"\b(human|person|agent|someone|somebody|representative|operator|manager)\b")
_EXPLICIT = re.compile(
    r"\b(human|representative|operator|manager|real person|(talk|speak) (to|with) (a|some|an|the)\s?\w+)\b"
)
_BOOK_NOW = re.compile(r"\b(book|reserve|schedule|need an appointment|want an appointment|make (me )?an appointment)\b")
_FREE = re.compile(
    r"\b(free|available|availability|openings?|slots?|any (time|appointment)s?|come (by|over|in)"
    r"|(can|could|may) (i|you|someone|somebody) come)\b"
)
_ASKS_WHEN_FREE = re.compile(r"\b(are you (free|available)|when\b.*\b(free|available)|availability|openings|slots?)\b")
_MOVE = re.compile(
    r"\b(move|change|shift|put off)\b.*\b(appointment|booking|visit|it)\b|\b(reschedule|postpone|rebook)\b"
)
_CANCEL = re.compile(r"\b(cancel|call off)\b")
_WANTS_CALL = re.compile(
    r"\b(quote|estimate|(call|ring|phone|contact|reach|text) me|get back to me|write to me|mail me)\b"
)
_EMERGENCY = re.compile(
    r"\b(emergency|gas leak|smells? (of |like )?gas|smell gas|carbon monoxide|on fire|burst|flood(ed|ing|s)?"
    r"|electric shock)\b"
)
_COMPLAINT = re.compile(
    r"\b(complain|complaint|complaining|unacceptable|outrageous|disgraceful|terrible service|my lawyer"
    r"|(want|demand|need) (a |my )?(full )?(refund|money back))\b"
)
_YES = re.compile(r"\b(yes|yeah|yep|sure|ok|okay|perfect|great|sounds good|that works|please do|go ahead|do it)\b")
_NO = re.compile(r"\b(no|nope|neither|none|not that|another|other)\b")
_ORDINALS = {"first": 0, "1st": 0, "second": 1, "2nd": 1, "third": 2, "3rd": 2, "fourth": 3, "4th": 3, "last": -1}
_ORDINAL = re.compile(rf"\b({'|'.join(_ORDINALS)})\b")
_BARE_NUMBER = re.compile(r"\b\d{1,9}\b")
_NUMBERED = re.compile(r"\b(?:number|no\.?|appointment|booking)\s*#?\s*(\d+)\b(?![-:])|#\s*(\d+)")
# gateway.assistant.prompt.booked_note says them so.
_BOOKED = re.compile(r"number (\d+): .*? on \w+ (\d{4}-\d\d-\d\d) at (\d\d:\d\d)")
_FILLING = "on at for in the a an is it how about what and then maybe please hi hello or this we i"
_FILLING_WORDS = frozenset(_FILLING.split())
_FEW_WORDS = 2
"""Words beside a day that still make a message a question about that day."""


@dataclass(frozen=True)
class Matter:
    """A turn's messages, read as one: people cut a wish into several."""

    heard: Heard
    business: BusinessConfig

    @cached_property
    def said(self) -> str:
        """The waiting words in lower case, without the writer's own data."""
        return " \n ".join(map(without_contact, self.heard.waiting)).lower()

    @cached_property
    def when(self) -> When:
        """The days and times that they name."""
        return read_when(self.said, self.heard.today)

    @cached_property
    def told(self) -> Contact:
        """What these messages tell about their writer."""
        return read_contact(self.heard.waiting)

    @cached_property
    def known(self) -> Contact:
        """What the whole conversation tells about them."""
        earlier = [line.text for line in self.heard.earlier if line.role == "user"]
        return read_contact([*earlier, *self.heard.waiting])

    @cached_property
    def offer(self) -> Offer | None:
        """What the last answer left open."""
        return read_offer(self.heard.last_answer)

    @cached_property
    def service(self) -> str | None:
        """The service that they name, or that the open question was about."""
        names = sorted((entry.name for entry in self.business.services), key=len, reverse=True)
        named = next((name for name in names if re.search(rf"\b{re.escape(name.lower())}\b", self.said)), None)
        return named or (self.offer.service if self.offer else None)

    @property
    def summary(self) -> str:
        """The customer's words in one line."""
        text = " ".join(" ".join(self.heard.waiting).split())
        return text if len(text) <= 200 else f"{text[:199]}…"

    # --- people ---

    @property
    def reason(self) -> str | None:
        """Why a person is needed, the gravest reason first."""
        if _EMERGENCY.search(self.said):
            return "emergency"
        if _EXPLICIT.search(self.said) or self._wants_offered_person:
            return "customer_request"
        if _COMPLAINT.search(self.said):
            return "complaint"
        loosely = PERSON.search(self.said) and not (self.purpose or self.wants_lead)
        return "customer_request" if loosely else None

    @property
    def _wants_offered_person(self) -> bool:
        return self.offer is not None and self.offer.purpose is Purpose.PERSON and bool(_YES.search(self.said))

    @property
    def wants_call(self) -> bool:
        """Whether they want to hear from the business."""
        return bool(_WANTS_CALL.search(self.said))

    @property
    def wants_lead(self) -> bool:
        """Whether there is something to keep about them."""
        return bool(self.told) or self.wants_call

    # --- appointments ---

    @cached_property
    def purpose(self) -> Purpose | None:
        """What it is about an appointment, or None where it is about none."""
        if _CANCEL.search(self.said):
            return Purpose.CANCEL
        if _MOVE.search(self.said):
            return Purpose.MOVE
        if self.answers_offer and self.offer and not _BOOK_NOW.search(self.said):
            return self.offer.purpose
        books = BOOKING.search(self.said) or self.asks_availability or self.names_a_day
        return Purpose.BOOK if books else None

    @cached_property
    def asks_availability(self) -> bool:
        """Whether they want to know what is free, rather than have it booked."""
        if _BOOK_NOW.search(self.said):
            return False
        return bool(_ASKS_WHEN_FREE.search(self.said) or (self.when and _FREE.search(self.said)))

    @cached_property
    def names_a_day(self) -> bool:
        """Whether a day is about all that they say."""
        left = [word for word in re.findall(r"\w+", without_when(self.said)) if word not in _FILLING_WORDS]
        others = HOURS.search(self.said) or BOOKING.search(self.said)
        return bool(self.when.days) and len(left) <= _FEW_WORDS and not others

    @cached_property
    def answers_offer(self) -> bool:
        """Whether they answer the open question about an appointment."""
        offer = self.offer
        if offer is None or offer.purpose is Purpose.PERSON or HOURS.search(self.said):
            return False
        if offer.appointments:
            return self.appointment_id is not None
        words = _YES.search(self.said) or _NO.search(self.said) or _ORDINAL.search(self.said)
        return bool(self.when or self.chosen or (offer.slots and words))

    @cached_property
    def chosen(self) -> Slot | None:
        """The time that they want: what they name, made whole by what was offered."""
        days, time = self.when.days, self.when.time
        offered = self.offer.slots if self.offer and not self.offer.appointments else ()
        if days and not time and self.offer:
            time = self.offer.time
        if days and time:
            return Slot(days[-1], time)
        slots = [slot for slot in offered if slot.day in days or not days]
        if time and slots:
            same = [slot for slot in slots if slot.time == time]
            return Slot((same or slots)[0].day, time)
        return None if time else self._picked(slots)

    def _picked(self, slots: list[Slot]) -> Slot | None:
        """Choose among offered times by place, hour, or consent to the only one."""
        place = _ORDINAL.search(self.said)
        if place and slots:
            index = _ORDINALS[place[1]]
            return slots[index] if index < len(slots) else None
        hours = {int(number) for number in _BARE_NUMBER.findall(self.said)}
        named = [slot for slot in slots if int(slot.time[:2]) in hours]
        if named:
            return named[0]
        agrees = _YES.search(self.said) or self.when.days or (self.service and self.service.lower() in self.said)
        return slots[0] if agrees and len(slots) == 1 and not _NO.search(self.said) else None

    @property
    def declines(self) -> bool:
        """Whether they want none of what was offered."""
        return bool(_NO.search(self.said)) and not self.when and self.chosen is None

    @cached_property
    def appointment_id(self) -> int | None:
        """Which of their appointments they mean: by its number, by its place in the question, or by its day."""
        numbered = _NUMBERED.search(self.said)
        if numbered:
            return int(numbered[1] or numbered[2])
        listed = self.offer.appointments if self.offer else ()
        if listed:
            return self._listed(listed)
        # Of several days the last one is where it is moved to.
        named = self.when.days[:-1] if len(self.when.days) > 1 else self.when.days
        days = {str(day) for day in named}
        booked = [int(number) for number, day, _ in _BOOKED.findall(self.heard.notes) if day in days]
        return booked[0] if len(booked) == 1 else None

    def _listed(self, listed: tuple[int, ...]) -> int | None:
        bare = [int(number) for number in _BARE_NUMBER.findall(self.said) if int(number) in listed]
        place = _ORDINAL.search(self.said)
        index = _ORDINALS[place[1]] if place else len(listed)
        return bare[0] if bare else listed[index] if index < len(listed) else None
