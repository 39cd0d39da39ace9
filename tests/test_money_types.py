"""No float touches money: not in the code, not in SQL, not in a table."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tokenboard_etl.warehouse.catalog import catalog
from tokenboard_etl.warehouse.sql_files import SQL_ROOT

PACKAGES = [SQL_ROOT.parent, SQL_ROOT.parents[1] / "assets"]

WHERE_FLOATS_ARE_SECONDS = {
    ("http.py", "<module>"),  # the first wait, 0.5 s
    ("http.py", "Client.__init__"),  # the type of sleep()
    ("http.py", "_wait"),
    ("warehouse/connection.py", "open_warehouse"),
    ("warehouse/connection.py", "writer_lock"),
    ("warehouse/connection.py", "alone"),
    ("backups/taking.py", "backup"),
    ("backups/restoring.py", "restore"),
    ("tenants/vault.py", "change_vault"),
    ("warehouse/publish.py", "_publish"),  # megabytes in a log line
    ("providers/sandbox/faults.py", "Fault"),
    ("providers/sandbox/state.py", "Sandbox.reset"),
    ("providers/shapes.py", "<module>"),  # a number is checked to be one and thrown away
}
WHERE_JSON_HAS_NO_AMOUNTS = {
    ("lake/stored.py", "Lake.newest"),
    ("provisioning.py", "registration_inbox"),
    ("alerts.py", "alerts"),
    ("verdicts.py", "_error_text"),
    ("landing/writing.py", "_whole_lines"),
    ("landing/failures.py", "failures"),
    ("landing/stored.py", "read_landing"),
    ("backups/stored.py", "read_list"),
    ("warehouse/pages.py", "_batch"),
    ("warehouse/drift.py", "check_page"),
    ("providers/sandbox/openai_http.py", "body_of"),
    ("providers/sandbox/control.py", "_object"),
    ("providers/sandbox/control.py", "add_faults"),
}


def walk_with_owner(tree: ast.AST, owner: str = "<module>") -> Iterator[tuple[str, ast.AST]]:
    """Each node with the function or class it stands in."""
    for node in ast.iter_child_nodes(tree):
        inner = owner
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = node.name if owner == "<module>" else f"{owner}.{node.name}"
        yield inner, node
        yield from walk_with_owner(node, inner)


def floats(node: ast.AST) -> bool:
    is_name = isinstance(node, ast.Name) and node.id == "float"
    is_literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
    return is_name or is_literal


def lossy_json(node: ast.AST) -> bool:
    """json.loads without parse_float, or a response's own .json()."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    if node.func.attr == "json":
        return True
    return node.func.attr in ("loads", "load") and not any(word.arg == "parse_float" for word in node.keywords)


def findings(suspicious: object) -> set[tuple[str, str]]:
    found = set()
    for package in PACKAGES:
        for path in package.rglob("*.py"):
            for owner, node in walk_with_owner(ast.parse(path.read_text())):
                if suspicious(node):
                    found.add((str(path.relative_to(package)), owner))
    return found


WHERE_WHOLE_NUMBERS_ARE_DIVIDED = {"budget_limits", "budgets", "gross_margins", "operation_costs"}
"""Models with `//`, which is exact for integers and a DOUBLE for decimals: what they divide is cast to HUGEINT."""


def test_floats_stand_only_where_they_are_seconds() -> None:
    assert findings(floats) - WHERE_FLOATS_ARE_SECONDS == set()


def test_json_with_amounts_is_never_read_through_floats() -> None:
    assert findings(lossy_json) - WHERE_JSON_HAS_NO_AMOUNTS == set()


@pytest.mark.parametrize("path", sorted(SQL_ROOT.rglob("*.sql")), ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_sql_neither_divides_nor_averages_nor_names_a_binary_type(path: Path) -> None:
    code = re.sub(r"--.*|'[^']*'", "", path.read_text())
    assert re.findall(r"\bDOUBLE\b|\bFLOAT\b|\bREAL\b|\bavg\(|(?<!/)/(?!/)", code, re.IGNORECASE) == []
    assert ("//" in code) == (path.stem in WHERE_WHOLE_NUMBERS_ARE_DIVIDED)


def test_amounts_in_every_table_are_exact_decimals() -> None:
    for table in catalog().values():
        for column in table.columns:
            assert column.type not in ("DOUBLE", "FLOAT", "REAL"), f"{table.name}.{column.name} is {column.type}"
            if column.name.endswith("_usd") or column.name == "billed_exact":
                assert re.fullmatch(r"DECIMAL\(38,(18|24)\)", column.type), f"{table.name}.{column.name}: {column.type}"
            if column.name.endswith("_minor"):
                assert column.type == "BIGINT", f"{table.name}.{column.name} is {column.type}"


def test_every_published_table_and_column_says_what_it_means() -> None:
    from tokenboard_etl.warehouse.publish import PUBLISHED_SCHEMAS

    silent = [
        f"{table.name}.{column.name}"
        for table in catalog().values()
        if table.name.partition(".")[0] in PUBLISHED_SCHEMAS
        for column in table.columns
        if not column.comment or not table.comment
    ]
    assert silent == []
