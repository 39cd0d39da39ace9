"""`tenants import`: a CSV file becomes tenants and bindings, all of it or nothing.

Columns: tenant_id, name, industry, country, currency, billing_email, openai_project_id, openrouter_key_hash,
valid_from, and, where there are any, legal_name, address, tax_id and limit_usd. A tenant may stand on several rows, one
per account; blank fields keep what is known of it.
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
from babel.numbers import list_currencies

from tokenboard_etl.errors import RegistryError, WrongUse, shown
from tokenboard_etl.files import printable
from tokenboard_etl.periods import parse_day
from tokenboard_etl.tenants.details import parse_limit, with_details
from tokenboard_etl.tenants.names import check_tenant_id, clean_name, name_key, tenant_id_for
from tokenboard_etl.tenants.registry import Binding, Tenant, bind, rerate_open_months, save_tenant, tenants
from tokenboard_etl.warehouse.connection import transaction

log = logging.getLogger("tokenboard.import")

COLUMNS = (
    "tenant_id",
    "name",
    "industry",
    "country",
    "currency",
    "billing_email",
    "openai_project_id",
    "openrouter_key_hash",
    "valid_from",
)
OPTIONAL = ("legal_name", "address", "tax_id", "limit_usd")
MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Imported:
    """What changed: tenants new or updated, bindings added; and the limit, in USD, of each tenant of the file."""

    tenants: int
    bindings: int
    limits_usd: Mapping[str, Decimal | None] = field(default_factory=dict, compare=False)


def import_tenants(connection: duckdb.DuckDBPyConnection, path: Path, now: datetime) -> Imported:
    """Reads the file and writes it in one transaction; the first bad row refuses all of it, naming its line."""
    with transaction(connection):
        return read_tenants(connection, path, now)


def read_tenants(
    connection: duckdb.DuckDBPyConnection, path: Path, now: datetime, required: Sequence[str] = COLUMNS
) -> Imported:
    """The same within the caller's transaction. A column that is not `required` may be missing."""
    rows = list(_rows(path, required))
    limits = dict[str, Decimal | None]()
    known = {tenant.tenant_id: tenant for tenant in tenants(connection)}
    ids = {name_key(tenant.name): tenant.tenant_id for tenant in known.values()}
    changed, added, named = set[str](), 0, dict[str, str]()
    for number, row in enumerate(rows, start=1):
        try:
            tenant = _tenant(row, known, ids)
            _refuse_second_name(named.setdefault(tenant.tenant_id, tenant.name), tenant)
            if save_tenant(connection, tenant, known, now):
                changed.add(tenant.tenant_id)
            limits[tenant.tenant_id] = parse_limit(row["limit_usd"]) or limits.get(tenant.tenant_id)
            added += sum(bind(connection, binding, now) for binding in _bindings(row, tenant.tenant_id))
        except (RegistryError, WrongUse) as error:
            raise RegistryError(f"{path.name}, line {_line_of(path, number)}: {error} Nothing was imported.") from None
    if changed or added:
        rerate_open_months(connection)
    return Imported(len(changed), added, limits)


def _rows(path: Path, required: Sequence[str]) -> Iterator[dict[str, str]]:
    try:
        if not path.is_file():
            raise RegistryError(f"{path} is not a file.")
        if path.stat().st_size > MAX_BYTES:
            raise RegistryError(f"{path} is larger than {MAX_BYTES // 2**20} MB; split it.")
        content = path.read_bytes()
        content.decode("utf-8")  # Polars looks at the rows alone
        frame = pl.read_csv(content, infer_schema=False)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RegistryError(f"{path} is not a CSV file in UTF-8: see line {line}. Nothing was imported.") from None
    except OSError as error:
        raise RegistryError(f"Cannot read {path}: {error.strerror or error}.") from None
    except pl.exceptions.PolarsError as error:
        reason = printable(str(error).splitlines()[0].rstrip("."))[:200]
        raise RegistryError(f"{path} is not a CSV file in UTF-8: {reason}. Nothing was imported.") from None
    if repeated := [column for column in frame.columns if "_duplicated_" in column]:
        raise RegistryError(f"{path.name} has the column {shown(repeated[0].partition('_duplicated_')[0])} twice.")
    if missing := [column for column in required if column not in frame.columns]:
        raise RegistryError(f"{path.name} lacks the column(s) {', '.join(missing)}; it needs {', '.join(required)}.")
    if unread := [column for column in frame.columns if column not in (*COLUMNS, *OPTIONAL)]:
        log.warning("%s has columns that are not read: %s", path.name, printable(", ".join(unread))[:200])
    absent = {column: "" for column in (*COLUMNS, *OPTIONAL) if column not in frame.columns}
    for row in frame.fill_null("").iter_rows(named=True):
        yield row | absent


