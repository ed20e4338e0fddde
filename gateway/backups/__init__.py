"""The whole house in one file, and back: the database and customers' files."""

from gateway.backups.archive import Damaged, Manifest, NotABackup
from gateway.backups.backup import BackedUp, back_up
from gateway.backups.programs import ProgramFailed, ProgramMissing
from gateway.backups.restore import DataInTheWay, Restored, Served, WrongKind, restore

__all__ = [
    "BackedUp",
    "Damaged",
    "DataInTheWay",
    "Manifest",
    "NotABackup",
    "ProgramFailed",
    "ProgramMissing",
    "Restored",
    "Served",
    "WrongKind",
    "back_up",
    "restore",
]
