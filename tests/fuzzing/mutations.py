"""Valid documents made invalid, and what no document is: strategies for whoever reads what others wrote."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

Path_ = tuple[str | int, ...]

_TOLD_BYTES = 2_000
_MARK = "\ue000literal:"
"""Around a JSON literal that json.dumps would not write."""

LITERALS = (
    *("NaN", "-Infinity", "1e999999", "-1E-999999", "1e400", "0.1e-400", "-0", "-0.0", "01", "+1", "1.", ".5", "0x1F"),
    *(
        "9" * 5_000,
        "0." + "1" * 5_000,
        "1" + "0" * 40,
        "0." + "0" * 30 + "1",
        "9223372036854775808",
        "undefined",
        "'x'",
    ),
    *("[" * 2_000 + "]" * 2_000, '{"a":' * 2_000 + "1" + "}" * 2_000, "[" * 100_000, '{"a": 1, "a": 2}', '"\\ud800"'),
)

TEXTS = (
    *(
        "",
        " ",
        "\x00",
        "a\x00b",
        "a\nb",
        "\u202egnp.exe",
        "\u2066x\u2069",
        "\u200b",
        "\ufeff",
        "e\u0301",
        "\ud83d",
        "\udc00",
    ),
    *(
        "=1+1",
        "=cmd|'/c calc'!A1",
        "+1",
        "-1",
        "@SUM(A1)",
        "'; DROP TABLE charges;--",
        "<script>alert(1)</script>",
        "{{7*7}}",
    ),
    *(
        "../../etc/passwd",
        "/dev/zero",
        "%s%n",
        "$(id)",
        "NULL",
        "null",
        "~",
        "NaN",
        "true",
        "yes",
        "1e309",
        "1,5",
        "٣",
        "Ⅻ",
    ),
    *(
        "2026-02-30",
        "0000-01-01",
        "9999-12-31",
        "10000-01-01",
        "2026-06-14T24:00:00Z",
        "2026-06-14 09:30",
        "-1",
        "1e-30",
    ),
    *("sk-admin-" + "k" * 20, "x" * 300, "x" * 200_000, "\U0001f600" * 3, "a" * 47 + "-", "unallocated"),
)

_ODD = st.one_of(
    st.sampled_from(TEXTS),
    st.sampled_from(LITERALS).map(_MARK.__add__),
    st.sampled_from(
        [None, True, False, 0, -1, 2**31, 2**63, -(2**63) - 1, 10**38, 1.5, 1e308, [], {}, [[]], {"": None}]
    ),
    st.text(max_size=20),
    st.integers(),
).map(copy.deepcopy)
"""Values nobody expects where they stand; each a fresh one, because it may be changed in turn."""


def places(tree: Any, at: Path_ = ()) -> list[Path_]:
    """Every place in a tree but its root."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [found for key, value in inner for found in ((*at, key), *places(value, (*at, key)))]


@st.composite
def mutated(draw: st.DrawFn, trees: st.SearchStrategy[Any], most: int = 3) -> Any:
    """A tree of dict, list and scalars, changed in one to `most` places."""
    tree = copy.deepcopy(draw(trees))
    for _ in range(draw(st.integers(1, most))):
        known = places(tree)
        if not known:
            return draw(_ODD)
        *way, last = draw(st.sampled_from(known))
        inner = tree
        for step in way:
            inner = inner[step]
        _change(draw, inner, last)
    return tree


def _change(draw: st.DrawFn, inner: Any, last: Any) -> None:
    kind = draw(st.sampled_from(("value", "value", "drop", "wrap", "copy", "rename")))
    if kind == "value":
        inner[last] = draw(_ODD)
    elif kind == "drop":
        del inner[last]
    elif kind == "wrap":
        inner[last] = draw(st.sampled_from([[inner[last]], {"x": inner[last]}, [inner[last]] * 50]))
    elif isinstance(inner, list):
        inner.insert(last, copy.deepcopy(inner[last]))
    else:
        name = draw(st.sampled_from([key for key in inner if isinstance(key, str)] + [*TEXTS[:12], "x"]))
        inner[name] = inner[last] if kind == "copy" else inner.pop(last)


def as_json(tree: Any) -> str:
    """A tree as JSON, with its odd literals as they are and halves of surrogate pairs as escapes."""
    text = json.dumps(tree, default=str)
    for literal in LITERALS:
        text = text.replace(json.dumps(_MARK + literal), literal)
    return text


def plain(tree: Any) -> Any:
    """The same with the odd literals as text, for formats that have none."""
    if isinstance(tree, dict):
        return {str(plain(key)): plain(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [plain(each) for each in tree]
    return tree.removeprefix(_MARK) if isinstance(tree, str) else tree


class Content(bytes):
    """Bytes that are told in short."""

    def __repr__(self) -> str:
        return super().__repr__() if len(self) <= _TOLD_BYTES else f"{self[:_TOLD_BYTES]!r}... {len(self)} bytes"


def spoiled(texts: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    """Texts as bytes: as they are, or cut, doubled, with other bytes in them, or in another encoding."""
    return _spoiled(texts).map(Content)


@st.composite
def _spoiled(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> bytes:
    text = draw(texts)
    content = text.encode(errors="surrogatepass")
    place = draw(st.integers(0, len(content)))
    end = min(len(content), place + draw(st.integers(0, 200)))
    kind = draw(st.sampled_from((*["whole"] * 6, "cut", "doubled", "put in", "left out", "encoded", "long")))
    if kind == "cut":
        return content[:place]
    if kind == "doubled":
        return content[:end] + content[place:]
    if kind == "left out":
        return content[:place] + content[end:]
    if kind == "put in":
        other = draw(st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from(_BYTES)))
        return content[:place] + other + content[place:]
    if kind == "encoded":
        return text.encode(draw(st.sampled_from(("utf-16", "utf-8-sig", "utf-32", "latin-1"))), errors="replace")
    if kind == "long":
        return content[:place] + b"x" * draw(st.sampled_from((70_000, 10_000_000))) + content[place:]
    return content


_BYTES = (
    b"\xef\xbb\xbf",
    b"\x00",
    b"\xff\xfe",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\r",
    b"\r\n",
    b"\n\n",
    b'"',
    b"'",
    b"\t",
    b"\x1a",
)

ANYTHING = st.one_of(st.binary(max_size=300), st.text(max_size=200).map(lambda text: text.encode(errors="replace")))
