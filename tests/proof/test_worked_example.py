"""docs/worked-example.md: its own arithmetic, and that the whole system comes to the same figures."""

from __future__ import annotations

import ast
import operator
import re
from decimal import ROUND_HALF_UP, Decimal, localcontext

import duckdb

from proof.conftest import DOCUMENT, Worked
from proof.figures import Row, tables

OPERATIONS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def reckoned(text: str) -> Decimal:
    """The value of a sum as it is written in the document."""

    def value(node: ast.expr) -> Decimal:
        if isinstance(node, ast.BinOp):
            return OPERATIONS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.UnaryOp):
            return -value(node.operand)
        return Decimal(ast.get_source_segment(text, node) or "")

    text = text.replace("\N{MULTIPLICATION SIGN}", "*").replace("\N{DIVISION SIGN}", "/").strip()
    return value(ast.parse(text, mode="eval").body)


def lines_of_document() -> list[Row]:
    stated = tables(DOCUMENT)
    return [row for tenant in ("acme", "beta") for month in ("May", "June") for row in stated[f"{month} for {tenant}"]]


def appendix_of_document() -> list[Row]:
    stated = tables(DOCUMENT)
    headings = ("May for acme", "May for beta", "June for acme")
    return [row for heading in headings for row in stated[f"The appendix of {heading}"]]


def test_the_documents_own_arithmetic_holds() -> None:
    steps = re.findall(r"`([^`\n]+?) ([=≈]) (-?[\d.]+)`", DOCUMENT)
    assert len(steps) == DOCUMENT.count("≈") + DOCUMENT.count(" = ") - 1 > 40  # the page explains the one sign
    with localcontext(prec=80):
        for left, sign, right in steps:
            said = Decimal(right)
            value = reckoned(left)
            if sign == "≈":
                value = value.quantize(said, ROUND_HALF_UP)
            assert value == said, f"{left} {sign} {right}"


def test_the_documents_tables_agree_with_its_arithmetic() -> None:
    """What stands in a table was reckoned above it, and lines and tax come to the totals."""
    results = {Decimal(right) for right in re.findall(r"[=≈] (-?[\d.]+)`", DOCUMENT)}
    for row in lines_of_document():
        assert {Decimal(row["exact USD"]), abs(Decimal(row["amount"]))} <= results | {Decimal("18.42")}, row
    halves = {(row["invoice"], row["part"] == "category") for row in appendix_of_document()}
    assert len(halves) == 4
    for half in halves:
        usage = [row for row in lines_of_document() if (row["invoice"], row["kind"]) == (half[0], "usage")]
        parts = [row for row in appendix_of_document() if (row["invoice"], row["part"] == "category") == half]
        for column in ("exact USD", "amount"):
            assert sum(Decimal(row[column]) for row in parts) == sum(Decimal(row[column]) for row in usage)
    for head in tables(DOCUMENT)["The documents"]:
        amounts = [Decimal(row["amount"]) for row in lines_of_document() if row["invoice"] == head["invoice"]]
        assert sum(amounts) == Decimal(head["net"])
        assert Decimal(head["net"]) + Decimal(head["tax"]) == Decimal(head["total"])


def test_what_was_issued_is_what_the_document_says(worked: Worked) -> None:
    with duckdb.connect(worked.home / "published" / "tokenboard.duckdb", read_only=True) as published:
        lines = published.execute(
            """
            SELECT invoice_number, line_no, kind, line_item, margin_rule_id, billed_exact, amount_minor,
                coalesce(original_invoice || ' line ' || original_line, '')
            FROM billing.invoice_lines ORDER BY ALL
            """
        ).fetchall()
        appendices = published.execute(
            """
            SELECT invoice_number, row_no, part, key, coalesce(title, ''), cvs, questions, minutes, billed_exact,
                amount_minor
            FROM billing.invoice_appendix ORDER BY ALL
            """
        ).fetchall()
        heads = published.execute(
            """
            SELECT invoice_number, tenant_id, month, CAST(CAST(issued_at AS DATE) AS VARCHAR), currency, per_usd,
                net_minor, tax_minor, total_minor
            FROM billing.invoices ORDER BY ALL
            """
        ).fetchall()
    stated = [
        (
            row["invoice"],
            int(row["line"]),
            *(row[column] for column in ("kind", "item", "rule")),
            Decimal(row["exact USD"]),
            int(Decimal(row["amount"]).scaleb(2)),
            row.get("corrects", ""),
        )
        for row in lines_of_document()
    ]
    assert lines == sorted(stated)
    assert appendices == [
        (
            row["invoice"],
            int(row["row"]),
            *(row[column] for column in ("part", "key", "title")),
            *(Decimal(row[column]) if row[column] else None for column in ("cvs", "questions", "minutes")),
            Decimal(row["exact USD"]),
            int(Decimal(row["amount"]).scaleb(2)),
        )
        for row in appendix_of_document()
    ]
    assert heads == [
        (
            *(row[column] for column in ("invoice", "tenant", "month", "issued on", "currency")),
            Decimal(row["for one USD"]),
            *(int(Decimal(row[column]).scaleb(2)) for column in ("net", "tax", "total")),
        )
        for row in tables(DOCUMENT)["The documents"]
    ]
