"""A month against the providers as a page."""

from __future__ import annotations

from tokenboard_etl.reading.reconciliation_figures import Reconciliation
from tokenboard_etl.rendering.pages import render_page

TEMPLATE = "reconciliation/v1.html"


def render_reconciliation(figures: Reconciliation) -> bytes:
    """The page; the same figures give the same bytes."""
    return render_page(TEMPLATE, figures=figures, all_restated=sum(each.values for each in figures.restated))
