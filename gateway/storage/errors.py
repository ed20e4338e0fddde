"""What storage can raise, named by what the caller should do next.

::

    StorageError
    ├── StorageUnavailable     the database is away: spool what must not be lost, try again later
    ├── SchemaMismatch         run the command in the message
    ├── ConversationBelongsToChannel   answer through the channel, not through ``send_message``
    └── Fenced                 drop the turn, somebody else has the conversation
"""

from __future__ import annotations


class StorageError(Exception):
    """The database did not do what was asked."""


class StorageUnavailable(StorageError):
    """The database cannot be reached, or cannot write."""

    is_undone = False
    """Whether nothing of what was asked can have been committed; False where nobody knows."""


class SchemaMismatch(StorageError):
    """The database's schema is not the one that this program needs."""


class ConversationBelongsToChannel(StorageError):
    """This conversation runs on a configured channel; its customer is answered there."""


class Fenced(StorageError):
    """The turn is not ours any more: somebody took the conversation over, or its lease ran out."""
