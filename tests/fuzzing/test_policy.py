"""Policy files: read, or refused with their line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from fuzzing.clear import Outcomes, accepted_or_refused, inputs
from fuzzing.mutations import ANYTHING, TEXTS, mutated, plain, spoiled
from tokenboard_etl.billing.policy import Policy
from tokenboard_etl.billing.policy_file import parse_policy

EXAMPLE = (Path(__file__).parents[2] / "docs" / "policy.example.yaml").read_text()
TREE = yaml.load(EXAMPLE, Loader=yaml.BaseLoader)

SNIPPETS = (
    *(
        "a: &a [x, x]",
        "b: &b [*a, *a]",
        "<<: *a",
        "<<: {percent: 1}",
        "? [1, 2]",
        "? ",
        "- ",
        "---",
        "...",
        "%YAML 9.9",
        "\t",
    ),
    *(
        "!!python/object/apply:os.system ['true']",
        "x: !!binary aGk=",
        "x: !!float 1",
        "x: !<tag:x> 1",
        "x: |",
        "x: >-",
        "!!set {a}",
    ),
    *(
        "currency: USD",
        "margins: []",
        "margins:",
        "  - {id: x}",
        "# " + "x" * 10_000,
        "'" * 99,
        "x: " + "[" * 3_000,
        "{" * 3_000,
    ),
)


def a_part(tree: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of the blocks of the whole file: reading all of them each time would take most of the time."""
    return st.sets(st.sampled_from(sorted(tree)), min_size=1, max_size=3).map(
        lambda keys: {key: tree[key] for key in keys}
    )


WORDS = [
    *("margins", "taxes", "seller", "fx", "budgets", "invoice", "id", "percent", "from", "until", "tenant", "name"),
    *(
        "2026-01-01",
        "25",
        "1e9",
        ".inf",
        "~",
        "null",
        "yes",
        "!!float",
        "&a",
        "*a",
        "<<",
        "- ",
        ": ",
        "{",
        "}",
        "[",
        "]",
    ),
    *(", ", "\n", "\n  ", "'", '"', "|", ">", "%", "@", "`", "#", "\t", "---", "0x1F", "1_000", "12:30:45", "="),
]

TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(WORDS), st.text(max_size=10)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from([*Policy.model_fields, "id", "from", "percent", "tenant"]), inner, max_size=4),
    ),
    max_leaves=12,
)


@st.composite
def with_snippets(draw: st.DrawFn) -> str:
    lines = EXAMPLE.splitlines()[: draw(st.integers(10, 60))]
    for snippet in draw(st.lists(st.sampled_from((*SNIPPETS, *TEXTS)), min_size=1, max_size=3)):
        lines.insert(draw(st.integers(0, len(lines))), " " * draw(st.integers(0, 4)) + snippet)
    return "\n".join(lines)


def _joined(words: list[str]) -> bytes:
    return "".join(words).encode(errors="replace")


def dumped(tree: Any) -> str:
    return yaml.safe_dump(plain(tree), allow_unicode=True, sort_keys=False)


FILES = st.one_of(
    spoiled(mutated(a_part(TREE)).map(dumped)),
    spoiled(a_part(TREE).map(dumped)),
    spoiled(with_snippets()),
    TREES.map(yaml.safe_dump).map(str.encode),
    st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=5)), max_size=25).map(_joined),
    ANYTHING,
)


@inputs(3_000, sample=60)
@given(FILES)
@example(b"? ")
@example(b"\xef\xbb\xbf{}")
def test_a_policy_file_is_read_or_refused_with_its_line(outcomes: Outcomes, content: bytes) -> None:
    with accepted_or_refused(outcomes, "policy (YAML)", "policy.yaml, line "):
        file = parse_policy(content, "policy.yaml")
        assert parse_policy(file.content.encode(), "again") == file
