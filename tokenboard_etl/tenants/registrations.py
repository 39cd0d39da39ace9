"""Registrations another system drops as JSON files into inbox/registrations; docs/registrations.md has the schema.

A file is whole once it can be read as JSON: an object that was cut short cannot. So one that cannot be read is rejected
only if it is the same at the next look. Files are moved to `done/` once their tenant is on record, or to `rejected/`
with the reason beside them; none is moved before that, and nothing is lost where a process dies.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import duckdb
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tokenboard_etl.errors import ConfigurationError, RegistryError, StorageFailed, WrongUse
from tokenboard_etl.files import UnreadableFile, printable, read_at_rest, storage_errors, write_atomically
from tokenboard_etl.money import written_out
from tokenboard_etl.tenants.names import clean_name
from tokenboard_etl.tenants.provisioning.orders import PROVIDERS
from tokenboard_etl.tenants.provisioning.registering import Registration, register_new, registration_of
from tokenboard_etl.warehouse.connection import transaction

log = logging.getLogger("tokenboard.registrations")

MAX_BYTES = 64 * 1024
MAX_FILES = 50
"""At one look; the rest waits for the next."""

DONE, REJECTED = "done", "rejected"
_LONGEST_NAME = 200


def _amount_text(value: object) -> object:
    """200, 49.50 and "49.50" alike; the digits stay as they were written."""
    return written_out(value) if isinstance(value, Decimal) else str(value) if type(value) is int else value


class RegistrationFile(BaseModel):
    """What a file says. Other fields are refused, so that a misspelled one is noticed."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    registration_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    name: str
    industry: str | None = None
    country: str | None = None
    email: str | None = None
    legal_name: str | None = None
    address: str | None = None
    tax_id: str | None = None
    currency: str = "USD"
    limit_usd: Annotated[str | None, BeforeValidator(_amount_text)] = None
    providers: list[str] = Field(list(PROVIDERS), min_length=1)

    @property
    def tenant(self) -> dict[str, Any]:
        """The fields that make a tenant, as `registration_of` takes them."""
        return self.model_dump(exclude={"registration_id"})


@dataclass(frozen=True)
class Dropped:
    """A file that can be read. `version` differs for each time a file of this name is written, moved or touched."""

    file: str
    version: str
    content: RegistrationFile


@dataclass(frozen=True)
class Look:
    """What one look into the inbox found. `unreadable` may be half written; `versions` are of all files, by name."""

    dropped: list[Dropped] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)


def look(inbox: Path, before: Mapping[str, str]) -> Look:
    """Reads what is there, in the order of names; rejects what cannot be meant. `before` are the versions last seen.

    What is as it was comes last, so that files whose runs died keep no others waiting.
    """
    found = Look()
    try:
        paths = sorted(path for path in inbox.iterdir() if path.suffix == ".json" and not path.name.startswith("."))
    except FileNotFoundError:
        return found
    except OSError as error:
        raise ConfigurationError(f"Cannot read the inbox {inbox}: {error.strerror}.") from None
    versions = {path: version for path in paths if (version := _version(path)) is not None}
    known = {path for path, version in versions.items() if before.get(printable(path.name)) == version}
    looked_at = sorted(versions, key=lambda path: (path in known, path))[:MAX_FILES]
    found.versions.update({printable(path.name): versions[path] for path in {*looked_at, *known}})
    for path in looked_at:
        try:
            if (content := _read(path)) is not None:
                found.dropped.append(Dropped(path.name, versions[path], read_registration(content)))
        except _NotJsonError as error:
            if path in known:
                _reject_if_it_can_be(inbox, path.name, str(error))
            else:
                found.unreadable.append(printable(path.name))
        except (UnreadableFile, RegistryError, WrongUse) as error:
            _reject_if_it_can_be(inbox, path.name, str(error))
    return found


