"""The receptionist with tools: what it calls, what it says about what came of it, and how a conversation goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from gateway.assistant.prompt import booked_note, handover_note, notes
from gateway.assistant.tools.appointments import CancelAppointment, RescheduleAppointment, ScheduleAppointment
from gateway.assistant.tools.availability import CheckAvailability
from gateway.assistant.tools.escalation import EscalateToHuman
from gateway.assistant.tools.leads import CreateLead
from gateway.config import BusinessConfig
from gateway.sandbox.receptionist import Done, Heard, Line, Receptionist
from gateway.sandbox.receptionist_contact import Contact, read_contact
from gateway.sandbox.receptionist_dates import read_when
from gateway.storage import Appointment

BUSINESS = BusinessConfig(
    name="Lakeside Plumbing",
    phone="+15550100001",
    timezone="America/Detroit",
    hours={"mon": "09:00-17:00", "tue": "09:00-17:00", "wed": "09:00-17:00", "sat": "10:00-12:00"},
    holidays=["2026-12-25"],
    services=[{"name": "Inspection", "minutes": 60}, {"name": "Repair", "minutes": 120}],
    faq=[{"question": "Do you work on gas boilers?", "answer": "Yes, all gas boilers up to 50 kW."}],
    languages=["en"],
)
NOW = datetime(2026, 11, 25, 19, 5, tzinfo=UTC)
NOTES = notes(NOW, BUSINESS, customer_name=None, channel_kind="sms")
TODAY = date(2026, 11, 25)  # a Wednesday
OURS = (
    CheckAvailability,
    ScheduleAppointment,
    RescheduleAppointment,
    CancelAppointment,
    CreateLead,
    EscalateToHuman,
)
TOOLS = {tool.name: tuple(tool.spec().parameters["properties"]) for tool in OURS}
CHECK, BOOK, MOVE, CANCEL, LEAD, ESCALATE = TOOLS
FREE = {
    "date": "2026-11-27",
    "weekday": "Friday",
    "minutes": 60,
    "open": "09:00-17:00",
    "free": ["09:00", "10:00", "13:00", "14:00", "15:00"],
    "asked": None,
    "alternatives": [],
}
MONDAY_9 = {"date": "2026-11-30", "weekday": "Monday", "time": "09:00"}
FRIDAY_11 = {"date": "2026-11-27", "weekday": "Friday", "time": "11:00"}
FRIDAY_10 = {"date": "2026-11-27", "weekday": "Friday", "time": "10:00"}
BOOKED = {"status": "booked", "appointment_id": 7, **FRIDAY_10, "minutes": 120, "service": "Repair"}
PERSON = "A person of Lakeside Plumbing will take over."
OFFERED = "For Repair these times are free: Friday, 27 November 2026, at 09:00, 10:00 or 13:00. Which one shall I book?"
ONE_FREE = "Friday, 27 November 2026, at 10:00 is free. Shall I book it?"
WHICH = (
    "You have number 4 (Repair, Friday, 27 November 2026, at 10:00) or number 5 (Monday, 30 November 2026, at 09:00)."
    " Which one shall I"
)


def heard(*texts, last=None, **more):
    """Build what a request with all tools tells, behind an answer of the receptionist's."""
    earlier = (Line("assistant", last),) if last else ()
    return Heard(waiting=texts, earlier=earlier, **{"tools": TOOLS, "notes": NOTES} | more)


def respond(*texts, **more):
    return Receptionist(BUSINESS).respond(heard(*texts, **more))


def calls(said):
    """Return what is called, without the arguments that are null."""
    made = [(call.name, json.loads(call.arguments)) for call in said.calls]
    return [(name, {key: value for key, value in given.items() if value is not None}) for name, given in made]


def after(*texts, tool, output, given):
    """Return the words of the round behind one call."""
    said = respond(*texts, done=(Done(tool, dict.fromkeys(TOOLS[tool]) | given, output),))
    assert said.calls == ()
    return said.text


