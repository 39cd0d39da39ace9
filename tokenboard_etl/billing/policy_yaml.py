"""YAML as text with positions: every scalar stays what was written, so that no number becomes a float.

Which text is a number, a day or a yes is decided by the policy's fields; NO is Norway and 1e3 is no price.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import yaml

MAX_BYTES = 1_000_000
MAX_DEPTH = 50
"""Of lists and blocks in each other; a policy needs five."""

_KINDS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "timestamp", "seq", "map")}
"""What YAML takes plain words for. No other tag is understood."""


class YamlProblem(ValueError):
    """What is wrong, and on which line (from 1)."""

    def __init__(self, line: int, message: str) -> None:
        self.line = line
        super().__init__(message)


class Document(NamedTuple):
    """`data` is made of dict, list and str; an empty file is an empty dict.

    `lines` has the line of every place in it, keys included.
    """

    data: Any
    lines: dict[tuple[str | int, ...], int]


def read_yaml(content: bytes) -> Document:
    """Reads one document; raises YamlProblem for anything that is not a plain tree of text."""
    if len(content) > MAX_BYTES:
        raise YamlProblem(1, f"the file is larger than {MAX_BYTES} bytes")
    lines: dict[tuple[str | int, ...], int] = {}
    try:
        text, depth = content.decode("utf-8-sig"), 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):  # they make a short file mean an endless one
                raise YamlProblem(_line(event.start_mark), "aliases (*name) are not understood here")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:  # before the time for it grows with its square
                raise YamlProblem(_line(event.start_mark), "the file is nested too deeply")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        return Document({} if node is None else _plain(node, (), lines), lines)
    except UnicodeDecodeError as error:
        raise YamlProblem(content.count(b"\n", 0, error.start) + 1, "the file is not text in UTF-8") from None
    except yaml.MarkedYAMLError as error:
        raise YamlProblem(
            _line(error.problem_mark or error.context_mark), f"this is not YAML: {error.problem}"
        ) from None
    except yaml.YAMLError as error:
        position = getattr(error, "position", 0)
        line = content.decode("utf-8-sig").count("\n", 0, position) + 1
        raise YamlProblem(line, f"this is not YAML: {getattr(error, 'reason', error)}") from None
    except RecursionError:
        raise YamlProblem(1, "the file is nested too deeply") from None


def _line(mark: Any) -> int:
    return mark.line + 1 if mark else 1


def _plain(node: yaml.Node, place: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int]) -> Any:
    line = _line(node.start_mark)
    if node.tag == "tag:yaml.org,2002:null":  # taken for "any", it would make a rule mean more than was meant
        raise YamlProblem(line, "a value is missing; give one, or leave the line out")
    if node.tag not in _KINDS:
        raise YamlProblem(line, f"{node.tag[:40]!r} is not understood here")
    lines.setdefault(place, line)
    if isinstance(node, yaml.ScalarNode):
        return node.value
    if isinstance(node, yaml.SequenceNode):
        return [_plain(each, (*place, position), lines) for position, each in enumerate(node.value)]
    found: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag not in _KINDS:
            raise YamlProblem(_line(key.start_mark), "a key must be a word")
        if key.value in found:
            raise YamlProblem(_line(key.start_mark), f"{key.value[:40]!r} stands here twice")
        lines[*place, key.value] = _line(key.start_mark)
        found[key.value] = _plain(value, (*place, key.value), lines)
    return found
