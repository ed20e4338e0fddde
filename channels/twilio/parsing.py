"""Twilio's forms, and the events that they tell. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl

from channels.base import Attachment, Consent, Inbound, Parsed, Reply, Request, Scope, Status
from channels.consent import OTHER_WORDS, SMS_WORDS, consent_of
from channels.content import Choice, Location
from channels.errors import PayloadError
from channels.twilio.codes import INBOUND, OPT_OUT_TYPES, OPTED_OUT, STATUSES

MAX_MEDIA = 10  # www.twilio.com/docs/messaging/guides/webhook-request: NumMedia is 0 to 10
MAX_FIELDS = 500  # Twilio sends about 40; reading a form of thousands would cost a stranger nothing and us much
MAX_FORM_BYTES = 64 * 1024  # ... the same: 1600 characters and ten addresses are under 32 KB
MAX_SID = 34  # www.twilio.com/docs/glossary/what-is-a-sid: two letters and 32 hexadecimal digits
DELIVERY = "delivery"
"""The query parameter of a StatusCallback that carries our delivery id."""

# www.twilio.com/docs/messaging/twiml: an empty document says nothing to the customer; any text/plain would be sent.
EMPTY_TWIML = Reply(200, '<?xml version="1.0" encoding="UTF-8"?><Response/>', "text/xml")
NO_CONTENT = Reply(204)

Form = list[tuple[str, str]]

# Facts that an operator or the model may want, by our name for them, read 2026-11:
# www.twilio.com/docs/messaging/guides/webhook-request and www.twilio.com/docs/whatsapp/api.
METADATA: Mapping[str, str] = {
    "MessagingServiceSid": "messaging_service_sid",
    "NumSegments": "num_segments",
    "OptOutType": "opt_out_type",
    "FromCity": "from_city",
    "FromState": "from_state",
    "FromZip": "from_zip",
    "FromCountry": "from_country",
    "ToCountry": "to_country",
    "MessageType": "message_type",
    "WaId": "wa_id",
    "ExternalUserId": "external_user_id",
    "ButtonText": "button_text",
    "ButtonPayload": "button_payload",
    "OriginalRepliedMessageSid": "replied_to",
    "OriginalRepliedMessageSender": "replied_to_sender",
    "Forwarded": "forwarded",
    "Latitude": "latitude",
    "Longitude": "longitude",
    "Address": "address",
    "Label": "label",
    "ListId": "list_id",
    "ListTitle": "list_title",
    "InteractiveData": "interactive_data",
    "FlowData": "flow_data",
    "ReferralBody": "referral_body",
    "ReferralHeadline": "referral_headline",
    "ReferralSourceId": "referral_source_id",
    "ReferralSourceType": "referral_source_type",
    "ReferralSourceUrl": "referral_source_url",
    "ReferralCtwaClid": "referral_ctwa_clid",
    "ReferralMediaUrl": "referral_media_url",
    "FrequentlyForwarded": "frequently_forwarded",
}


def read_form(body: bytes) -> Form:
    """Read a form with blanks and repeated keys kept.

    Raises:
        PayloadError: it is larger than anything that Twilio sends.
    """
    if len(body) > MAX_FORM_BYTES:
        raise PayloadError("the form is too long")
    return _pairs(body.decode("utf-8", "replace"))


def parse(request: Request) -> Parsed:
    """Turn a form into events: a message's, or a status callback's.

    Raises:
        PayloadError: it is neither.
    """
    fields = _first_of_each(read_form(request.body))
    status = fields.get("MessageStatus") or fields.get("SmsStatus") or "received"
    if status in INBOUND:
        return Parsed((read_message(fields),), EMPTY_TWIML)
    return _status(request, fields, status)


def read_message(fields: Mapping[str, str]) -> Inbound:
    """Read the fields of a message to us.

    Raises:
        PayloadError: they are not.
    """
    external_id = _sid(fields)
    sender, account, text = fields.get("From"), fields.get("To"), fields.get("Body", "")
    if not sender or not account:
        raise PayloadError("a message without From or To")
    return Inbound(
        account=account,
        sender=sender,
        external_id=external_id,
        text=text or _place(fields),
        attachments=tuple(_attachments(fields)),
        choice=_choice(fields),
        consent=_consent(fields, text, sender),
        identity=fields.get("ExternalUserId") or None,
        sender_name=fields.get("ProfileName") or None,
        metadata={ours: fields[theirs] for theirs, ours in METADATA.items() if fields.get(theirs)},
    )


def _choice(fields: Mapping[str, str]) -> Choice | None:
    """Return the button or the row of a list that was picked; only WhatsApp has them."""
    if fields.get("ButtonPayload"):
        return Choice(fields["ButtonPayload"], fields.get("ButtonText") or fields.get("Body", ""))
    if fields.get("ListId"):
        return Choice(fields["ListId"], fields.get("ListTitle") or fields.get("Body", ""))
    return None


def _place(fields: Mapping[str, str]) -> str:
    """Tell in words the place that a customer on WhatsApp shared."""
    try:
        latitude, longitude = float(fields["Latitude"]), float(fields["Longitude"])
    except (KeyError, ValueError):
        return ""
    place = Location(latitude, longitude, fields.get("Label") or None, fields.get("Address") or None)
    return f"[location] {place.words}"


def _pairs(form: str) -> Form:
    try:
        return parse_qsl(form, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise PayloadError("the form has too many fields") from error


def _first_of_each(form: Form) -> dict[str, str]:
    # No database takes a NUL in text, and no customer means one.
    return {name: value.replace("\0", "") for name, value in reversed(form)}


def _sid(fields: Mapping[str, str]) -> str:
    sid = fields.get("MessageSid") or fields.get("SmsSid")  # the second is the older name of the same
    if not sid:
        raise PayloadError("no MessageSid")
    if len(sid) > MAX_SID:
        # The signature runs names and values together: a signed form in which the next parameter's name has moved
        # into this value is signed as well, and would pass for another message.
        raise PayloadError("MessageSid is too long")
    return sid


def _attachments(fields: Mapping[str, str]) -> Iterator[Attachment]:
    count = fields.get("NumMedia") or "0"
    if not (count.isascii() and count.isdigit() and len(count) <= 3):
        raise PayloadError("NumMedia is not a number")
    for index in range(min(int(count), MAX_MEDIA)):
        url = fields.get(f"MediaUrl{index}")
        if not url:
            raise PayloadError("fewer media than NumMedia says")
        yield Attachment(url, fields.get(f"MediaContentType{index}") or "application/octet-stream")


def _consent(fields: Mapping[str, str], text: str, sender: str) -> Consent | None:
    said = OPT_OUT_TYPES.get(fields.get("OptOutType", "").upper())
    if said is not None:
        return said
    # Without Advanced Opt-Out there is no OptOutType; Twilio acts on its default words all the same.
    return consent_of(text, OTHER_WORDS if sender.startswith("whatsapp:") else SMS_WORDS)


def _status(request: Request, fields: Mapping[str, str], status: str) -> Parsed:
    sid = _sid(fields)
    ours = STATUSES.get(status)
    if ours is None:
        return Parsed((), NO_CONTENT, (f"status {status[:40]}",))
    code = fields.get("ErrorCode") or None
    event = Status(
        account=fields.get("From") or fields.get("AccountSid", ""),
        status=ours,
        external_id=sid,
        delivery_id=_delivery_id(request.target),
        error_code=code,
        error_message=fields.get("ErrorMessage") or None,
        opted_out=Scope.ALL if any(code == str(known) for known in OPTED_OUT) else None,
    )
    return Parsed((event,), NO_CONTENT)


def _delivery_id(target: str) -> str | None:
    return _first_of_each(_pairs(target.partition("?")[2])).get(DELIVERY) or None