class Talk:
    """A conversation, with the outputs that the tools will give."""

    def __init__(self, **outputs):
        self.outputs = outputs
        self.heard = Heard((), (), TOOLS, notes=NOTES)
        self.called = []

    def say(self, *texts):
        """Play a turn to its end and return the answer."""
        turn = replace(self.heard, waiting=texts)
        for _ in range(5):
            said = Receptionist(BUSINESS).respond(turn)
            if not said.calls:
                break
            self.called += calls(said)
            made = [Done(call.name, json.loads(call.arguments), self.outputs[call.name]) for call in said.calls]
            turn = replace(turn, done=(*turn.done, *made))
        lines = (*self.heard.earlier, *(Line("user", text) for text in texts), Line("assistant", said.text))
        self.heard = replace(self.heard, earlier=lines)
        return said.text


# --- without tools ---


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Hello!", "Hello, this is Lakeside Plumbing. How can I help you?"),
        (
            "When are you open?",
            (
                "We are open Monday to Wednesday 09:00-17:00, Saturday 10:00-12:00."
                " We are closed Thursday to Friday, Sunday."
            ),
        ),
        ("Are you open on Saturday?", "On Saturday we are open 10:00-12:00."),
        ("are you closed sun?", "On Sunday we are closed."),
        ("What services do you offer?", "We offer Inspection (60 minutes), Repair (120 minutes)."),
        ("How long is a repair?", "Repair takes 120 minutes."),
        ("Do you work on gas boilers too?", "Yes, all gas boilers up to 50 kW."),
        ("Open on holidays?", "We are also closed on 2026-12-25."),
        ("What is your phone number?", "Our phone number is +15550100001."),
        ("I want to talk to a human", "A person of Lakeside Plumbing will take over."),
        ("Can I book something?", "For an appointment, tell me the service, the day and the time"),
        ("Thanks, bye", "You are welcome. Goodbye!"),
        ("The kitchen tap drips", 'You wrote "The kitchen tap drips".'),
        ("Hi, the kitchen tap drips", 'You wrote "Hi, the kitchen tap drips".'),
    ],
)
def test_the_receptionist_answers_from_the_business(text, answer):
    """Each kind of question gets its answer from the business's own facts."""
    said = Receptionist(BUSINESS).respond(Heard((text,)))

    assert answer in said.text
    assert said.calls == ()


def test_the_receptionist_answers_all_waiting_messages():
    """Messages that wait together get one answer, in order, each thing once."""
    said = Receptionist(BUSINESS).respond(Heard(("Hi", "How long is a repair?", "a REPAIR I mean")))

    assert said.text == "Hello, this is Lakeside Plumbing. How can I help you? Repair takes 120 minutes."


# --- what is read ---


@pytest.mark.parametrize(
    ("text", "days", "time"),
    [
        ("tomorrow at 10", ["2026-11-26"], "10:00"),
        ("the day after tomorrow at 3", ["2026-11-27"], "15:00"),
        ("today, 4:30 pm", ["2026-11-25"], "16:30"),
        ("2026-12-01", ["2026-12-01"], None),
        ("Friday 9am", ["2026-11-27"], "09:00"),
        ("on Wednesday", ["2026-12-02"], None),
        ("next Tuesday at noon", ["2026-12-01"], "12:00"),
        ("next Friday", ["2026-12-04"], None),
        ("Tuesday, December 8th at 12 am", ["2026-12-08"], "00:00"),
        ("the 3rd of January", ["2027-01-03"], None),
        ("1 March 2027 at 09:00", ["2027-03-01"], "09:00"),
        ("Friday or Monday", ["2026-11-27", "2026-11-30"], None),
        ("at 10, no, at 11", [], "11:00"),
        ("31 February", [], None),
        ("room 12, 25:00", [], None),
    ],
)
def test_days_and_times_are_read(text, days, time):
    """Days are worked out from today's date; a bare small hour is one of the afternoon."""
    when = read_when(text, TODAY)

    assert ([str(day) for day in when.days], when.time) == (days, time)


def test_without_a_date_only_whole_dates_are_understood():
    """Where the notes tell no date, nobody guesses what tomorrow is."""
    assert read_when("tomorrow, Friday, 1 December or 2026-12-01", None).days == (date(2026, 12, 1),)


