"""How a table of the catalog shows in Dagster."""

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
