"""Which model each landed answer follows, by provider and path. `{}` stands for an id in a path."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tokenboard_etl.errors import MalformedAnswer
from tokenboard_etl.providers import openai, openai_accounts, openai_entities, openai_usage, openrouter_wire
from tokenboard_etl.providers.documented import DOCUMENTED
from tokenboard_etl.providers.openai_buckets import BucketPage
from tokenboard_etl.providers.openai_lists import ListPage
from tokenboard_etl.providers.shapes import Shape
from tokenboard_etl.providers.wire import Wire

ANSWERS: Mapping[tuple[str, str], type[Wire]] = {
    ("openai", "/organization/projects"): ListPage[openai_entities.Project],
    ("openai", "/organization/projects/{}/service_accounts"): ListPage[openai_entities.ServiceAccount],
    ("openai", "/organization/projects/{}/api_keys"): ListPage[openai_entities.ApiKey],
    ("openai", "/organization/projects/{}/spend_limit"): openai_accounts.SpendLimit,
    ("openai", "/organization/admin_api_keys"): ListPage[openai_accounts.AdminKey],
    ("openai", "/organization/costs"): BucketPage[openai.CostRow],
    ("openai", "/organization/usage/completions"): BucketPage[openai_usage.CompletionsRow],
    **{("openai", report.path): report.page for report in openai_usage.OTHER_USAGE.values()},
    ("openai", "/dashboard/billing/credit_grants"): openai_accounts.CreditGrants,
    ("openrouter", "/key"): openrouter_wire.KeyInfoAnswer,
    ("openrouter", "/workspaces"): openrouter_wire.WorkspacePage,
    ("openrouter", "/keys"): openrouter_wire.KeyPage,
    ("openrouter", "/credits"): openrouter_wire.CreditsAnswer,
    ("openrouter", "/activity"): openrouter_wire.ActivityAnswer,
    ("openrouter", "/analytics/query"): openrouter_wire.AnalyticsAnswer,
}

MAY_BE_NONE = frozenset({"/organization/projects/{}/spend_limit"})
"""A 404 there says that nothing is set; the landing keeps it as `null`."""


class Answers:
    """The answers of one provider, held against its models; `unknown` grows with what nobody knows."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._shapes: dict[str, Shape] = {}

    def check(self, method: str, path: str, body: bytes) -> None:
        """Raises MalformedAnswer with the path of a field that is missing or of a wrong type, or without a model."""
        pattern = next((each for name, each in ANSWERS if name == self._provider and _stands_for(each, path)), None)
        if pattern is None:
            raise MalformedAnswer(self._provider, f"{method} {path}", "no model says what its answer looks like")
        if body == b"null" and pattern in MAY_BE_NONE:
            return
        endpoint = f"{method} {pattern}"
        if endpoint not in self._shapes:
            where = (self._provider, pattern)
            documented = tuple(
                (place, name) for place, names in DOCUMENTED.get(where, {}).items() for name in names.split()
            )
            self._shapes[endpoint] = Shape(self._provider, endpoint, ANSWERS[where], documented)
        self._shapes[endpoint].check(body)

    @property
    def unknown(self) -> dict[tuple[str, str], str]:
        """Endpoint and JSON path of each unknown field met so far, with the JSON type of its first value."""
        shapes = self._shapes.items()
        return {(endpoint, path): kind for endpoint, shape in shapes for path, kind in shape.unknown.items()}


def _stands_for(pattern: str, path: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\{\}", "[^/]+"), path) is not None
