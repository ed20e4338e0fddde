"""Phone numbers and e-mail addresses as one spelling each, so that the same one is never two."""

from __future__ import annotations

from gateway.assistant.tools.base import Customer


def region_of(phone: str | None) -> str | None:
    """Return the country (ISO 3166) of the business's own number: its customers leave the country code out."""
    if phone is None:
        return None
    import phonenumbers

    try:
        country_code = phonenumbers.parse(phone, None).country_code
    except phonenumbers.NumberParseException:
        return None
    return str(phonenumbers.region_code_for_country_code(country_code or 0))


def clean_phone(text: str | None, region: str | None) -> str | None:
    """Return a phone number in E.164 (ITU-T E.164: + and up to 15 digits), or None where the text is none.

    ``region`` is the country (ISO 3166) whose numbers may be written without their country code.
    """
    if not text:
        return None
    import phonenumbers  # its tables take 2 MB: only where somebody tells a number

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def clean_email(text: str | None) -> str | None:
    """Return an e-mail address as it is compared, or None where the text is none; no name server is asked."""
    if not text:
        return None
    from email_validator import EmailNotValidError, validate_email

    try:
        return validate_email(text.strip(), check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        return None


def own_phone(customer: Customer) -> str | None:
    """Return the number that the customer writes from, where the channel is a phone's."""
    return clean_phone(customer.phone, None) or customer.phone