@pytest.mark.parametrize(
    ("texts", "contact"),
    [
        (["My name is Test Customer."], Contact(name="Test Customer")),
        (["This is Test Customer, the tap drips"], Contact(name="Test Customer")),
        (["I am Unhappy"], Contact()),
        (["call me at +1 (555) 010-0123 please"], Contact(phone="+1 (555) 010-0123")),
        (["+15550100123", "rather 555 010 0124"], Contact(phone="555 010 0124")),
        (["mail test@example.com"], Contact(email="test@example.com")),
        (["come to 12 Lake Road, Springfield at 10"], Contact(address="12 Lake Road, Springfield")),
        (["My address is Mill House. Thanks"], Contact(address="Mill House")),
        (["on 2026-12-01 at 10:00, for 2 hours"], Contact()),
        (["+15550100123 2026-12-01"], Contact(phone="+15550100123")),
        (["10 - 12 - 14"], Contact()),
    ],
)
def test_contact_data_is_read(texts, contact):
    """What somebody tells about themselves is found, the last word counts, and dates are no telephone numbers."""
    assert read_contact(texts) == contact


# --- what is called ---


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ("Are you free on Friday?", [(CHECK, {"date": "2026-11-27"})]),
        ("tomorrow at 10", [(CHECK, {"date": "2026-11-26", "time": "10:00"})]),
        ("2026-12-01", [(CHECK, {"date": "2026-12-01"})]),
        ("next Tuesday afternoon", [(CHECK, {"date": "2026-12-01"})]),
        ("Can somebody come on Friday?", [(CHECK, {"date": "2026-11-27"})]),
        (
            "Do you have any slots on Friday or Monday at 3pm for an inspection?",
            [
                (CHECK, {"date": "2026-11-27", "time": "15:00", "service": "Inspection"}),
                (CHECK, {"date": "2026-11-30", "time": "15:00", "service": "Inspection"}),
            ],
        ),
        (
            "Book me for Friday at 10 for a repair",
            [(BOOK, {"date": "2026-11-27", "time": "10:00", "service": "Repair"})],
        ),
        (
            "Are you free on Friday at 10? Then book it",
            [(BOOK, {"date": "2026-11-27", "time": "10:00"})],
        ),
        (
            "Book me for Friday or Monday at 10",
            [(CHECK, {"date": "2026-11-27", "time": "10:00"}), (CHECK, {"date": "2026-11-30", "time": "10:00"})],
        ),
        ("I need an appointment on Friday", [(CHECK, {"date": "2026-11-27"})]),
        ("Move my appointment to Monday at 11", [(MOVE, {"date": "2026-11-30", "time": "11:00"})]),
        ("Please reschedule to Monday", [(CHECK, {"date": "2026-11-30"})]),
        ("cancel my appointment", [(CANCEL, {})]),
        ("cancel appointment 12", [(CANCEL, {"appointment_id": 12})]),
        ("cancel my appointment 2026-12-01, please", [(CANCEL, {})]),
        (
            "My name is Test Customer, my number is +15550100123, mail test@example.com",
            [(LEAD, {"name": "Test Customer", "phone": "+15550100123", "email": "test@example.com"})],
        ),
        ("I'd like a quote for a repair", [(LEAD, {"notes": "I'd like a quote for a repair"})]),
        (
            "Book me for Friday at 10 at 12 Lake Road",
            [
                (LEAD, {"address": "12 Lake Road"}),
                (BOOK, {"date": "2026-11-27", "time": "10:00", "address": "12 Lake Road"}),
            ],
        ),
        (
            "I want to talk to a human",
            [(ESCALATE, {"reason": "customer_request", "summary": "I want to talk to a human"})],
        ),
        ("This is outrageous!", [(ESCALATE, {"reason": "complaint", "summary": "This is outrageous!"})]),
        (
            "I smell gas, book me for today!",
            [(ESCALATE, {"reason": "emergency", "summary": "I smell gas, book me for today!"})],
        ),
    ],
)
def test_wishes_become_calls(text, called):
    """Each kind of wish calls its tool with what was said, and with null for what was not."""
    assert calls(respond(text)) == called


