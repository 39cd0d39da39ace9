"""PDF on request: an HTML document as it prints, with its text selectable and tagged for screen readers."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from tokenboard_etl.errors import CheckFailed, ConfigurationError
from tokenboard_etl.files import write_atomically


def write_pdf(html_path: Path) -> Path:
    """Puts the PDF of an HTML file beside it, with the same name; the same HTML gives the same bytes.

    Raises ConfigurationError where WeasyPrint (the extra `pdf`) or Pango is not installed, CheckFailed for a file that
    would load something from elsewhere.
    """
    try:
        import weasyprint  # it is optional, and takes half a second
        from weasyprint.urls import FatalURLFetchingError, URLFetcher
    except (ImportError, OSError) as error:  # OSError: it finds no Pango
        raise ConfigurationError(
            "A PDF needs WeasyPrint and Pango: pip install 'tokenboard-etl[pdf]', and "
            "apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0. The HTML prints the same pages."
        ) from error
    logging.getLogger("weasyprint").setLevel(logging.ERROR)  # it warns of each rule that is for screens only
    html = html_path.read_bytes()
    nothing = URLFetcher(allowed_protocols=(), fail_on_errors=True)
    document = weasyprint.HTML(string=html.decode(), url_fetcher=nothing)
    path = html_path.with_suffix(".pdf")
    identifier = hashlib.sha256(html).digest()[:16]
    try:
        pdf = document.write_pdf(pdf_variant="pdf/ua-1", pdf_identifier=identifier)
    except FatalURLFetchingError as error:
        raise CheckFailed(f"{html_path} was altered: {error}, and no document of ours loads anything.") from error
    write_atomically(path, pdf)
    return path
