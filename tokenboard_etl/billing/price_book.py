"""The price book: every price ever seen, dated by the day it was first seen, so that a change never changes the past.

The prices of one model change together: a new version closes all of its rows and opens new ones. What a later list
leaves out stays as it was, unconfirmed; it never becomes 0.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import duckdb

from tokenboard_etl.billing.price_list import SNAPSHOT_DAY, Card, bundled_prices, derived_prices, read_litellm
from tokenboard_etl.errors import LoadRefused, TokenboardError
from tokenboard_etl.http import download
from tokenboard_etl.periods import FIRST_DAY, utc_day
from tokenboard_etl.warehouse.connection import transaction
from tokenboard_etl.warehouse.loads import mark_months

log = logging.getLogger("tokenboard.prices")

MIN_MODELS = 50
"""A list with fewer models is a broken one, whatever we know."""

MAX_BYTES = 64 * 1024 * 1024
_GONE = Decimal(0)
"""A price that was known and is left out, or 0, is taken to be missing from the list."""

SNAPSHOT_SOURCE = f"snapshot of {SNAPSHOT_DAY}, litellm 1.109.1"


class Price(NamedTuple):
    """A stated price and which list said so."""

    usd_per_token: Decimal
    source: str
    fetched_at: datetime


Stated = Mapping[tuple[str, str], Price]
"""(tier, kind of token) to price: what lists have said of one model."""


class PriceList(NamedTuple):
    """`version_id` names the list's content, `source` where it is from."""

    version_id: str
    source: str
    fetched_at: datetime
    cards: Mapping[str, Card]


class _Version(NamedTuple):
    """A model's prices since `valid_from`."""

    valid_from: date
    prices: Stated

    @property
    def read_at(self) -> datetime:
        return max(price.fetched_at for price in self.prices.values())


def record_bundled_prices(connection: duckdb.DuckDBPyConnection, now: datetime) -> None:
    """Brings the bundled snapshot into the book once. What was read after the snapshot's day stays."""
    version_id = f"bundled-{SNAPSHOT_DAY}"
    rows = connection.execute("SELECT count(*) FROM policy.prices WHERE version_id = $1", [version_id]).fetchall()
    if rows == [(0,)]:
        read_at = min(now, datetime.combine(SNAPSHOT_DAY, time(), UTC))
        record_prices(connection, PriceList(version_id, SNAPSHOT_SOURCE, read_at, bundled_prices()), utc_day(now))


def refresh_prices(connection: duckdb.DuckDBPyConnection, source: str, now: datetime) -> bool:
    """Reads LiteLLM's price file from an http(s) address or a path into the book; True if that went well.

    A file that is missing, damaged or suspiciously small is a warning, and the prices known stay.
    """
    record_bundled_prices(connection, now)
    try:
        prices = _read(source, now)
        known = len(_newest_versions(connection))
        if len(prices.cards) < MIN_MODELS or 2 * len(prices.cards) < known:
            raise LoadRefused(f"it holds {len(prices.cards)} of OpenAI's models, and {known} are known.")
    except TokenboardError as error:
        log.warning("The price file %s was not used; the prices known stay: %s", shown(source), error)
        return False
    record_prices(connection, prices, utc_day(now))
    return True


def _read(source: str, now: datetime) -> PriceList:
    if urlsplit(source).scheme in ("http", "https"):
        content = download(source, MAX_BYTES)
    else:
        try:
            content = Path(source).read_bytes()
        except OSError as error:
            raise LoadRefused(f"it cannot be read ({error.strerror}).") from None
    version_id = f"litellm-{hashlib.sha256(content).hexdigest()[:12]}"
    return PriceList(version_id, shown(source), now, read_litellm(content))


