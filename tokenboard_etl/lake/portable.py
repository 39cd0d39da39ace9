"""A model's SELECT as Apache Spark understands it, and what in it no translation is known for.

sqlglot passes what it does not know through without a word, and some of what it knows means something else there. So
the subset is a list of what was compared, value by value: what is not on it is refused (tests/lake/test_spark.py runs
every model on both engines).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import UnsupportedError

from tokenboard_etl.errors import NotTranslatable
from tokenboard_etl.warehouse.sql_files import SqlFile

_SAME: frozenset[type] = frozenset(
    (
        *(
            exp.Abs,
            exp.And,
            exp.Case,
            exp.Cast,
            exp.Coalesce,
            exp.ConcatWs,
            exp.Count,
            exp.DateDiff,
            exp.Exists,
            exp.Explode,
        ),
        *(exp.GenerateSeries, exp.Greatest, exp.If, exp.Lag, exp.LastDay, exp.Lead, exp.Least, exp.LogicalAnd, exp.Max),
        *(exp.Min, exp.Nullif, exp.Or, exp.Rank, exp.RegexpExtract, exp.RegexpReplace, exp.Replace, exp.RowNumber),
        *(exp.SplitPart, exp.Substring, exp.Sum, exp.TimeToStr, exp.TimestampTrunc, exp.TryCast),
    )
)
"""Functions, as sqlglot sees them, that say the same on both engines."""

_ELSEWHERE: dict[type, str] = {
    exp.Div: "`/` is DOUBLE on DuckDB and DECIMAL on Spark; `//` is whole on both",
    exp.Avg: "avg is DOUBLE on DuckDB and DECIMAL on Spark",
    exp.Concat: "concat skips NULL on DuckDB and becomes NULL on Spark; || becomes NULL on both",
    exp.DayOfWeek: "dayofweek counts from 0 on DuckDB and from 1 on Spark; date_diff from a Monday, % 7, is the same",
}

_TYPES = {
    **{exp.DataType.Type[name]: name for name in ("BIGINT", "BOOLEAN", "DATE", "DECIMAL")},
    exp.DataType.Type.INT: "INT",
    exp.DataType.Type.INT128: "DECIMAL(38,0)",
    exp.DataType.Type.TEXT: "STRING",
    exp.DataType.Type.VARCHAR: "STRING",
    exp.DataType.Type.TIMESTAMPTZ: "TIMESTAMP",
}
"""Spark's name of each type a model may use. It has no integer beyond 64 bits."""

QUOTIENT = "tokenboard_quotient"
_A, _B = "greatest(a, 0 - a)", "greatest(b, 0 - b)"
_HIGH, _LOW = f"{_A} DIV 100000000000000000000", f"{_A} % 100000000000000000000"
_MIDDLE = f"({_HIGH} % {_B} * 10000000000 + {_LOW} DIV 10000000000)"
CREATE_QUOTIENT = f"""
    CREATE OR REPLACE TEMPORARY FUNCTION {QUOTIENT}(a DECIMAL(38, 0), b DECIMAL(38, 0)) RETURNS DECIMAL(38, 0) RETURN
    CASE WHEN (a < 0) = (b < 0) THEN 1BD ELSE -1BD END * (
        CAST({_HIGH} DIV {_B} AS DECIMAL(38, 0)) * 100000000000000000000
        + CAST({_MIDDLE} DIV {_B} AS DECIMAL(38, 0)) * 10000000000
        + CAST(({_MIDDLE} % {_B} * 10000000000 + {_A} % 10000000000) DIV {_B} AS DECIMAL(38, 0))
    )
"""
"""DuckDB's `//`. Spark's DIV gives 64 bits and says nothing of what was cut off, so this divides as on paper, in digits
of 10^10: no quotient of two of them reaches 64 bits, no remainder 38 decimals. sign() would make a DOUBLE of it."""


