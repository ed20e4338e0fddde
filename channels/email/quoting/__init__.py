"""The customer's new words, apart from what their mail program quotes beneath or above them."""

from channels.email.quoting.cutting import Cut, cut
from channels.email.quoting.own import Own

__all__ = ["Cut", "Own", "cut"]