@pytest.mark.parametrize(
    ("last", "text", "called"),
    [
        (OFFERED, "10:00 please", (BOOK, {"date": "2026-11-27", "time": "10:00", "service": "Repair"})),
        (OFFERED, "the second one", (BOOK, {"date": "2026-11-27", "time": "10:00", "service": "Repair"})),
        (OFFERED, "the last", (BOOK, {"date": "2026-11-27", "time": "13:00", "service": "Repair"})),
        (OFFERED, "I'll take 9", (BOOK, {"date": "2026-11-27", "time": "09:00", "service": "Repair"})),
        (OFFERED, "16:00?", (BOOK, {"date": "2026-11-27", "time": "16:00", "service": "Repair"})),
        (OFFERED, "Is 16:00 free?", (CHECK, {"date": "2026-11-27", "time": "16:00", "service": "Repair"})),
        (OFFERED, "Monday instead", (CHECK, {"date": "2026-11-30", "service": "Repair"})),
        (OFFERED.replace("book", "move it to"), "13:00", (MOVE, {"date": "2026-11-27", "time": "13:00"})),
        (
            OFFERED.replace("book", "move it to"),
            "Book me for Friday at 11",
            (BOOK, {"date": "2026-11-27", "time": "11:00", "service": "Repair"}),
        ),
        (ONE_FREE, "yes", (BOOK, {"date": "2026-11-27", "time": "10:00"})),
        (ONE_FREE, "ok, an inspection", (BOOK, {"date": "2026-11-27", "time": "10:00", "service": "Inspection"})),
        (ONE_FREE.replace("book it", "move it there"), "yes", (MOVE, {"date": "2026-11-27", "time": "10:00"})),
        (
            "Which service is Friday, 27 November 2026, at 10:00 for: Inspection or Repair?",
            "a repair",
            (BOOK, {"date": "2026-11-27", "time": "10:00", "service": "Repair"}),
        ),
        ("On which day shall it be at 10:00?", "Friday", (BOOK, {"date": "2026-11-27", "time": "10:00"})),
        (
            "For an appointment, tell me the service, the day and the time.",
            "Friday at 10",
            (BOOK, {"date": "2026-11-27", "time": "10:00"}),
        ),
        ("To which day and time shall I move it?", "Monday at 11", (MOVE, {"date": "2026-11-30", "time": "11:00"})),
        (f"{WHICH} cancel?", "number 5", (CANCEL, {"appointment_id": 5})),
        (f"{WHICH} cancel?", "the first", (CANCEL, {"appointment_id": 4})),
        (
            f"{WHICH} move to Monday, 30 November 2026, at 11:00?",
            "5 please",
            (MOVE, {"date": "2026-11-30", "time": "11:00", "appointment_id": 5}),
        ),
        (
            "I am sorry, that did not work. Shall a person get back to you?",
            "yes",
            (ESCALATE, {"reason": "customer_request", "summary": "yes"}),
        ),
    ],
)
def test_a_short_answer_is_read_beside_the_question(last, text, called):
    """Day, time, service and number of an appointment are taken from the receptionist's own last answer."""
    assert calls(respond(text, last=last)) == [called]


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ("Cancel the one on Friday", (CANCEL, {"appointment_id": 4})),
        (
            "Move my Friday appointment to Monday at 11",
            (MOVE, {"date": "2026-11-30", "time": "11:00", "appointment_id": 4}),
        ),
        ("Cancel my appointment", (CANCEL, {})),
    ],
)
def test_an_appointment_is_known_by_its_day(text, called):
    """The notes name the customer's appointments; the day that the customer says picks one of them."""
    booked = f"{NOTES}\n{booked_note([appointment(4, '2026-11-27'), appointment(5, '2026-11-30')])}"

    assert calls(respond(text, notes=booked)) == [called]


def appointment(number, day):
    """Return something booked, as far as the notes tell of it."""
    return Appointment(id=number, service="Repair", scheduled_date=day, scheduled_time="10:00")


