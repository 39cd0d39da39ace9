"""Fields the providers document, or have long sent, that nothing here reads: of any type, and no news.

By provider and path of the endpoint, then by the JSON path of the object they stand in. What is in neither a model nor
this list is unknown, and is reported when it first comes.
"""

from __future__ import annotations

from collections.abc import Mapping

_BUCKET = {"$": "object", "$.data[*]": "object start_time_iso end_time_iso"}
_OTHER_USAGE = (
    "embeddings",
    "moderations",
    "images",
    "audio_speeches",
    "audio_transcriptions",
    "vector_stores",
    "code_interpreter_sessions",
    "file_search_calls",
    "web_search_calls",
    "decisions",
)
_LIST = "object first_id"
_ROW_EXTRAS = "organization_id organization_name project_name user_email api_source"

DOCUMENTED: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("openai", "/organization/projects"): {
        "$": "object first_id",
        "$.data[*]": "object residency",
    },
    ("openai", "/organization/costs"): {**_BUCKET, "$.data[*].results[*]": f"{_ROW_EXTRAS} user_id"},
    ("openai", "/organization/usage/completions"): {
        **_BUCKET,
        "$.data[*].results[*]": f"{_ROW_EXTRAS} input_text_tokens output_text_tokens input_cached_text_tokens "
        "input_cache_write_30m_tokens input_cache_write_12h_tokens",
    },
    **{
        ("openai", f"/organization/usage/{endpoint}"): {
            **_BUCKET,
            "$.data[*].results[*]": f"{_ROW_EXTRAS} input_cache_write_30m_tokens input_cache_write_12h_tokens",
        }
        for endpoint in _OTHER_USAGE
    },
    ("openai", "/organization/projects/{}/service_accounts"): {"$": _LIST, "$.data[*]": "object api_key"},
    ("openai", "/organization/projects/{}/api_keys"): {"$": _LIST, "$.data[*]": "object owner redacted_value scopes"},
    ("openai", "/organization/projects/{}/spend_limit"): {"$": "object"},
    ("openai", "/organization/admin_api_keys"): {"$": _LIST, "$.data[*]": "object owner"},
    ("openai", "/dashboard/billing/credit_grants"): {
        "$": "object total_paid_available",
        "$.grants": "object",
        "$.grants.data[*]": "object",
    },
    ("openrouter", "/key"): {
        "$.data": "limit limit_remaining limit_reset include_byok_in_limit usage usage_daily usage_weekly "
        "usage_monthly byok_usage byok_usage_daily byok_usage_weekly byok_usage_monthly expires_at creator_user_id "
        "workspace_id organization_id is_free_tier rate_limit budgets effective_budget free_model_daily_requests "
        "allowed_data_regions",
    },
    ("openrouter", "/workspaces"): {
        "$.data[*]": "slug description default_guardrail_id default_text_model default_image_model "
        "default_provider_sort include_byok_in_budgets is_observability_io_logging_enabled "
        "is_observability_broadcast_enabled is_data_discount_logging_enabled io_logging_sampling_rate "
        "io_logging_api_key_ids created_at updated_at created_by",
    },
    ("openrouter", "/keys"): {
        "$.data[*]": "include_byok_in_limit byok_usage_daily byok_usage_weekly byok_usage_monthly updated_at "
        "expires_at creator_user_id",
    },
    ("openrouter", "/analytics/query"): {
        "$.data": "cachedAt warnings",
        "$.data.metadata": "query_time_ms row_count",
    },
    ("openrouter", "/activity"): {"$.data[*]": "byok_requests cached_tokens workspace_id"},
}
