"""`vault.duckdb`: secrets, encrypted, and the records that cannot be of use without them.

Its one file is written anew for every change, in a folder nobody else may enter, and put in place with one rename.
So it has mode 0600 from its first moment and never a .wal; readers need no lock and never see half a change; and no
byte of a secret that was deleted or encrypted anew stays behind in it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
from pydantic import SecretStr

from tokenboard_etl.errors import SecretAltered, VaultDamaged, VaultError
from tokenboard_etl.files import storage_errors, sync_directory
from tokenboard_etl.redaction import protect
from tokenboard_etl.tenants.key_ring import KeyRing, Sealed
from tokenboard_etl.warehouse.connection import WAIT_SECONDS, configure, driver_errors, transaction, writer_lock
from tokenboard_etl.warehouse.migrations import migrate


@dataclass(frozen=True)
class StoredSecret:
    """What is known of a secret without its value."""

    secret_id: str
    owner: str | None
    purpose: str
    key_fingerprint: str
    stored_at: datetime


class Vault:
    """An open vault, in memory. `change_vault` writes it when its block ends; that of `read_vault` takes no changes."""

    def __init__(self, database: duckdb.DuckDBPyConnection, ring: KeyRing) -> None:
        self.database, self._ring = database, ring

    def store(self, secret_id: str, owner: str | None, purpose: str, value: SecretStr, now: datetime) -> None:
        """Adds a secret. `owner` is a tenant or None for us. An id that is there already is refused."""
        if self._find(secret_id):
            raise VaultError(f"The vault holds the secret {secret_id} already; nothing was changed.")
        sealed = self._ring.seal(value.get_secret_value().encode(), _associated(secret_id, owner, purpose))
        self.database.execute(
            "INSERT INTO secrets VALUES ($1, $2, $3, $4, $5, $6, $7)",
            [secret_id, owner, purpose, sealed.key_fingerprint, sealed.nonce, sealed.ciphertext, now],
        )

    def read(self, secret_id: str, owner: str | None, purpose: str) -> SecretStr:
        """The value, if it was stored under just this id for just this owner and purpose."""
        sealed = self._find(secret_id)
        if sealed is None:
            raise VaultError(f"The vault holds no secret {secret_id}.")
        return self._open(sealed, secret_id, owner, purpose)

    def delete(self, secret_id: str) -> bool:
        """Removes a secret; False if there was none."""
        there = self._find(secret_id) is not None
        self.database.execute("DELETE FROM secrets WHERE secret_id = $1", [secret_id])
        return there

    def secrets(self) -> list[StoredSecret]:
        """All of them by id, without values."""
        rows = self.database.execute(
            "SELECT secret_id, owner, purpose, key_fingerprint, stored_at FROM secrets ORDER BY secret_id"
        ).fetchall()
        return [StoredSecret(*row) for row in rows]

    def rotate(self) -> int:
        """Encrypts every secret anew under the first key of the ring; returns how many there are."""
        known = self.secrets()
        for each in known:
            value = self.read(each.secret_id, each.owner, each.purpose)
            self.delete(each.secret_id)
            self.store(each.secret_id, each.owner, each.purpose, value, each.stored_at)
        return len(known)

    def _find(self, secret_id: str) -> Sealed | None:
        rows = self.database.execute(
            "SELECT key_fingerprint, nonce, ciphertext FROM secrets WHERE secret_id = $1", [secret_id]
        ).fetchall()
        if len(rows) > 1:
            raise SecretAltered(f"The vault holds the secret {secret_id} {len(rows)} times; restore it from a backup.")
        return Sealed(*rows[0]) if rows else None

    def _open(self, sealed: Sealed, secret_id: str, owner: str | None, purpose: str) -> SecretStr:
        try:
            value = self._ring.open(sealed, _associated(secret_id, owner, purpose)).decode()
        except SecretAltered as altered:
            raise SecretAltered(f"The stored secret {secret_id} cannot be trusted. {altered}") from None
        protect(value)
        return SecretStr(value)


@contextmanager
def read_vault(path: Path, ring: KeyRing) -> Iterator[Vault]:
    """The vault as it is now; it must exist. The file is closed again at once, and later changes do not show."""
    with _in_memory(path) as database:
        database.execute("BEGIN TRANSACTION READ ONLY")
        yield Vault(database, ring)


@contextmanager
def change_vault(
    path: Path,
    ring: KeyRing,
    *,
    wait_seconds: float = WAIT_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Vault]:
    """The vault, locked, for a change that takes effect as a whole when the block ends; none does after an error.

    It is made if there is none. A ring that lacks a key of any stored secret is refused, lest the vault end up under
    keys that nobody holds together.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with writer_lock(path.with_suffix(".lock"), wait_seconds, sleep), _in_memory(path) as database:
        vault = Vault(database, ring)
        ring.require(*(secret.key_fingerprint for secret in vault.secrets()))
        with transaction(database):
            yield vault
        with storage_errors(path), driver_errors(path):
            _write_anew(path, database)


@contextmanager
def _in_memory(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """All that is in the file. Reading it whole verifies every checksum of it."""
    database = duckdb.connect(":memory:")
    try:
        configure(database)
        if path.exists():
            _read_whole(path, database)
        migrate(database, "vault")
        yield database
    finally:
        database.close()


def _read_whole(path: Path, database: duckdb.DuckDBPyConnection) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise VaultError(f"Cannot read {path}: {error.strerror or error}.") from error
    try:
        database.execute("ATTACH $1 AS stored (READ_ONLY)", [str(path)])
        database.execute("COPY FROM DATABASE stored TO memory")
        database.execute("DETACH stored")
    except duckdb.Error as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise VaultDamaged(f"{path} is damaged ({reason}). It was left as it is; restore it from a backup.") from error


def _write_anew(path: Path, database: duckdb.DuckDBPyConnection) -> None:
    """A fresh file, so that nothing deleted is in it, made where only this user may look, then renamed."""
    prefix = f".{path.name}."
    for leftover in path.parent.glob(f"{prefix}*"):
        if leftover.is_dir() and not leftover.is_symlink():  # a file of such a name is somebody else's
            shutil.rmtree(leftover)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=path.parent) as folder:
        fresh = Path(folder) / path.name
        database.execute("ATTACH $1 AS fresh", [str(fresh)])
        database.execute("COPY FROM DATABASE memory TO fresh")
        database.execute("CHECKPOINT fresh")
        database.execute("DETACH fresh")
        fresh.chmod(0o600)
        descriptor = os.open(fresh, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        fresh.replace(path)
    sync_directory(path.parent)


def _associated(secret_id: str, owner: str | None, purpose: str) -> bytes:
    """What is authenticated with a secret; JSON, so that no two triples read alike."""
    return json.dumps(["tokenboard vault", 1, purpose, owner, secret_id]).encode()