def test_a_wish_may_come_in_pieces():
    """Messages that wait together are one wish, and what was told before belongs to it."""
    earlier = (Line("user", "My name is Test Customer"), Line("assistant", "Thank you, I have noted that."))
    turn = replace(heard("Hi", "can you book me for Friday", "10am please", "a repair"), earlier=earlier)
    said = Receptionist(BUSINESS).respond(turn)

    wanted = {"date": "2026-11-27", "time": "10:00", "service": "Repair", "name": "Test Customer"}
    assert calls(said) == [(BOOK, wanted)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Are you free on Friday at 10?", CHECK),
        ("Book me for Friday at 10 for a repair", BOOK),
        ("Move my appointment 3 to Monday at 11", MOVE),
        ("Cancel appointment 3", CANCEL),
        ("My name is Test Customer, call me back at +15550100123", LEAD),
        ("I want to complain", ESCALATE),
    ],
)
def test_the_arguments_are_what_the_tools_take(text, name):
    """Every argument of the tool's own schema is given, and the tool reads them."""
    tool = {tool.name: tool for tool in OURS}[name]
    (call,) = respond(text).calls

    assert call.name == name
    assert tuple(json.loads(call.arguments)) == TOOLS[name]
    assert tool.arguments.model_validate_json(call.arguments)


def test_nothing_is_called_twice_in_a_turn():
    """A call that has its output is not made again, and one that is new beside it is."""
    text = "Book me for Friday at 10, my name is Test Customer"
    lead, booking = respond(text).calls
    done = Done(lead.name, json.loads(lead.arguments), {"status": "created", "lead_id": 1})

    assert respond(text, done=(done,)).calls == (booking,)


def test_a_round_without_calls_is_answered_in_words():
    """Where calls are forbidden, what there is to say is said."""
    done = (Done(CHECK, {"date": "2026-11-27"}, FREE),)
    said = respond("Are you free on Friday?", done=done, may_call=False)
    bare = respond("Are you free on Friday?", may_call=False)

    assert (said.calls, bare.calls) == ((), ())
    assert "09:00, 10:00, 13:00 or 14:00" in said.text
    assert bare.text


def test_only_what_is_offered_is_called():
    """Without the tools for appointments the old answer stands, and a person confirms."""
    offered = {LEAD: TOOLS[LEAD], ESCALATE: TOOLS[ESCALATE]}
    said = respond("Can I book something?", tools=offered)

    assert "a person will confirm it" in said.text


# --- what is said ---


