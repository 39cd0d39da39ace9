"""What an operator sees in Dagster."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
from dagster._core.definitions.freshness import CronFreshnessPolicy, TimeWindowFreshnessPolicy

from assets.automation import nightly_02_utc, weekly_reread
from assets.definitions import defs
from assets.extraction import LANDED_WHOLE
from assets.invoices import ISSUED
from assets.models import RECORDS
from assets.partitions import RANGE_END, RANGE_START
from tokenboard_etl.warehouse.checks import all_checks
from tokenboard_etl.warehouse.sql_files import models_in_order

ROOT = Path(__file__).parents[2]

KEYS = [
    "billing/budget_limits",
    "billing/budgets",
    "billing/categories",
    "billing/category_costs",
    "billing/charges",
    "billing/corrections_due",
    "billing/credit_uses",
    "billing/documents",
    "billing/gross_margins",
    "billing/invoice_appendix",
    "billing/invoice_drafts",
    "billing/invoice_lines",
    "billing/invoice_taxes",
    "billing/invoices",
    "billing/job_costs",
    "billing/kinds_of_spend",
    "billing/operation_costs",
    "billing/own_account_costs",
    "billing/price_variance",
    "billing/rates",
    "billing/reconciliation",
    "billing/tenant_days",
    "billing/tenant_months",
    "credits/balances",
    "credits/grants",
    "credits/personal_spend",
    "landing/openai_admin_keys",
    "landing/openai_completions",
    "landing/openai_completions_minutes",
    "landing/openai_costs",
    "landing/openai_costs_total",
    "landing/openai_credit_grants",
    "landing/openai_other_usage",
    "landing/openai_project_keys",
    "landing/openai_projects",
    "landing/openai_service_accounts",
    "landing/openai_spend_limits",
    "landing/openrouter_activity",
    "landing/openrouter_activity_by_key",
    "landing/openrouter_analytics",
    "landing/openrouter_analytics_total",
    "landing/openrouter_credits",
    "landing/openrouter_key_readings",
    "landing/openrouter_keys",
    "ops/account_names",
    "ops/accounts",
    "ops/admin_keys",
    "ops/operations",
    "ops/settle_times",
    "ops/source_days",
    "ops/spend_limits",
    "ops/told_names",
    "policy/prices",
    "published/intraday",
    "published/tokenboard",
    "raw/openai_admin_keys",
    "raw/openai_completions",
    "raw/openai_completions_minutes",
    "raw/openai_costs",
    "raw/openai_costs_total",
    "raw/openai_credit_grants",
    "raw/openai_other_usage",
    "raw/openai_project_keys",
    "raw/openai_projects",
    "raw/openai_service_accounts",
    "raw/openai_spend_limits",
    "raw/openrouter_activity",
    "raw/openrouter_activity_by_key",
    "raw/openrouter_analytics",
    "raw/openrouter_analytics_total",
    "raw/openrouter_credits",
    "raw/openrouter_key_readings",
    "raw/openrouter_keys",
    "registry/accounts",
    "registry/audit",
    "registry/connections",
    "registry/keys",
    "registry/provisioning",
    "registry/registrations",
    "registry/tenant_names",
    "registry/tenants",
    "reports/index",
    "reports/invoices",
    "reports/overview",
    "reports/reconciliation",
    "reports/register",
    "reports/statements",
    "staging/bound_costs",
    "staging/costs",
    "staging/estimated_costs",
    "staging/fallback_costs",
    "staging/first_documents",
    "staging/line_names",
    "staging/openai_costs",
    "staging/openrouter_costs",
    "staging/price_cards",
    "staging/price_names",
    "staging/priced_completions",
    "staging/provider_totals",
    "staging/request_sizes",
    "staging/reversals",
    "staging/tenant_costs",
    "staging/tenant_margins",
    "staging/token_prices",
    "usage/completions",
    "usage/intraday",
    "usage/openrouter_activity",
    "usage/openrouter_activity_by_key",
    "usage/openrouter_keys",
    "usage/other",
]


def test_the_graph_holds_these_assets() -> None:
    keys = {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()}
    assert keys == set(KEYS)


def test_every_asset_has_group_owner_kind_description_and_tables_their_columns() -> None:
    graph = defs.resolve_asset_graph()
    for node in graph.asset_nodes:
        name = node.key.to_user_string()
        assert node.group_name == node.key.path[0], name
        assert node.owners, name
        assert node.kinds, name
        assert node.description, name
        if node.key.path[0] in ("raw", "staging", "usage", "billing", "ops", "credits", "registry"):
            columns = node.metadata["dagster/column_schema"].columns
            assert columns, name
            assert name.startswith("raw/") or all(column.description for column in columns), name


def test_lineage_is_read_from_the_sql() -> None:
    graph = defs.resolve_asset_graph()

    def parents(schema: str, table: str) -> set[str]:
        return {key.to_user_string() for key in graph.get(dg.AssetKey([schema, table])).parent_keys}

    assert parents("billing", "charges") == {"staging/tenant_costs", "billing/rates"}
    assert parents("staging", "tenant_costs") == {
        "staging/bound_costs",
        "staging/fallback_costs",
        "billing/categories",
    }
    accounts = {"registry/accounts", "registry/connections"}
    assert parents("staging", "bound_costs") == {"staging/costs", "staging/estimated_costs", *accounts}


def test_every_model_is_documented_and_keyed() -> None:
    for model in models_in_order():
        assert all((model.title, model.tags["grain"], model.tags["owner"], model.key)), model.name


def test_every_check_is_in_dagster_and_the_identities_block() -> None:
    keys = {key.name for key in defs.resolve_asset_graph().asset_check_keys}
    assert keys == {LANDED_WHOLE, "issued_documents_unchanged"} | {check.name for check in all_checks()}
    blocking = {check.name for check in all_checks() if check.blocking}
    assert {"difference_is_zero", "control_total_agrees", "every_charge_is_rated", "charges_key_is_unique"} <= blocking


def test_the_running_day_has_a_job_of_its_own_and_no_check_of_it_stops_a_night() -> None:
    graph = defs.resolve_asset_graph()
    live = {key for key in graph.get_all_asset_keys() if "intraday" in key.path}
    live |= {
        key
        for key in graph.get_all_asset_keys()
        if key.path[-1] in ("openai_completions_minutes", "openrouter_key_readings")
    }
    assert set(defs.resolve_job_def("intraday").asset_layer.selected_asset_keys) == live
    assert not live & set(defs.resolve_job_def("nightly").asset_layer.selected_asset_keys)
    assert [check.name for check in all_checks() if check.table == "usage.intraday" and check.blocking] == []


def test_the_schedule_at_two_asks_for_yesterday_and_four_days_before() -> None:
    context = dg.build_schedule_context(scheduled_execution_time=datetime(2026, 11, 20, 2, 0, tzinfo=UTC))
    (request,) = nightly_02_utc.evaluate_tick(context).run_requests
    assert nightly_02_utc.cron_schedule == "0 2 * * *"
    assert nightly_02_utc.execution_timezone == "UTC"
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == ("2026-11-15", "2026-11-19")


def test_the_weekly_schedule_asks_for_the_last_35_days() -> None:
    context = dg.build_schedule_context(scheduled_execution_time=datetime(2026, 11, 22, 4, 0, tzinfo=UTC))
    (request,) = weekly_reread.evaluate_tick(context).run_requests
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == ("2026-10-18", "2026-11-21")


def test_the_workspace_file_loads_the_definitions_without_any_configuration(tmp_path: Path) -> None:
    result = subprocess.run(
        [Path(sys.executable).parent / "dagster", "definitions", "validate", "-w", "workspace.yaml"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_what_a_schedule_makes_is_watched_for_being_missed() -> None:
    policies = {node.key.to_user_string(): node.freshness_policy for node in defs.resolve_asset_graph().asset_nodes}
    by_six = {name for name, policy in policies.items() if isinstance(policy, CronFreshnessPolicy)}
    within_the_hour = {name for name, policy in policies.items() if isinstance(policy, TimeWindowFreshnessPolicy)}
    nightly = {key.to_user_string() for key in defs.resolve_job_def("nightly").asset_layer.executable_asset_keys}
    intraday = {key.to_user_string() for key in defs.resolve_job_def("intraday").asset_layer.executable_asset_keys}
    assert by_six == nightly
    assert within_the_hour == intraday
    assert {name for name in policies if policies[name] is None} == {
        *(table.replace(".", "/") for table in (*RECORDS, *ISSUED)),
        "reports/invoices",
    }