def read_registration(content: bytes) -> RegistrationFile:
    """A file's content; raises UnreadableFile, RegistryError or WrongUse naming the field that is wrong."""
    try:
        parsed = json.loads(
            content.decode("utf-8"),
            parse_float=Decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_refuse_repeated,
        )
    except UnreadableFile:
        raise
    except (ValueError, RecursionError, ArithmeticError):
        raise _NotJsonError("it is not JSON in UTF-8") from None
    try:
        found = RegistrationFile.model_validate(parsed)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UnreadableFile(f"{printable(where)[:100]}: {first['msg'].removeprefix('Value error, ')}") from None
    if any("\ud800" <= char <= "\udfff" for char in json.dumps(found.tenant, ensure_ascii=False)):
        raise UnreadableFile("it holds half of a surrogate pair, which is no text")
    clean_name(registration_of(**found.tenant).name)
    return found


def register_once(
    warehouse: duckdb.DuckDBPyConnection, registration_id: str, registration: Registration, now: datetime
) -> str:
    """Registers a tenant with its orders and the id in one transaction; one that was registered stays as it is.

    Raises RegistryError for an id that came with other content before, and for a name that is taken.
    """
    said = json.dumps(vars(registration), sort_keys=True, default=str)
    sha256 = hashlib.sha256(said.encode()).hexdigest()
    with transaction(warehouse):
        rows = warehouse.execute(
            "SELECT sha256, tenant_id FROM registry.registrations WHERE registration_id = $1", [registration_id]
        ).fetchall()
        for known, tenant_id in rows:
            if known != sha256:
                raise RegistryError(
                    f"The registration {registration_id} became the tenant {tenant_id} already, with other content."
                )
            return str(tenant_id)
        tenant_id = register_new(warehouse, registration, now)
        warehouse.execute(
            "INSERT INTO registry.registrations VALUES ($1, $2, $3, $4)", [registration_id, sha256, tenant_id, now]
        )
    return tenant_id


def settle(inbox: Path, file: str, version: str | None = None) -> None:
    """Puts a file whose tenant is on record to the others that are done."""
    _move(inbox, file, DONE, version)


def reject(inbox: Path, file: str, reason: str, version: str | None = None) -> None:
    """Puts a file aside, with the reason in a text file beside it."""
    place = _move(inbox, file, REJECTED, version)
    if place is not None:
        write_atomically(place.with_name(f"{place.name}.reason.txt"), f"{reason}\n".encode())
        log.warning("the registration %s was rejected: %s", printable(file), reason)


def _reject_if_it_can_be(inbox: Path, file: str, reason: str) -> None:
    """One that cannot be moved, as somebody else's folder, keeps no others waiting."""
    try:
        reject(inbox, file, reason)
    except StorageFailed as error:
        log.warning("the registration %s cannot be rejected (%s): %s", printable(file), reason, error)


def _move(inbox: Path, file: str, folder: str, version: str | None = None) -> Path | None:
    """None if the file is gone, or is not the `version` that was read: another one was dropped under its name.

    What is there under the name already stays.
    """
    path = inbox / file
    if path.parent != inbox or path.name in ("", ".", ".."):
        raise WrongUse(f"{printable(file)!r} is no file of the inbox.")
    if version is not None and _version(path) != version:
        return None
    name = file
    if len(os.fsencode(file)) > _LONGEST_NAME:
        name = f"{hashlib.sha256(os.fsencode(file)).hexdigest()[:32]}.json"
    with storage_errors(inbox / folder):
        (inbox / folder).mkdir(exist_ok=True)
        place, number = inbox / folder / name, 1
        while os.path.lexists(place):
            number += 1
            place = inbox / folder / f"{name}.{number}"
        with suppress(FileNotFoundError):
            path.rename(place)
            return place
    return None


class _NotJsonError(UnreadableFile):
    """Perhaps half written."""


def _read(path: Path) -> bytes | None:
    if not path.name.isprintable():
        raise UnreadableFile("its name holds characters that cannot be printed")
    return read_at_rest(path, MAX_BYTES)


def _version(path: Path) -> str | None:
    """None if it is gone. The time of modification alone is kept by whoever moves or copies a file."""
    try:
        facts = path.lstat()
    except FileNotFoundError:
        return None
    return f"{facts.st_ino}-{facts.st_ctime_ns}-{facts.st_mtime_ns}-{facts.st_size}"


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise UnreadableFile("an object holds the same name twice")
    return dict(pairs)


def _refuse_constant(name: str) -> None:
    raise UnreadableFile(f"{name} is no JSON number")
