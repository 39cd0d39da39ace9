"""The Jinja environment: everything is escaped, an undefined name is an error."""

from __future__ import annotations

import hashlib
from datetime import date, datetime
from decimal import Decimal
from functools import cache

import jinja2
from babel.dates import format_date
from babel.numbers import format_decimal

from tokenboard_etl.money import format_minor

LOCALE = "en_US"
_LOADER = jinja2.PackageLoader("reports", "templates")


@cache
def environment() -> jinja2.Environment:
    """Templates from the package `reports`; only these filters touch numbers and dates."""
    templates = jinja2.Environment(
        loader=_LOADER,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["money"] = lambda minor, currency: format_minor(minor, currency, LOCALE)
    templates.filters["quantity"] = _quantity
    templates.filters["day"] = _day
    templates.filters["rate"] = _rate
    return templates


def template_checksum(name: str) -> str:
    """SHA-256 of a template's file; raises jinja2.TemplateNotFound."""
    source, _, _ = _LOADER.get_source(environment(), name)
    return hashlib.sha256(source.encode()).hexdigest()


def _quantity(value: Decimal | None) -> str:
    return "" if value is None else format_decimal(value, locale=LOCALE)


def _day(value: date | datetime) -> str:
    return format_date(value, format="long", locale=LOCALE)


def _rate(value: Decimal) -> str:
    """Every digit that tells something."""
    return format_decimal(value.normalize(), locale=LOCALE, decimal_quantization=False)
