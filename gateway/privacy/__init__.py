"""A person's data: handed to them, erased on their wish, and not kept for longer than the owner has decided."""

from gateway.privacy.export import Exported, export_person, read_person
from gateway.privacy.forgetting import Forgotten, SpoolBusy, count_strangers, forget_person
from gateway.privacy.meant import addresses, find_people
from gateway.privacy.retention import Retention

__all__ = [
    "Exported",
    "Forgotten",
    "Retention",
    "SpoolBusy",
    "addresses",
    "count_strangers",
    "export_person",
    "find_people",
    "forget_person",
    "read_person",
]