@dataclass(frozen=True)
class NotPortable:
    """Something in a model that another engine would refuse or understand otherwise."""

    model: str
    sql: str
    why: str


def table_on_spark(name: str) -> str:
    """The name of a temporary view there, which has no schema: billing.charges is billing__charges."""
    return name.replace(".", "__")


def type_on_spark(duckdb_type: str) -> str:
    """Spark's name of a column's type."""
    if duckdb_type.endswith("[]"):
        return f"ARRAY<{type_on_spark(duckdb_type[:-2])}>"
    kind = exp.DataType.build(duckdb_type, dialect="duckdb")
    return kind.sql("spark") if kind.this == exp.DataType.Type.DECIMAL else _TYPES[kind.this]


def not_portable(model: SqlFile) -> Iterator[NotPortable]:
    """What keeps a model from other engines, in the order it is written."""
    tree = sqlglot.parse_one(model.query, dialect="duckdb")
    for node in tree.walk(bfs=False):
        if why := _reason(node):
            yield NotPortable(model.name, node.sql("duckdb"), why)
    try:
        _translated(tree).sql("spark", unsupported_level=sqlglot.ErrorLevel.RAISE)
    except UnsupportedError as error:
        yield NotPortable(model.name, "", str(error))


def on_spark(model: SqlFile) -> str:
    """The model's SELECT for Spark, over temporary views; raises NotTranslatable."""
    found = next(not_portable(model), None)
    if found:
        raise NotTranslatable(f"{model.name} cannot be translated: {found.sql}: {found.why}.")
    return _translated(sqlglot.parse_one(model.query, dialect="duckdb")).sql("spark", comments=False)


def sql_on_spark(expression: str) -> str:
    """An expression of a model for Spark."""
    return sqlglot.transpile(expression, read="duckdb", write="spark")[0]


def _reason(node: exp.Expr) -> str | None:
    if why := _ELSEWHERE.get(type(node)):
        return why
    if isinstance(node, exp.Func) and type(node) not in _SAME:
        return "not known to say the same on Spark"
    if isinstance(node, exp.DataType) and not _is_known(node):
        return "Spark has no such type, or it was not compared"
    if isinstance(node, exp.Explode) and not isinstance(node.parent, (exp.Alias, exp.Select)):
        return "Spark unnests only where that is all of a column; what is done to it belongs in a SELECT around it"
    if isinstance(node, exp.Join) and node.method:
        return "no such join on Spark"
    return None


def _is_known(kind: exp.DataType) -> bool:
    return kind.this in _TYPES or isinstance(kind.parent, exp.Interval)


def _translated(tree: exp.Expr) -> exp.Expr:
    """The same tree with Spark's tables, types and whole division.

    Spark's minus sign, and abs with it, keeps 34 digits of a DECIMAL(38) without a word; subtraction keeps all.
    """
    made = tree.copy()
    for kind in list(made.find_all(exp.DataType)):
        if kind.this == exp.DataType.Type.INT128:
            kind.replace(exp.DataType.build("DECIMAL(38, 0)"))
    for table in list(made.find_all(exp.Table)):
        if table.db:
            view = exp.to_table(table_on_spark(f"{table.db}.{table.name}"))
            table.replace(exp.alias_(view, table.alias or table.name, table=True))
    for column in made.find_all(exp.Column):
        column.set("db", None)
    for division in reversed(list(made.find_all(exp.IntDiv))):  # the innermost first
        division.replace(exp.func(QUOTIENT, division.this, division.expression))
    for negated in reversed(list(made.find_all(exp.Neg, exp.Abs))):
        if not isinstance(negated.this, exp.Literal):
            zero_less = exp.Sub(this=exp.Literal.number(0), expression=exp.paren(negated.this.copy()))
            is_abs = isinstance(negated, exp.Abs)
            negated.replace(exp.func("GREATEST", negated.this, zero_less) if is_abs else exp.paren(zero_less))
    return made
