"""What OpenRouter's answers must look like; unknown fields are let through."""

from __future__ import annotations

from pydantic import Field

from tokenboard_etl.providers.wire import Wire, WireAmount, WireCount, WireKey


class KeyInfo(Wire):
    """What a key is told about itself; counters are USD of the running UTC day, week (from Monday) and month."""

    label: str | None = None
    is_management_key: bool = False
    is_provisioning_key: bool = False
    limit: WireAmount | None = None
    limit_remaining: WireAmount | None = None
    limit_reset: str | None = None
    usage_daily: WireAmount | None = None
    usage_weekly: WireAmount | None = None
    usage_monthly: WireAmount | None = None


class KeyInfoAnswer(Wire):
    data: KeyInfo


class Workspace(Wire):
    id: str = Field(min_length=1)
    name: str


class WorkspacePage(Wire):
    data: list[Workspace]
    total_count: int


class Key(Wire):
    hash: str = Field(min_length=1)
    name: str
    label: str
    disabled: bool
    limit: WireAmount | None
    limit_remaining: WireAmount | None
    limit_reset: str | None
    usage: WireAmount
    usage_daily: WireAmount
    usage_weekly: WireAmount
    usage_monthly: WireAmount
    byok_usage: WireAmount
    byok_usage_daily: WireAmount | None = None
    byok_usage_weekly: WireAmount | None = None
    byok_usage_monthly: WireAmount | None = None
    include_byok_in_limit: bool | None = None
    created_at: str
    expires_at: str | None = None
    workspace_id: str | None = None


class KeyPage(Wire):
    data: list[Key]


class OneKey(Wire):
    data: Key


class KeyAnswer(Wire):
    """The answer to creating a key: `key` is the key itself, shown here and never again."""

    data: Key
    key: WireKey


class Credits(Wire):
    total_credits: WireAmount
    total_usage: WireAmount


class CreditsAnswer(Wire):
    data: Credits


class ActivityRow(Wire):
    date: str
    model: str
    model_permaslug: str
    endpoint_id: str
    provider_name: str
    usage: WireAmount
    byok_usage_inference: WireAmount
    requests: WireCount
    prompt_tokens: WireCount
    completion_tokens: WireCount
    reasoning_tokens: WireCount


class ActivityAnswer(Wire):
    data: list[ActivityRow]


class AnalyticsRow(Wire):
    """The day stands under `date__day` or `created_at__day`; metrics that were not used are null or absent."""

    date__day: str | None = None
    created_at__day: str | None = None
    api_key_id: str | None = None
    model: str | None = None
    credits_usage: WireAmount | None = None
    byok_usage: WireAmount | None = None
    request_count: WireCount | None = None


class AnalyticsMetadata(Wire):
    truncated: bool


class AnalyticsData(Wire):
    data: list[AnalyticsRow]
    metadata: AnalyticsMetadata


class AnalyticsAnswer(Wire):
    data: AnalyticsData