@pytest.mark.parametrize(
    ("text", "tool", "given", "output", "words"),
    [
        (
            "Are you free on Friday?",
            CHECK,
            {"date": "2026-11-27"},
            FREE,
            "These times are free: Friday, 27 November 2026, at 09:00, 10:00, 13:00 or 14:00. Which one shall I book?",
        ),
        (
            "Friday afternoon",
            CHECK,
            {"date": "2026-11-27"},
            FREE,
            "These times are free: Friday, 27 November 2026, at 13:00, 14:00 or 15:00. Which one shall I book?",
        ),
        (
            "Friday evening",
            CHECK,
            {"date": "2026-11-27"},
            FREE | {"free": ["09:00"]},
            "These times are free: Friday, 27 November 2026, at 09:00. Which one shall I book?",
        ),
        (
            "Are you free on Friday at 10?",
            CHECK,
            {"date": "2026-11-27", "time": "10:00"},
            FREE | {"asked": {"time": "10:00", "free": True, "reason": None}},
            ONE_FREE,
        ),
        (
            "Are you free on Friday at 12 for a repair?",
            CHECK,
            {"date": "2026-11-27", "time": "12:00", "service": "Repair"},
            FREE
            | {"asked": {"time": "12:00", "free": False, "reason": "taken"}, "alternatives": [FRIDAY_11, MONDAY_9]},
            (
                "Friday, 27 November 2026, at 12:00 is not possible: taken. For Repair these times are free:"
                " Friday, 27 November 2026, at 11:00; Monday, 30 November 2026, at 09:00. Which one shall I book?"
            ),
        ),
        (
            "Reschedule it to Friday",
            CHECK,
            {"date": "2026-11-27"},
            FREE | {"free": [], "open": None, "alternatives": [MONDAY_9]},
            (
                "On Friday, 27 November 2026 we are closed. These times are free: Monday, 30 November 2026, at 09:00."
                " Which one shall I move it to?"
            ),
        ),
        (
            "Are you free on Friday?",
            CHECK,
            {"date": "2026-11-27"},
            FREE | {"free": []},
            "On Friday, 27 November 2026 nothing is free. Which other day and time suit you?",
        ),
        (
            "Book me for Friday at 10 for a repair",
            BOOK,
            {"date": "2026-11-27", "time": "10:00", "service": "Repair"},
            BOOKED,
            "Your appointment is booked: Friday, 27 November 2026, at 10:00 (Repair).",
        ),
        (
            "Book me for Friday at 10 for a repair",
            BOOK,
            {"date": "2026-11-27", "time": "10:00", "service": "Repair"},
            {"error": "not_available", "status": "unbookable", "reason": "too far ahead", "alternatives": []},
            "Friday, 27 November 2026, at 10:00 is not possible: too far ahead. Which other day and time suit you?",
        ),
        (
            "Book me for Friday at 10",
            BOOK,
            {"date": "2026-11-27", "time": "10:00"},
            {"error": "service_needed", "services": ["Inspection", "Repair"]},
            "Which service is Friday, 27 November 2026, at 10:00 for: Inspection or Repair?",
        ),
        (
            "Move my appointment to Friday at 10",
            MOVE,
            {"date": "2026-11-27", "time": "10:00"},
            {"status": "moved", "appointment_id": 4, **FRIDAY_10},
            "Your appointment is moved: Friday, 27 November 2026, at 10:00.",
        ),
        (
            "Move my appointment to Friday at 10",
            MOVE,
            {"date": "2026-11-27", "time": "10:00"},
            {"status": "taken", **FRIDAY_10, "alternatives": [FRIDAY_11]},
            (
                "Friday, 27 November 2026, at 10:00 is not possible: taken. These times are free:"
                " Friday, 27 November 2026, at 11:00. Which one shall I move it to?"
            ),
        ),
        (
            "Cancel my appointment",
            CANCEL,
            {},
            {"status": "cancelled", "appointment_id": 4, "date": "2026-11-27", "time": "10:00"},
            "Your appointment is cancelled: Friday, 27 November 2026, at 10:00.",
        ),
        ("Cancel my appointment", CANCEL, {}, {"status": "cancelled"}, "Your appointment is cancelled."),
        (
            "Cancel my appointment",
            CANCEL,
            {},
            {
                "error": "which_one",
                "appointments": [
                    {"appointment_id": 4, **FRIDAY_10, "service": "Repair"},
                    {"appointment_id": 5, **MONDAY_9, "service": None},
                ],
            },
            f"{WHICH} cancel?",
        ),
        ("Cancel my appointment", CANCEL, {}, {"error": "no_appointment"}, "You have no appointment booked here."),
        (
            "Cancel my appointment",
            CANCEL,
            {},
            {"error": "tool_failed"},
            "I am sorry, that did not work. Shall a person get back to you?",
        ),
        ("Are you free on Friday?", CHECK, {"date": "2026-11-27"}, {}, "I am sorry, that did not work."),
        ("My name is Test Customer", LEAD, {"name": "Test Customer"}, {"status": "created"}, "Thank you, I have noted"),
        (
            "I'd like a quote",
            LEAD,
            {"notes": "I'd like a quote"},
            {"error": "nothing_to_keep"},
            "Please tell me your name",
        ),
        (
            "I want to talk to a human",
            ESCALATE,
            {"reason": "customer_request", "summary": "I want to talk to a human"},
            {"status": "handed_over", "available": "now"},
            PERSON,
        ),
        (
            "I want to complain",
            ESCALATE,
            {"reason": "complaint", "summary": "I want to complain"},
            {"status": "handed_over", "available": "now"},
            f"I am sorry about that. {PERSON}",
        ),
        (
            "There is a gas leak",
            ESCALATE,
            {"reason": "emergency", "summary": "There is a gas leak"},
            {"status": "handed_over", "available": "now"},
            f"{PERSON} If somebody is in danger, call the emergency number now.",
        ),
    ],
)
def test_what_came_of_it_is_said(text, tool, given, output, words):
    """Every outcome has its sentence; one that offers times ends with a question."""
    assert after(text, tool=tool, output=output, given=given).startswith(words)


