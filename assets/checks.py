"""The checks of sql/checks and the models' keys, as asset checks; blocking ones stop publication."""

from collections.abc import Iterator

import dagster as dg

from assets.resources import Surroundings
from assets.tables import asset_key
from tokenboard_etl.documents import altered_documents
from tokenboard_etl.warehouse.checks import Check, all_checks, run_checks


def _spec(check: Check) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(check.name, asset=asset_key(check.table), description=check.title, blocking=check.blocking)


@dg.multi_asset_check(
    name="identities", specs=[_spec(check) for check in all_checks()], can_subset=True, pool="duckdb_writer"
)
def identities(
    context: dg.AssetCheckExecutionContext, surroundings: dg.ResourceParam[Surroundings]
) -> Iterator[dg.AssetCheckResult]:
    """Runs the selected checks over the working file."""
    wanted = {key.name for key in context.selected_asset_check_keys}
    with surroundings.warehouse() as warehouse:
        findings = run_checks(warehouse, [check for check in all_checks() if check.name in wanted])
    for finding in findings:
        yield dg.AssetCheckResult(
            check_name=finding.check.name,
            asset_key=asset_key(finding.check.table),
            passed=finding.passed,
            severity=dg.AssetCheckSeverity.WARN if finding.check.severity == "warning" else dg.AssetCheckSeverity.ERROR,
            description=finding.check.title if finding.passed else str(finding),
            metadata={"violations": finding.violations, "examples": list(finding.examples)},
        )


@dg.asset_check(
    name="issued_documents_unchanged",
    asset=asset_key("billing.invoices"),
    description="Every issued document's rows and file are what they were when it was issued; a missing file is "
    "written again.",
    blocking=True,
    pool="duckdb_writer",
)
def issued_documents_unchanged(surroundings: dg.ResourceParam[Surroundings]) -> dg.AssetCheckResult:
    """Compares rows and files with the checksums of their documents."""
    with surroundings.warehouse() as warehouse:
        altered = altered_documents(warehouse, surroundings.settings().reports_path)
    return dg.AssetCheckResult(
        passed=not altered,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(altered[:3]) or "Every row and file is as it was issued.",
        metadata={"altered": len(altered)},
    )