def _line_of(path: Path, number: int) -> int:
    """The line of the file on which a data row begins: fields may hold line breaks, and blank lines are no rows."""
    csv.field_size_limit(MAX_BYTES)  # the reader's own limit is smaller than a file
    with path.open(encoding="utf-8", newline="") as file:
        reader, begins = csv.reader(file), 1
        rows = 0
        for row in reader:
            rows += bool(row)
            if rows == number + 1:  # the header is a row too
                break
            begins = reader.line_num + 1
    return begins


def _tenant(row: dict[str, str], known: dict[str, Tenant], ids: dict[str, str]) -> Tenant:
    """The row's tenant. A blank field keeps what is known, from before or from an earlier row."""
    name = clean_name(row["name"])
    given = row["tenant_id"].strip()
    tenant_id = check_tenant_id(given) if given else ids.get(name_key(name)) or tenant_id_for(name, known)
    before = known.get(tenant_id) or Tenant(tenant_id, name, None, None, "USD", None)
    if before.name != name:
        ids.pop(name_key(before.name), None)
    if (owner := ids.setdefault(name_key(name), tenant_id)) != tenant_id:
        raise RegistryError(f"The name {name!r} belongs to the tenant {owner} already; {tenant_id} needs another.")
    currency = row["currency"].strip().upper()
    if currency and currency not in list_currencies():
        raise RegistryError(f"{shown(currency)} is not an ISO 4217 currency code.")
    return with_details(
        replace(before, name=name, currency=currency or before.currency),
        country=row["country"],
        industry=row["industry"],
        billing_email=row["billing_email"],
        legal_name=row["legal_name"],
        address=row["address"],
        tax_id=row["tax_id"],
    )


def _refuse_second_name(earlier: str, tenant: Tenant) -> None:
    if name_key(earlier) != name_key(tenant.name):
        raise RegistryError(
            f"{tenant.tenant_id} is {earlier!r} on an earlier line and {tenant.name!r} here; one tenant has one name."
        )


def _bindings(row: dict[str, str], tenant_id: str) -> Iterator[Binding]:
    accounts = (
        ("openai", "project", row["openai_project_id"].strip()),
        ("openrouter", "key", row["openrouter_key_hash"].strip()),
    )
    for provider, kind, account_id in accounts:
        if account_id:
            _refuse_odd_account(provider, kind, account_id)
            yield Binding(tenant_id, provider, kind, account_id, _day(row["valid_from"].strip()))


def _refuse_odd_account(provider: str, kind: str, account_id: str) -> None:
    if re.match(r"sk-|sess-", account_id):
        raise RegistryError(
            f"The {provider} {kind} holds a key, not an id; it is not repeated here. Put the "
            f"{'project id (proj_...)' if kind == 'project' else 'hash of the key (64 hex digits)'} there."
        )
    if not re.fullmatch(r"[!-~]{1,200}", account_id):
        raise RegistryError(f"The {provider} {kind} {shown(account_id)} holds blanks or characters no id has.")


def _day(text: str) -> date:
    try:
        return parse_day(text)
    except WrongUse:
        raise RegistryError(f"valid_from is {shown(text)}; write the first day as 2026-01-31.") from None
