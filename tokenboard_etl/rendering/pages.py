"""The pages that are made anew every night: one look, the invoices' rules for what stands in them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any
from urllib.parse import quote

import jinja2
from babel.dates import format_date, format_datetime

from tokenboard_etl.billing.invoice import PROVIDER_NAMES
from tokenboard_etl.money import format_usd
from tokenboard_etl.periods import Month
from tokenboard_etl.rendering.environment import LOCALE, environment

UNKNOWN = "unknown"
_LONG_ID = 40


def render_page(template: str, **values: Any) -> bytes:
    """A page as UTF-8 HTML: no script, no external resource."""
    return _pages().get_template(template).render(**values).encode()


@cache
def _pages() -> jinja2.Environment:
    """The invoices' environment with filters that are quick enough for thousands of pages."""
    pages = environment().overlay()
    pages.filters = {
        **pages.filters,
        "usd": _usd,
        "tick": _tick,
        "count": _count,
        "short_day": cache(_short_day),
        "long_day": cache(_long_day),
        "month": cache(_month),
        "minute": _minute,
        "provider": lambda provider: PROVIDER_NAMES.get(provider, provider),
        "plain": lambda words: words.replace("_", " "),
        "shortened": _shortened,
        "path": lambda text: quote(text, safe=""),
    }
    return pages


def _usd(amount: Decimal | None) -> str:
    return UNKNOWN if amount is None else format_usd(amount)


def _shortened(key: str) -> str:
    """The beginning of a hash that nobody reads to its end."""
    return key if len(key) <= _LONG_ID else f"{key[:12]}…"


def _tick(amount: Decimal) -> str:
    """Round amounts beside a chart, with no more decimals than they have."""
    return f"${amount.normalize():,f}" if amount >= 0 else f"-${-amount.normalize():,f}"


def _count(number: Decimal | None) -> str:
    return UNKNOWN if number is None else f"{number.normalize():,f}"


def _short_day(day: date) -> str:
    return format_date(day, "MMM d", LOCALE)


def _long_day(day: date) -> str:
    return format_date(day, "long", LOCALE)


def _month(month: Month) -> str:
    return format_date(month.first, "LLLL y", LOCALE)


def _minute(instant: datetime) -> str:
    return format_datetime(instant, "MMM d, y HH:mm", locale=LOCALE)
