"""Numbers of documents: gapless in each series, which is the policy's format in a year.

They are allotted inside the issuing transaction, by the only writer. Invoices and credit notes share the series.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

import duckdb

from tokenboard_etl.billing.policy import Policy, Seller
from tokenboard_etl.errors import PolicyError


class Number(NamedTuple):
    """`text` is what is printed, `position` counts within the `series`, from 1."""

    text: str
    series: str
    position: int


def next_numbers(connection: duckdb.DuckDBPyConnection, policy: Policy, day: date) -> Iterator[Number]:
    """The numbers that documents issued on a UTC day get, in turn; to be used within the issuing transaction.

    Raises PolicyError where the series is another seller's.
    """
    series = number_at(policy, day, 1).series
    _refuse_foreign_series(connection, series, policy.seller)
    rows = connection.execute(
        "SELECT coalesce(max(series_number), 0) FROM billing.documents WHERE series = $1", [series]
    ).fetchall()
    position = int(rows[0][0])
    while True:
        position += 1
        yield number_at(policy, day, position)


def number_at(policy: Policy, day: date, position: int) -> Number:
    """The number at a position of the series that the policy has on a UTC day."""
    form = policy.invoice.number
    series = re.sub(r"\{number[^}]*\}", "#", form).format(year=day.year)
    return Number(form.format(year=day.year, number=position), series, position)


def refuse_numbers_given_twice(connection: duckdb.DuckDBPyConnection) -> None:
    """Raises PolicyError where two formats print the same number; to be called before the transaction is committed."""
    rows = connection.execute(
        "SELECT invoice_number FROM billing.documents GROUP BY invoice_number HAVING count(*) > 1 ORDER BY 1 LIMIT 1"
    ).fetchall()
    if rows:
        raise PolicyError(
            f"The number {rows[0][0]} was given in another series already. Choose another format under invoice: number "
            "in the policy."
        )


def seller_from(text: str | None) -> Seller | None:
    """A seller as a document keeps it."""
    return None if text is None else Seller.model_validate_json(text)


def _refuse_foreign_series(connection: duckdb.DuckDBPyConnection, series: str, seller: Seller | None) -> None:
    """A series belongs to the seller who used it last; whoever was nobody before may become somebody."""
    rows = connection.execute(
        """
        SELECT seller FROM billing.documents WHERE series = $1 AND seller IS NOT NULL
        ORDER BY series_number DESC LIMIT 1
        """,
        [series],
    ).fetchall()
    owner = seller_from(rows[0][0]) if rows else None
    if seller is None or owner is None:
        return
    if (seller.tax_id != owner.tax_id) if seller.tax_id and owner.tax_id else (seller.name != owner.name):
        raise PolicyError(
            f"The numbers {series} are those of {owner.name}. Give {seller.name} a format of its own under "
            "invoice: number in the policy."
        )
