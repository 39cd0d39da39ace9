"""From a provider into complete landings. Needs no warehouse: one writer loads what is complete.

reports.py   what there is to read, and how each report is read
live.py      what is read of the running day
extract.py   one report of one connection over one window into one landing
together.py  many of them side by side, as fast as the providers allow
same_account.py  whether a new key is of the account that was read before
bodies.py    a landed body as JSON with every number exact
asking.py    questions whose answers are not landed
"""

from tokenboard_etl.extraction.bodies import parse, replay
from tokenboard_etl.extraction.extract import Undertaking
from tokenboard_etl.extraction.live import LIVE
from tokenboard_etl.extraction.reports import REPORTS, SNAPSHOTS, Report, reports_of
from tokenboard_etl.extraction.together import Failure, extract, extract_all

__all__ = [
    "LIVE",
    "REPORTS",
    "SNAPSHOTS",
    "Failure",
    "Report",
    "Undertaking",
    "extract",
    "extract_all",
    "parse",
    "replay",
    "reports_of",
]