def record_prices(connection: duckdb.DuckDBPyConnection, prices: PriceList, today: date) -> None:
    """Opens a version from today on for each model whose prices are new or changed; all or nothing.

    The first list of all holds for the past too, as nothing older is known.
    """
    known = _newest_versions(connection)
    valid_from = today if known else FIRST_DAY
    changed = {}
    for model, card in prices.cards.items():
        old = known.get(model, _Version(valid_from, {}))
        if old.valid_from > today or (old.prices and old.read_at > prices.fetched_at):
            continue  # a clock that was set back, or a list older than what is known
        new = {key: Price(usd, prices.source, prices.fetched_at) for key, usd in card.items()}
        left_out = {key: price for key, price in old.prices.items() if card.get(key, _GONE) == _GONE}
        now_known = {**new, **left_out}
        if _amounts(now_known) != _amounts(old.prices):
            changed[model] = now_known
    if changed:
        with transaction(connection):
            _close(connection, changed, valid_from)
            _open(connection, changed, valid_from, prices.version_id)
            _estimate_again(connection, valid_from)
    log.info("price list %s: %d models, %d of them new or changed", prices.version_id, len(prices.cards), len(changed))


def _newest_versions(connection: duckdb.DuckDBPyConnection) -> dict[str, _Version]:
    """What is known of each model, without what was derived."""
    rows = connection.execute(
        """
        SELECT model, valid_from, tier, token_kind, usd_per_token, source, fetched_at
        FROM policy.prices WHERE valid_until IS NULL AND NOT is_derived
        """
    ).fetchall()
    since: dict[str, date] = {}
    prices: dict[str, dict[tuple[str, str], Price]] = {}
    for model, valid_from, tier, kind, *price in rows:
        since[model] = valid_from
        prices.setdefault(model, {})[tier, kind] = Price(*price)
    return {model: _Version(since[model], stated) for model, stated in prices.items()}


def _close(connection: duckdb.DuckDBPyConnection, models: Iterable[str], day: date) -> None:
    """Ends what is open. A version that began the same day then holds on no day, and is kept all the same."""
    connection.execute(
        """
        UPDATE policy.prices SET valid_until = $day
        WHERE valid_until IS NULL AND list_contains($models::VARCHAR[], model)
        """,
        {"day": day, "models": list(models)},
    )


def _open(connection: duckdb.DuckDBPyConnection, changed: Mapping[str, Stated], day: date, version_id: str) -> None:
    rows: list[tuple[object, ...]] = []
    for model, prices in changed.items():
        for key, price in prices.items():
            rows.append((model, *key, f"{price.usd_per_token:f}", False, price.source, price.fetched_at))
        for key, usd_per_token in derived_prices(_amounts(prices)).items():
            basis = prices[key[0], "input"]
            rows.append((model, *key, f"{usd_per_token:f}", True, basis.source, basis.fetched_at))
    names = ("model", "tier", "kind", "usd", "derived", "source", "fetched_at")
    connection.execute(
        """
        INSERT INTO policy.prices BY NAME
        SELECT
            unnest($model::VARCHAR[]) AS model,
            unnest($tier::VARCHAR[]) AS tier,
            unnest($kind::VARCHAR[]) AS token_kind,
            CAST(unnest($usd::VARCHAR[]) AS DECIMAL(38, 18)) AS usd_per_token,
            unnest($derived::BOOLEAN[]) AS is_derived,
            $day AS valid_from,
            $version_id AS version_id,
            unnest($source::VARCHAR[]) AS source,
            unnest($fetched_at::TIMESTAMPTZ[]) AS fetched_at
        """,
        {**dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)), "day": day, "version_id": version_id},
    )


def _estimate_again(connection: duckdb.DuckDBPyConnection, first_day: date) -> None:
    """Has the models built again for the months with usage from a day on."""
    months = connection.execute(
        "SELECT DISTINCT strftime(usage_date, '%Y-%m') FROM ops.load_days WHERE usage_date >= $1", [first_day]
    ).fetchall()
    mark_months(connection, {month for (month,) in months})


def _amounts(prices: Stated) -> dict[tuple[str, str], Decimal]:
    return {key: price.usd_per_token for key, price in prices.items()}


def shown(source: str) -> str:
    """The source without its query, where an address may carry a token."""
    return urlsplit(source)._replace(query="", fragment="").geturl() if "://" in source else source
