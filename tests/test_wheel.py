"""The wheel as somebody installs it who has no checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


def run(command: Iterable[str | Path], cwd: Path, **env: str) -> str:
    """Runs a program in an environment that knows nothing of the checkout; it must end with 0."""
    surroundings = {"PATH": os.environ["PATH"], "HOME": str(cwd), **env}
    ended = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git would carry to another machine."""
    listing = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(listing, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout, so what belongs to it is not known")
    copy = tmp_path_factory.mktemp("source")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without a network."""
    folder = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], source)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has the wheel; its dependencies are lent by the environment the tests run in.

    A path that a .pth file adds has its own .pth files ignored, so the editable install is not lent.
    """
    home = tmp_path_factory.mktemp("venv")
    run([sys.executable, "-m", "venv", "--without-pip", home], home)
    interpreter = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", interpreter]
    run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel], home)
    paths = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    site_packages = next(home.glob("lib/python*/site-packages"))
    (site_packages / "lent.pth").write_text("".join(f"{path}\n" for path in paths))
    return interpreter


def test_the_wheel_holds_every_module_query_and_template_and_no_test(wheel: Path, source: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    packages = ("tokenboard_etl", "assets", "reports")
    expected = {
        str(path.relative_to(source)) for top in packages for path in (source / top).rglob("*") if path.is_file()
    }
    assert names == expected
    assert "tokenboard_etl/providers/sandbox/server.py" in names
    assert "reports/templates/invoice/v2.html" in names
    assert any(name.startswith("tokenboard_etl/sql/migrations/") for name in names)
    assert any(name.startswith("tokenboard_etl/sql/checks/") for name in names)
    assert {name.partition("/")[0] for name in names} == set(packages)


def test_the_packages_come_from_the_wheel_and_not_from_a_checkout(python: Path, tmp_path: Path) -> None:
    """What the tests below rely on."""
    said = run(
        [python, "-c", "import assets, reports, tokenboard_etl as t; print(assets.__file__, t.__file__)"], tmp_path
    )
    for file in said.split():
        assert Path(file).is_relative_to(python.parents[1])


def test_the_script_shows_its_help(python: Path, tmp_path: Path) -> None:
    said = run([python.with_name("tokenboard"), "--help"], tmp_path)
    assert all(command in said for command in ("nightly", "close", "tenants", "demo", "sandbox"))


INVOICE = """
import sys
from datetime import UTC, datetime
from decimal import Decimal
from tokenboard_etl.billing.invoice import Buyer, Invoice, Line
from tokenboard_etl.periods import Month
from tokenboard_etl.rendering.invoices import render_invoice

line = Line(
    1, "usage", "OpenAI · <chat> · gpt", "openai", "proj_1", "<chat>", "gpt", "default", Decimal(7), "tokens",
    Decimal("12.345"), 1235, "2026-05",
)
buyer = Buyer("made-up", "Made & Up", "PL", "billing@made-up.example")
invoice = Invoice("INV-2026-00042", buyer, Month(2026, 5), "USD", datetime(2026, 6, 6, tzinfo=UTC), (line,))
sys.stdout.buffer.write(render_invoice(invoice).html)
"""


def test_it_renders_an_invoice(python: Path, tmp_path: Path) -> None:
    html = run([python, "-c", INVOICE], tmp_path, PYTHONUTF8="1")
    assert "INV-2026-00042" in html
    assert "Made &amp; Up" in html
    assert "12,35" in html  # as it is written in Poland


def test_dagster_loads_its_definitions(python: Path, tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    run(
        [python, "-m", "dagster", "definitions", "validate", "-m", "assets.definitions"],
        tmp_path,
        DAGSTER_HOME=str(tmp_path),
        TOKENBOARD_HOME=str(tmp_path / "home"),
    )
