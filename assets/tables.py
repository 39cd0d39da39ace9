"""How a table of the catalog shows in Dagster, and what many files are together."""

import hashlib
from collections.abc import Sequence

import dagster as dg

from tokenboard_etl.warehouse.catalog import Table


def column_schema(table: Table) -> dg.TableSchema:
    """Columns with type and meaning."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(column.name, column.type, description=column.comment or None) for column in table.columns
        ]
    )


def asset_key(table: str) -> dg.AssetKey:
    """billing.charges is billing/charges."""
    return dg.AssetKey(table.split("."))


def sha256_of(checksums: Sequence[str]) -> str:
    """Over the checksums of some files, in their order; a single file's own."""
    return checksums[0] if len(checksums) == 1 else hashlib.sha256("".join(checksums).encode()).hexdigest()