@pytest.mark.parametrize(
    ("last", "text", "words"),
    [
        (None, "Can I book something?", "For an appointment, tell me the service, the day and the time."),
        (None, "Book me at 10", "On which day shall it be at 10:00?"),
        (None, "Move my appointment please", "To which day and time shall I move it?"),
        (OFFERED, "yes", OFFERED),
        (OFFERED, "no", "Which other day and time suit you?"),
        (ONE_FREE, "no, that is not ok", "Which other day and time suit you?"),
        (OFFERED, "Are you open on Monday?", "On Monday we are open 09:00-17:00."),
        ("[written by a colleague] " + ONE_FREE, "yes", 'You wrote "yes".'),
    ],
)
def test_what_is_missing_is_asked_for(last, text, words):
    """Where no call can be made, the answer asks for what it lacks; a colleague's offer is not the receptionist's."""
    said = respond(text, last=last)

    assert said.calls == ()
    assert said.text.startswith(words)


def test_what_else_was_asked_is_answered_beside():
    """A greeting, a frequent question and thanks keep their sentences around what the tools gave."""
    said = after(
        "Hello, do you work on gas boilers?",
        "How long is an inspection?",
        "Book me for Friday at 10 for a repair. Thanks!",
        tool=BOOK,
        output=BOOKED,
        given={"date": "2026-11-27", "time": "10:00", "service": "Inspection"},
    )

    assert said == (
        "Hello, this is Lakeside Plumbing. Yes, all gas boilers up to 50 kW. Inspection takes 60 minutes."
        " Your appointment is booked: Friday, 27 November 2026, at 10:00 (Repair). You are welcome."
    )


def test_what_the_notes_hand_over_is_said():
    """Where the turn is handed to a person whatever is answered, the answer says so, once."""
    told = f"{NOTES}\n{handover_note('complaint', None, NOW)}"
    said = respond("Es reicht mir jetzt!", notes=told)

    assert said.text == PERSON


# --- whole conversations ---


def test_a_booking_is_talked_through():
    """From a question to a booking: times offered, one chosen, the service asked for, booked."""
    talk = Talk(
        check_availability=FREE, schedule_appointment={"error": "service_needed", "services": ["Inspection", "Repair"]}
    )
    talk.say("Hi, are you free on Friday?")
    asked = talk.say("10:00 please")
    talk.outputs[BOOK] = BOOKED
    said = talk.say("It's for a repair")

    assert asked == "Which service is Friday, 27 November 2026, at 10:00 for: Inspection or Repair?"
    assert said == "Your appointment is booked: Friday, 27 November 2026, at 10:00 (Repair)."
    wish = {"date": "2026-11-27", "time": "10:00"}
    assert talk.called == [(CHECK, {"date": "2026-11-27"}), (BOOK, wish), (BOOK, {**wish, "service": "Repair"})]


def test_a_refused_time_is_replaced_by_an_alternative():
    """What is taken is not booked: the answer offers other times, and the chosen one is booked."""
    talk = Talk(schedule_appointment={"status": "taken", **FRIDAY_10, "alternatives": [FRIDAY_11, MONDAY_9]})
    offered = talk.say("Book me for Friday at 10 for a repair")
    talk.outputs[BOOK] = {**BOOKED, **MONDAY_9}
    said = talk.say("The second one, please")

    assert offered.endswith("Which one shall I book?")
    assert said == "Your appointment is booked: Monday, 30 November 2026, at 09:00 (Repair)."
    assert talk.called[1] == (BOOK, {"date": "2026-11-30", "time": "09:00", "service": "Repair"})


def test_a_failing_tool_leads_to_a_person():
    """After an error a person is offered, and called when the customer agrees."""
    talk = Talk(schedule_appointment={"error": "tool_failed"}, escalate_to_human={"status": "handed_over"})
    sorry = talk.say("Book me for Friday at 10 for a repair")
    said = talk.say("Yes please")

    assert sorry == "I am sorry, that did not work. Shall a person get back to you?"
    assert said == PERSON


@pytest.mark.parametrize(
    "text",
    [
        "Hello!",
        "When are you open?",
        "Are you open on Saturday?",
        "What services do you offer?",
        "How long is a repair?",
        "Is the inspection free?",
        "Do you work on gas boilers too?",
        "Open on holidays?",
        "What is your phone number?",
        "Thanks, bye",
        "The kitchen tap drips",
    ],
)
def test_tools_change_no_other_answer(text):
    """What needs no tool is answered in the same words with and without them."""
    plain = Receptionist(BUSINESS).respond(Heard((text,)))

    assert respond(text) == plain
