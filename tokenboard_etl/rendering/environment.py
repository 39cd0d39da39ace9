"""The Jinja environment: everything is escaped, an undefined name is an error, what cannot be seen is made visible.

A template that is given a `locale` prints numbers and dates in it, any other one in LOCALE.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from functools import cache, partial

import jinja2
from babel import Locale
from babel.dates import format_date
from babel.localedata import exists
from babel.numbers import format_decimal
from jinja2 import meta
from jinja2.runtime import Context
from markupsafe import Markup

from tokenboard_etl.layouts import Layout, layout_of
from tokenboard_etl.money import exact, format_minor

LOCALE = "en_US"
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that turn around the order of what a reader sees."""
_LOADER = jinja2.PackageLoader("reports", "templates")


@cache
def environment() -> jinja2.Environment:
    """Templates from the package `reports`; only these filters touch numbers and dates."""
    templates = jinja2.Environment(
        loader=_LOADER,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_visible,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["money"] = _money
    templates.filters["quantity"] = _quantity
    templates.filters["day"] = _day
    templates.filters["rate"] = _rate
    templates.filters["country"] = _country
    return templates


def _visible(value: object) -> object:
    """Names are anybody's; Markup is what a template has printed already. None of _UNSEEN is printable."""
    if isinstance(value, str) and not value.isprintable() and not isinstance(value, Markup):
        return _UNSEEN.sub("\ufffd", value)
    return value


def locale_of(country: str | None) -> str:
    """English with the number and date formats of a country (ISO 3166), the world's where it has none of its own."""
    if country is None:
        return LOCALE
    return f"en_{country}" if exists(f"en_{country}") else "en_001"


@cache
def template_checksum(name: str) -> str:
    """SHA-256 of a template's file and of those it is built on; raises jinja2.TemplateNotFound.

    Reckoned once, as templates are read once: parsing them takes longer than rendering an invoice.
    """
    return hashlib.sha256("".join(_sources(name)).encode()).hexdigest()


def _sources(name: str) -> Iterator[str]:
    source, _, _ = _LOADER.get_source(environment(), name)
    yield source
    for further in meta.find_referenced_templates(environment().parse(source)):
        if further is None:
            raise ValueError(
                f"the template {name} computes the name of another one, so what it is made of is not known"
            )
        yield from _sources(further)


def _locale(context: Context) -> str:
    return str(context.get("locale", LOCALE))


@jinja2.pass_context
def _money(context: Context, amount_minor: int, currency: str) -> str:
    return format_minor(amount_minor, currency, _locale(context))


@jinja2.pass_context
def _quantity(context: Context, value: Decimal | None) -> str:
    return "" if value is None else _rate(context, value)


@jinja2.pass_context
def _day(context: Context, value: date | datetime) -> str:
    return format_date(value, format="long", locale=_locale(context))


@jinja2.pass_context
def _rate(context: Context, value: Decimal) -> str:
    """Every digit that tells something."""
    with exact():
        number, layout = value.normalize(), _layout(_locale(context))
        return _as_babel(number, _locale(context)) if layout is None else layout.write(number)


def _as_babel(number: Decimal, locale: str) -> str:
    return str(format_decimal(number, locale=locale, decimal_quantization=False))


@cache
def _layout(locale: str) -> Layout | None:
    return layout_of(partial(_as_babel, locale=locale), digits=3)


def _country(code: str) -> str:
    """The English name of a country; the code itself where Babel knows none."""
    return str(Locale("en").territories.get(code, code))
