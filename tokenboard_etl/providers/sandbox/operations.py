"""A small operations file for the demo: what an application would have logged for two tenants of the world."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import date

from tokenboard_etl.providers.sandbox.draws import between
from tokenboard_etl.providers.sandbox.tenants import Tenant

_HEADER = (
    *("operation_id", "type", "occurred_at", "tenant_id", "job_id", "job_title", "candidate"),
    *("tokens", "quantity", "unit", "success"),
)
_KINDS = (
    ("cv-parsing", "cvs", 5_200, 7_400, 1),
    ("question-generation", "questions", 400, 900, 5),
    ("video-interview", "minutes", 1_200, 4_800, 20),
)
_JOBS = (("job-1", "Data engineer"), ("job-2", "Nurse <b>night</b> shift"))


def operations_csv(seed: int, tenants: Iterable[Tenant], days: Iterable[date]) -> str:
    """One operation of each kind per tenant and day."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_HEADER)
    dates = tuple(days)
    for tenant in tenants:
        for day in dates:
            for hour, (kind, unit, fewest, most, quantity) in enumerate(_KINDS, start=9):
                operation_id = f"{tenant.tenant_id}-{day}-{kind}"
                job_id, title = _JOBS[between(0, 1, seed, operation_id, "job")]
                tokens = between(fewest, most, seed, operation_id, "tokens")
                when = f"{day}T{hour:02d}:00:00Z"
                facts = (operation_id, kind, when, tenant.tenant_id, job_id, title, "A. Candidate")
                writer.writerow((*facts, tokens, quantity, unit, "true"))
    return out.getvalue()
