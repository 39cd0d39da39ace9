"""A past in which every model has rows: two nights over more than a month, a month closed in between, and what the
sandbox does not do by itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb

from tokenboard_etl.closing import bring_up_to_date, close
from tokenboard_etl.operations.inbox import take_in
from tokenboard_etl.periods import Month, Window
from tokenboard_etl.providers.sandbox.operations import operations_csv
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.settings import Settings
from tokenboard_etl.tenants.csv_import import import_tenants

MAY = Month(2026, 5)
CLOSED_AT = datetime(2026, 6, 2, 2, tzinfo=UTC)
READ_AT = datetime(2026, 6, 12, 2, tzinfo=UTC)
MISSING = date(2026, 6, 10)
"""The last days, whose costs have not arrived."""

REPORTS = {
    "openai": {
        *("costs", "costs_total", "completions", "other_usage.embeddings", "other_usage.images", "projects"),
        *("service_accounts", "project_keys", "admin_keys", "spend_limits", "credit_grants"),
    },
    "openrouter": {"keys", "credits", "analytics", "analytics_total", "activity", "activity_by_key"},
}

POLICY = """
margins:
  - {id: all, percent: 20, from: 2026-01-01}
  - {id: parsing, category: cv-parsing, percent: 45, from: 2026-05-09}
  - {id: mini, model: "gpt-*-mini*", percent: 12.5, from: 2026-01-01}
budgets:
  - {id: everybody, usd: 1000, from: 2026-01-01}
  - {id: pushed, tenant: "northwind*", usd: 500, thresholds: [1, 50, 100], push: true, from: 2026-01-01}
categories:
  - {id: alone, category: video-interview, api_key: key_alone, from: 2026-01-01}
  - {id: long, category: cv-parsing, over_tokens_per_request: 5000, from: 2026-01-01}
  - {id: other, category: question-generation, from: 2026-01-01}
price_overrides:
  - {id: ours, model: "gpt-4o*", token_kind: input, usd_per_million_tokens: 0.15, from: 2026-01-01}
"""

# A tenant's own account, operations nobody prices, and a day that is not over yet.
FURTHER = """
    INSERT INTO registry.connections
        SELECT 'openai-own', 'openai', 'organization', min(tenant_id), now() FROM registry.tenants;
    INSERT INTO raw.openai_costs BY NAME
        SELECT * REPLACE ('openai-own' AS connection_id) FROM raw.openai_costs WHERE usage_date < DATE '2026-05-04';
    DELETE FROM raw.openai_costs WHERE usage_date >= DATE '2026-06-10';
    DELETE FROM ops.load_days WHERE usage_date >= DATE '2026-06-10' AND report = 'costs';
    INSERT INTO raw.openai_completions BY NAME
        SELECT * REPLACE ('nobody-prices-it' AS model, 'key_alone' AS api_key_id) FROM raw.openai_completions
        WHERE usage_date = DATE '2026-06-11'
        QUALIFY row_number() OVER (PARTITION BY project_id ORDER BY input_tokens DESC) = 1;
    INSERT INTO raw.openai_completions_minutes BY NAME
        SELECT * EXCLUDE (user_id) REPLACE (DATE '2026-06-12' AS usage_date),
            TIMESTAMPTZ '2026-06-12 01:30:00+00' AS minute_at
        FROM raw.openai_completions WHERE usage_date = DATE '2026-06-11' AND user_id = '';
    INSERT INTO raw.openrouter_key_readings BY NAME
        SELECT connection_id, load_id, DATE '2026-06-12' AS usage_date, TIMESTAMPTZ '2026-06-12 01:30:20+00' AS read_at,
            key_hash, usage_daily_usd + 1.25 AS usage_daily_usd
        FROM raw.openrouter_keys WHERE snapshot_date = DATE '2026-06-12';
    INSERT INTO ops.dirty_months VALUES ('2026-05'), ('2026-06');
"""

Night = Callable[..., Settings]


def live_through(warehouse: duckdb.DuckDBPyConnection, sandbox: RunningSandbox, night: Night, folder: Path) -> None:
    """Fills an empty warehouse."""
    policy, tenants, inbox = folder / "policy.yaml", folder / "tenants.csv", folder / "inbox"
    policy.write_text(POLICY)
    tenants.write_text(sandbox.world.tenants_csv())
    import_tenants(warehouse, tenants, CLOSED_AT)
    inbox.mkdir()
    days = [date(2026, 5, 1) + timedelta(days=number) for number in range(42)]
    (inbox / "log.csv").write_text(operations_csv(sandbox.world.seed, sandbox.world.tenants, days))
    take_in(warehouse, inbox, READ_AT)
    more = {
        "TOKENBOARD_POLICY": str(policy),
        "OPENAI_PERSONAL_KEY": next(iter(sandbox.world.session_tokens.values())),
    }
    for now, first in ((CLOSED_AT, date(2026, 5, 1)), (READ_AT, date(2026, 5, 28))):
        for provider, names in REPORTS.items():
            window = Window.of_days(first, now.date() - timedelta(days=1))
            settings = night(now, window, provider, names, **more)
        if now == CLOSED_AT:
            close(warehouse, settings, MAY, accepted_reason="the auditors are waiting", accepted_by="finance")
    warehouse.execute(FURTHER)
    bring_up_to_date(warehouse, settings)
