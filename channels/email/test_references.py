"""Message-IDs, reply addresses and unsubscribe tokens of ours: what comes back, and what forgers send."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.email.references import MAX_LOCAL_PART, References, Token

ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
OTHER_ID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
CUSTOMER = "customer@example.org"
OURS = References(b"k" * 32, "help@example.com")
THEIRS = References(b"x" * 32, "help@example.com")


def reply_address(references: References = OURS, delivery_id: str = ID, recipient: str = CUSTOMER) -> str:
    """Make a reply address; there is room for it."""
    address = references.reply_address(delivery_id, recipient)
    assert address is not None
    return address


@given(st.uuids())
def test_a_message_id_and_a_reply_address_come_back(delivery: UUID) -> None:
    """Whatever the delivery's id; the local part is as short as it must be."""
    message_id, address = OURS.message_id(str(delivery)), reply_address(delivery_id=str(delivery))

    assert OURS.read_message_id(message_id) == str(delivery)
    assert OURS.read_token(address, CUSTOMER) == Token(str(delivery), True)
    assert len(address.partition("@")[0]) <= MAX_LOCAL_PART
    assert message_id.endswith("@example.com")


@pytest.mark.parametrize("change", [str.upper, str.title, str.lower, lambda text: f"  {text}\t"])
def test_a_relay_that_changes_the_case_of_letters_breaks_nothing(change: object) -> None:
    """Some do."""
    assert callable(change)
    changed_id, changed_address = change(OURS.message_id(ID)), change(reply_address())

    assert OURS.read_message_id(changed_id) == ID
    assert OURS.read_message_id(f"<{changed_id.strip()}>") == ID
    assert OURS.read_token(changed_address, CUSTOMER.upper()) == Token(ID, True)


def test_another_sender_is_told_from_the_one_who_got_the_address() -> None:
    """An address that has been passed on, or stolen, names the delivery and betrays itself."""
    token = OURS.read_token(reply_address(), "stranger@example.net")

    assert token == Token(ID, False)


def flipped(text: str, at: int) -> str:
    """Change one letter."""
    return text[:at] + ("a" if text[at] != "a" else "b") + text[at + 1 :]


@pytest.mark.parametrize("at", [2, 12, 37, 39, 54])
def test_a_message_id_with_another_letter_is_nobodys(at: int) -> None:
    """In the delivery's id, and in the signature."""
    assert OURS.read_message_id(flipped(OURS.message_id(ID), at)) is None


@pytest.mark.parametrize("at", [5, 20, 29, 32, 41])
def test_a_reply_address_with_another_letter_is_nobodys(at: int) -> None:
    """In the delivery's id, and in what proves that we made it; +help has five characters."""
    assert OURS.read_token(flipped(reply_address(), at), CUSTOMER) is None


FORGED_IDS = [
    THEIRS.message_id(ID),
    OURS.message_id(ID)[:-16],
    OURS.message_id(ID).partition("@")[0],
    OURS.message_id(ID).replace(ID, OTHER_ID),
    OURS.message_id(ID) + ">\r\nBcc: <x@example.net",
    f"d.{ID}.@example.com",
    f"d.{ID}@example.com",
    "",
    "<>",
    "CAAbc123@mail.example.org",
    "d." + "a" * 100_000,
]


@pytest.mark.parametrize("text", FORGED_IDS)
def test_a_forged_message_id_names_nothing(text: str) -> None:
    """Made with another key, cut, of another delivery, or none of ours at all."""
    assert OURS.read_message_id(text) is None


TOKEN = reply_address().partition("+")[2].partition("@")[0]
FORGED_ADDRESSES = [
    reply_address(THEIRS),
    reply_address().replace(TOKEN, TOKEN[:-1]),
    reply_address().replace(TOKEN, TOKEN[:-6]),
    reply_address().replace(TOKEN, TOKEN + "a"),
    reply_address().replace(TOKEN, reply_address(delivery_id=OTHER_ID)[5:31] + TOKEN[26:]),
    "help@example.com",
    "help+sales@example.com",
    "",
    "help+" * 100_000 + "@example.com",
]


@pytest.mark.parametrize("address", FORGED_ADDRESSES)
def test_a_forged_reply_address_names_nothing(address: str) -> None:
    """Made with another key, cut, lengthened, of another delivery, or none of ours at all."""
    assert OURS.read_token(address, CUSTOMER) is None


def test_one_kind_of_signature_does_not_pass_for_another() -> None:
    """What a Message-ID shows to everybody opens no reply address."""
    signature = OURS.message_id(ID).partition("@")[0].rpartition(".")[2]
    address = reply_address().replace(TOKEN, f"{TOKEN[:26]}.{signature}")

    assert OURS.read_token(address, CUSTOMER) is None


@pytest.mark.parametrize(("local", "fits"), [("kundenservice", True), ("a" * 20, True), ("a" * 21, False)])
def test_an_address_without_room_for_a_token_has_none(local: str, fits: bool) -> None:
    """64 octets are all that a mail server must take."""
    address = References(b"k", f"{local}@example.com").reply_address(ID, CUSTOMER)

    assert (address is not None) == fits


def test_an_unsubscribe_token_names_its_address() -> None:
    """In lower case, for the same person writes it in several."""
    token = OURS.unsubscribe_token("Customer@Example.org")

    assert OURS.read_unsubscribe_token(token) == CUSTOMER
    assert OURS.read_unsubscribe_token(token.upper()) == CUSTOMER
    assert token.replace(".", "").isalnum()


BAD_TOKENS = [
    THEIRS.unsubscribe_token(CUSTOMER),
    OURS.unsubscribe_token(CUSTOMER)[:-1],
    OURS.unsubscribe_token("other@example.org").partition(".")[0] + OURS.unsubscribe_token(CUSTOMER)[-17:],
    "77777777." + "a" * 16,
    "a." + "a" * 16,
    "." + "a" * 16,
    "",
    "a" * 100_000,
]


@pytest.mark.parametrize("token", BAD_TOKENS)
def test_a_forged_unsubscribe_token_stops_nobodys_mail(token: str) -> None:
    """Made with another key, cut, of another address, or no base32 at all."""
    assert OURS.read_unsubscribe_token(token) is None


@given(st.text(max_size=60))
def test_whatever_stands_in_a_header_is_read_without_an_error(text: str) -> None:
    """A customer's mail says anything."""
    read = (OURS.read_message_id(text), OURS.read_token(text, text), OURS.read_unsubscribe_token(text))

    assert read == (None, None, None)


def test_a_delivery_that_is_no_uuid_is_a_mistake_of_ours() -> None:
    """It would not fit the address."""
    with pytest.raises(ValueError, match="badly formed"):
        OURS.message_id("1")


def test_each_address_and_key_has_a_mark_of_its_own_and_no_key_is_shown() -> None:
    """Two installations know their own mail apart."""
    marks = {OURS.instance, THEIRS.instance, References(b"k" * 32, "sales@example.com").instance}

    assert len(marks) == 3
    assert "kkk" not in repr(OURS)
