"""Phone numbers and e-mail addresses as one spelling each, so that the same one is never two."""

from __future__ import annotations

from gateway.assistant.tools.base import Customer, ToolRefused


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
    # A number that can be dialled only in its own town would get a country code in front that leads elsewhere.
    possible = phonenumbers.is_possible_number_with_reason(number)
    if possible != phonenumbers.ValidationResult.IS_POSSIBLE:
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


def told_phone(text: str | None, region: str | None) -> str | None:
    """Return the number that a customer has told, or None where they told none.

    Raises:
        ToolRefused: it is no number.
    """
    phone = clean_phone(text, region)
    if text and phone is None:
        raise ToolRefused("invalid_phone", "This is no phone number. Ask for it again, with its country code.")
    return phone


def told_email(text: str | None) -> str | None:
    """Return the e-mail address that a customer has told, or None where they told none.

    Raises:
        ToolRefused: it is no address.
    """
    email = clean_email(text)
    if text and email is None:
        raise ToolRefused("invalid_email", "This is no e-mail address. Ask for it again.")
    return email


def own_phone(customer: Customer) -> str | None:
    """Return the number that the customer writes from, where the channel is a phone's."""
    return clean_phone(customer.phone, None) or customer.phone
