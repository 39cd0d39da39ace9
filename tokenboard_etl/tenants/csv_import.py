"""`tenants import`: a CSV file becomes tenants and bindings, all of it or nothing.

Columns: tenant_id, name, industry, country, currency, billing_email, openai_project_id, openrouter_key_hash,
valid_from. A tenant may stand on several rows, one per account; blank fields keep what is
known of it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

import duckdb
import polars as pl
from babel.numbers import list_currencies

from tokenboard_etl.errors import RegistryError, WrongUse
from tokenboard_etl.periods import parse_day
from tokenboard_etl.tenants.names import check_tenant_id, clean_name, tenant_id_for
from tokenboard_etl.tenants.registry import Binding, Tenant, bind, rerate_open_months, save_tenant, tenants
from tokenboard_etl.warehouse.connection import transaction

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
MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Imported:
    """What changed: tenants new or updated, bindings added."""

    tenants: int
    bindings: int


def import_tenants(connection: duckdb.DuckDBPyConnection, path: Path, now: datetime) -> Imported:
    """Reads the file and writes it in one transaction; the first bad row refuses all of it, naming its line."""
    rows = list(_rows(path))
    with transaction(connection):
        known = {tenant.tenant_id: tenant for tenant in tenants(connection)}
        ids = {tenant.name.casefold(): tenant.tenant_id for tenant in known.values()}
        changed, added, named = set[str](), 0, dict[str, str]()
        for number, row in enumerate(rows, start=1):
            try:
                tenant = _tenant(row, known, ids)
                _refuse_second_name(named.setdefault(tenant.tenant_id, tenant.name), tenant)
                if save_tenant(connection, tenant, known, now):
                    changed.add(tenant.tenant_id)
                added += sum(bind(connection, binding, now) for binding in _bindings(row, tenant.tenant_id))
            except RegistryError as error:
                raise RegistryError(
                    f"{path.name}, line {_line_of(path, number)}: {error} Nothing was imported."
                ) from None
        if changed or added:
            rerate_open_months(connection)
    return Imported(len(changed), added)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    try:
        if not path.is_file():
            raise RegistryError(f"{path} is not a file.")
        if path.stat().st_size > MAX_BYTES:
            raise RegistryError(f"{path} is larger than {MAX_BYTES // 2**20} MB; split it.")
        frame = pl.read_csv(path, infer_schema=False, glob=False)
    except OSError as error:
        raise RegistryError(f"Cannot read {path}: {error.strerror or error}.") from None
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise RegistryError(f"{path} is not a CSV file in UTF-8: {reason}. Nothing was imported.") from None
    if repeated := [column for column in frame.columns if "_duplicated_" in column]:
        raise RegistryError(f"{path.name} has the column {repeated[0].partition('_duplicated_')[0]} twice.")
    if missing := [column for column in COLUMNS if column not in frame.columns]:
        raise RegistryError(f"{path.name} lacks the column(s) {', '.join(missing)}; it needs {', '.join(COLUMNS)}.")
    yield from frame.select(COLUMNS).fill_null("").iter_rows(named=True)


def _line_of(path: Path, number: int) -> int:
    """The line of the file on which a data row begins: fields may hold line breaks, and blank lines are no rows."""
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
    tenant_id = check_tenant_id(given) if given else ids.get(name.casefold()) or tenant_id_for(name, known)
    before = known.get(tenant_id) or Tenant(tenant_id, name, None, None, "USD", None)
    if before.name != name:
        ids.pop(before.name.casefold(), None)
    if (owner := ids.setdefault(name.casefold(), tenant_id)) != tenant_id:
        raise RegistryError(f"The name {name!r} belongs to the tenant {owner} already; {tenant_id} needs another.")
    country, currency = row["country"].strip().upper(), row["currency"].strip().upper()
    if country and not re.fullmatch(r"[A-Z]{2}", country):
        raise RegistryError(f"{country!r} is not a two-letter country code.")
    if currency and currency not in list_currencies():
        raise RegistryError(f"{currency!r} is not an ISO 4217 currency code.")
    industry, email = row["industry"].strip(), row["billing_email"].strip()
    return replace(
        before,
        name=name,
        industry=clean_name(industry, "industry") if industry else before.industry,
        country=country or before.country,
        currency=currency or before.currency,
        billing_email=clean_name(email, "billing e-mail") if email else before.billing_email,
    )


def _refuse_second_name(earlier: str, tenant: Tenant) -> None:
    if earlier.casefold() != tenant.name.casefold():
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
        raise RegistryError(f"The {provider} {kind} {account_id!r} holds blanks or characters no id has.")


def _day(text: str) -> date:
    try:
        return parse_day(text)
    except WrongUse:
        raise RegistryError(f"valid_from is {text!r}; write the first day as 2026-01-31.") from None
