"""The people on WhatsApp: their numbers, which they may hide, and the ids that a business knows them by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.sandbox.meta.whatsapp_rules import USER_ID


@dataclass(slots=True)
class Person:
    """One customer, whatever address is used."""

    key: str
    phone: str | None
    """Digits without a plus sign; None where the customer hides it behind a username."""
    user_id: str
    name: str = "Ann"
    username: str | None = None

    def contact(self, *, newer_fields: bool) -> dict[str, Any]:
        """Return what a webhook tells of the customer."""
        profile = {"name": self.name, **({"username": self.username} if self.username else {})}
        return {"profile": profile, **self.ids("wa_id", "user_id", newer_fields=newer_fields)}

    def ids(self, phone: str, user_id: str, *, newer_fields: bool) -> dict[str, str]:
        """Return the customer's ids under the names that a place has for them."""
        told = {phone: self.phone} if self.phone else {}
        return told | ({user_id: self.user_id} if newer_fields or not self.phone else {})


class People:
    """Finds customers by any address that they have or had."""

    def __init__(self) -> None:
        self._people: dict[str, Person] = {}

    def find(self, address: str) -> Person:
        """Return the customer with this number or business-scoped id; a new one, where nobody has it."""
        bare = bare_of(address)
        if bare not in self._people:
            hidden = USER_ID.fullmatch(bare) is not None
            person = Person(bare, None if hidden else bare, bare if hidden else _user_id(bare))
            self.add(person, bare, person.user_id)
        return self._people[bare]

    def add(self, person: Person, *addresses: str) -> None:
        """Let a customer be found by more addresses, such as the number with a digit more that people dial."""
        self._people |= {bare_of(address): person for address in addresses}

    def move(self, person: Person, phone: str, user_id: str | None) -> None:
        """Give a customer another number, and with it another id."""
        person.phone = bare_of(phone)
        person.user_id = user_id or _user_id(person.phone)
        self.add(person, person.phone, person.user_id)


def bare_of(address: str) -> str:
    """Return an address without a plus sign."""
    return address.removeprefix("+")


def _user_id(phone: str) -> str:
    return f"US.{phone:0>20}"
