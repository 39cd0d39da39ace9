"""The policy file's JSON Schema, for editors: completion and red lines while it is typed."""

from __future__ import annotations

import json
from typing import Any

from tokenboard_etl.billing.policy import Policy


def policy_schema() -> str:
    """The schema as text, the same every time. docs/policy.schema.json is this (`make schema` writes it)."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **_without_null(Policy.model_json_schema())}
    schema["title"] = "TokenBoard ETL policy"
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _without_null(part: Any) -> Any:
    """A key without a value is refused when the file is read; pydantic's schema would let it pass."""
    if isinstance(part, list):
        return [_without_null(each) for each in part]
    if not isinstance(part, dict):
        return part
    cleaned = {key: _without_null(value) for key, value in part.items() if not (key == "default" and value is None)}
    choices = cleaned.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        rest = [choice for choice in choices if choice != {"type": "null"}]
        del cleaned["anyOf"]
        cleaned.update(rest[0] if len(rest) == 1 else {"anyOf": rest})
    return cleaned
