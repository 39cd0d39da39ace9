"""Issues and writes a month's invoices in the home of the environment, and says how long that took.

`python -m benchmarks.issuing YYYY-MM`: what `tokenboard close` does between its checks, and nothing else.
"""

from __future__ import annotations

import json
import sys
import time

from tokenboard_etl.billing.issue import close_month
from tokenboard_etl.closing import bring_up_to_date, gating_reports
from tokenboard_etl.documents import write_documents
from tokenboard_etl.periods import Month
from tokenboard_etl.rendering.invoices import render_invoice
from tokenboard_etl.settings import load_settings
from tokenboard_etl.warehouse.connection import open_warehouse


def main() -> None:
    """Prints the invoices and the seconds of both steps as JSON."""
    settings, month = load_settings(), Month.parse(sys.argv[1])
    with open_warehouse(settings.warehouse_path) as connection:
        bring_up_to_date(connection, settings)
        began = time.monotonic()
        issued = close_month(connection, month, settings.now, render_invoice, gating=gating_reports(settings))
        recorded = time.monotonic()
        write_documents(connection, settings.reports_path, month)
        written = time.monotonic()
    print(json.dumps({"invoices": len(issued), "issue_s": recorded - began, "write_s": written - recorded}))  # noqa: T201 - the result


if __name__ == "__main__":
    main()
