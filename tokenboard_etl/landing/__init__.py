"""What arrived, as it arrived: immutable compressed pages, and a manifest written last.

    landing/<connection>/<report>/<load_id>/
        page-00001.json.zst     one body, byte for byte, compressed
        pages.jsonl             a line per page that is whole on disk: request, status, size, SHA-256
        manifest.json           written last and atomically; without it the load does not exist

A load that was interrupted is continued: a request whose page is on disk is answered from there. A load whose
body could not be understood is set aside as `<load_id>.rejected` for a person to look at.
"""

from tokenboard_etl.landing.stored import (
    Landing,
    Page,
    complete_landings,
    newest_landing,
    read_body,
    read_landing,
)
from tokenboard_etl.landing.writing import REJECTED, RESUMABLE_FOR, OpenLanding, begin

__all__ = [
    "REJECTED",
    "RESUMABLE_FOR",
    "Landing",
    "OpenLanding",
    "Page",
    "begin",
    "complete_landings",
    "newest_landing",
    "read_body",
    "read_landing",
]
