"""What arrived, as it arrived: immutable compressed pages, and a manifest written last.

    landing/<connection>/<report>/<load_id>/
        page-00001.json.zst     one body, byte for byte, compressed
        pages.jsonl             a line per page that is whole on disk: request, status, size, SHA-256
        manifest.json           written last and atomically; without it the load does not exist
    landing/<connection>/<report>/failed.json
                                why the newest try ended without a load; gone once one succeeds

A load that was interrupted is continued: a request whose page is on disk is answered from there. A load whose
body could not be understood is set aside as `<load_id>.rejected` for a person to look at.
"""

from tokenboard_etl.landing.failures import FailedTry, clear_failure, failures, write_failure
from tokenboard_etl.landing.stored import (
    RESUMABLE_FOR,
    Landing,
    Page,
    complete_landings,
    landing_of_runs,
    newest_landing,
    read_body,
    read_landing,
)
from tokenboard_etl.landing.writing import REJECTED, OpenLanding, begin, is_at_rest

__all__ = [
    "REJECTED",
    "RESUMABLE_FOR",
    "FailedTry",
    "Landing",
    "OpenLanding",
    "Page",
    "begin",
    "clear_failure",
    "complete_landings",
    "failures",
    "is_at_rest",
    "landing_of_runs",
    "newest_landing",
    "read_body",
    "read_landing",
    "write_failure",
]
