"""The subset of SQL that models keep to, and what its lint says of everything else."""

from __future__ import annotations

import pytest

from tokenboard_etl.errors import NotTranslatable
from tokenboard_etl.lake.portable import not_portable, on_spark
from tokenboard_etl.warehouse.sql_files import SqlFile, models_in_order


def model(query: str) -> SqlFile:
    return SqlFile("billing.new", query, "", {}, {})


def test_every_model_is_in_the_subset() -> None:
    assert [each for known in models_in_order() for each in not_portable(known)] == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT a / b AS c FROM t", "DOUBLE on DuckDB"),
        ("SELECT avg(a) AS c FROM t", "DOUBLE on DuckDB"),
        ("SELECT dayofweek(a) AS c FROM t", "counts from 0"),
        ("SELECT concat(a, b) AS c FROM t", "skips NULL"),
        ("SELECT round_even(a, 2) AS c FROM t", "not known"),
        ("SELECT decimal_division(a, b, 18) AS c FROM t", "not known"),
        ("SELECT list(a) AS c FROM t", "not known"),
        ("SELECT CAST(a AS DOUBLE) AS c FROM t", "no such type"),
        ("SELECT a FROM t ASOF JOIN u ON t.a >= u.a", "no such join"),
        ("SELECT CAST(unnest(generate_series(a, b, INTERVAL 1 DAY)) AS DATE) AS c FROM t", "a SELECT around it"),
    ],
)
def test_what_another_engine_would_not_take_is_named(query: str, said: str) -> None:
    (found, *_) = not_portable(model(query))
    assert said in found.why
    with pytest.raises(NotTranslatable, match=r"billing\.new cannot be translated"):
        on_spark(model(query))


def test_tables_types_and_whole_division_are_sparks() -> None:
    query = (
        "SELECT ops.clock.settle_days, (a.n // a.k) * CAST(a.n AS HUGEINT) // a.m AS q "
        "FROM ops.clock CROSS JOIN billing.charges AS a"
    )
    assert on_spark(model(query)) == (
        "SELECT clock.settle_days, "
        "TOKENBOARD_QUOTIENT((TOKENBOARD_QUOTIENT(a.n, a.k)) * CAST(a.n AS DECIMAL(38, 0)), a.m) AS q "
        "FROM ops__clock AS clock CROSS JOIN billing__charges AS a"
    )


def test_a_minus_sign_is_a_subtraction_which_keeps_every_digit_on_spark() -> None:
    query = "SELECT abs(-(a - b)) AS c, -1 AS d FROM t"
    assert on_spark(model(query)) == "SELECT GREATEST((0 - ((a - b))), 0 - ((0 - ((a - b))))) AS c, -1 AS d FROM t"
