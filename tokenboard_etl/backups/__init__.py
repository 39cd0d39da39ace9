"""A copy of everything under TOKENBOARD_HOME that cannot be had again, each file known by its checksum.

    DEST/files/3f/3fa1...       a file's bytes, named by their SHA-256; written once, shared by all backups
    DEST/20260615T020000Z-<checksum>.json
                                one backup: every path, its checksum, size and mode; written last and atomically

A landing never changes, so only new ones are copied. A backup that was stopped in the middle has no list and so does
not exist; what it copied is used by the next one.
"""

from tokenboard_etl.backups.restoring import Restored, restore
from tokenboard_etl.backups.stored import Backup, Entry, newest_backup
from tokenboard_etl.backups.taking import Taken, backup

__all__ = ["Backup", "Entry", "Restored", "Taken", "backup", "newest_backup", "restore"]
