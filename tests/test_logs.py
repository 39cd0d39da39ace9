"""What a log collector and a person read, and what neither ever does."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest

from tokenboard_etl.logs import during_run, log_to, log_to_stderr
from tokenboard_etl.redaction import protect
from tokenboard_etl.settings import load_settings

log = logging.getLogger("tokenboard.test")

KEY = "sk-admin-PLANTED0123456789"
ODD = 'a-proxy\'s-"token"-with-\\-in-it'


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "tokenboard.log").read_text().splitlines()]


def test_a_record_is_one_line_of_json_with_what_it_carries(tmp_path: Path) -> None:
    with log_to(tmp_path), during_run("r-1"):
        log.info(
            "landed %s\nwhole", "grün", extra={"connection": "openai", "report": "costs", "pages": 3, "seconds": 0.5}
        )
    [line] = lines(tmp_path)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line.pop("at"))
    assert line == {
        "level": "info",
        "logger": "tokenboard.test",
        "message": "landed grün\nwhole",
        "run": "r-1",
        "connection": "openai",
        "report": "costs",
        "pages": 3,
        "seconds": 0.5,
    }


def test_the_run_is_named_while_it_lasts(tmp_path: Path) -> None:
    with log_to(tmp_path):
        with during_run("r-1"):
            log.info("in it")
        log.info("after it")
    assert [line.get("run") for line in lines(tmp_path)] == ["r-1", None]


@pytest.mark.parametrize("chosen", ["json", "text", None])
def test_no_key_gets_through_the_door(tmp_path: Path, chosen: Any) -> None:
    """Not in words, not in what a record carries, not in a traceback, not quoted."""
    protect(ODD)
    with log_to(tmp_path, chosen):
        log.warning("says %s and %s", KEY, ODD, extra={"endpoint": f"GET /{KEY}", "request_id": ODD})
        try:
            {}[f"{KEY} and a-proxy"]
        except KeyError:
            log.exception("failed")
    text = (tmp_path / "tokenboard.log").read_text()
    assert "PLANTED" not in text
    assert "-with-" not in text
    assert text.count("[redacted]") >= 3


def test_an_error_has_its_traceback_as_a_field(tmp_path: Path) -> None:
    with log_to(tmp_path):
        try:
            _ = 1 // 0
        except ZeroDivisionError:
            log.exception("failed")
    [line] = lines(tmp_path)
    assert "ZeroDivisionError" in line["traceback"]


def test_a_process_without_a_face_says_json_and_text_if_told(capsys: pytest.CaptureFixture[str]) -> None:
    with log_to_stderr():
        log.info("first")
    with log_to_stderr("text"):
        log.info("second")
    first, second = capsys.readouterr().err.splitlines()
    assert json.loads(first)["message"] == "first"
    assert re.fullmatch(r"\S+ \S+ INFO tokenboard\.test second", second)


def test_the_format_is_a_setting() -> None:
    assert load_settings().log_format is None
    assert load_settings(TOKENBOARD_LOG_FORMAT="text").log_format == "text"
