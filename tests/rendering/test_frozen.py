"""What was issued looks the same for ever: a template version is frozen with a golden document of its own."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from rendering.samples import SAMPLES
from tokenboard_etl.rendering.environment import template_checksum
from tokenboard_etl.rendering.invoices import TEMPLATES, render_invoice

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"
SUMS = GOLDEN / "SHA256SUMS"
SAMPLE = {"invoice/v1.html": "full", "invoice/v2.html": "appendix", "credit_note/v1.html": "credit-note"}
VERSIONS = [
    f"{kind}/{path.name}"
    for kind in ("invoice", "credit_note")
    for path in (ROOT / "reports/templates" / kind).glob("*.html")
]


def golden(template: str) -> Path:
    return GOLDEN / template.replace("/", "_")


def sums(text: str) -> dict[str, str]:
    """Checksums by what they are of."""
    return {name: checksum for checksum, name in (line.split() for line in text.splitlines())}


def git(*arguments: str) -> str:
    """What git says; nothing where there is no repository, or no such file in it."""
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("template", VERSIONS)
def test_every_version_still_makes_its_golden_document(template: str) -> None:
    """To change a look, add a version beside the others, with its golden document and its line in SHA256SUMS."""
    assert render_invoice(SAMPLES[SAMPLE[template]], template).html == golden(template).read_bytes()


def test_no_version_and_no_golden_document_has_changed() -> None:
    now = {template: template_checksum(template) for template in VERSIONS}
    now |= {golden(each).name: hashlib.sha256(golden(each).read_bytes()).hexdigest() for each in VERSIONS}
    assert now == sums(SUMS.read_text())


def test_what_a_release_froze_is_still_frozen() -> None:
    """A line of SHA256SUMS may change until a version tag has it."""
    frozen = sums(SUMS.read_text())
    for tag in git("tag", "--list", "v*").split():
        for name, checksum in sums(git("show", f"{tag}:{SUMS.relative_to(ROOT)}")).items():
            assert frozen.get(name) == checksum, f"{name} was released with {tag}: add a new version instead"


def test_new_documents_have_a_version_of_their_kind() -> None:
    assert {kind: template.partition("/")[0] for kind, template in TEMPLATES.items()} == {
        "invoice": "invoice",
        "credit_note": "credit_note",
    }
    assert set(TEMPLATES.values()) <= set(VERSIONS)
