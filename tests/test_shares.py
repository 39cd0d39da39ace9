"""Thousands of projects take turns: each in time, none more often than it must."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenboard_etl.extraction.shares import due
from tokenboard_etl.providers.openai_entities import Project
from tokenboard_etl.providers.openai_lists import LAST_SECOND

LONG_AGO = date(2024, 1, 1)


def created(day: date, project_id: str) -> Project:
    return Project(id=project_id, created_at=int(datetime(day.year, day.month, day.day, 13, tzinfo=UTC).timestamp()))


@given(
    st.one_of(st.integers(1, 450), st.sampled_from((1_399, 1_400, 1_401, 5_000))),
    st.integers(0, 10**9),
    st.dates(date(2025, 1, 1), date(2030, 1, 1)),
)
def test_each_project_has_one_turn_in_as_many_nights_as_its_number_takes(number: int, salt: int, first: date) -> None:
    projects = [created(LONG_AGO, f"proj_{salt}_{each}") for each in range(number)]
    nights = 1 if number <= 200 else min(7, number // 200 + (number % 200 > 0))
    turns = Counter(project.id for night in range(nights) for project in due(projects, first + timedelta(days=night)))
    assert turns == Counter(project.id for project in projects)
    if nights < 7:
        assert due(projects, first) == due(projects, first + timedelta(days=nights))


def test_a_share_is_about_as_large_as_the_others() -> None:
    projects = [created(LONG_AGO, f"proj_{each}") for each in range(1_400)]
    sizes = [len(due(projects, date(2026, 6, 15) + timedelta(days=night))) for night in range(7)]
    assert sum(sizes) == 1_400
    assert all(150 < size < 250 for size in sizes)


@pytest.mark.parametrize(("age_days", "read"), [(-1, True), (0, True), (1, True), (2, True), (3, False), (30, False)])
def test_a_new_project_is_read_in_its_first_nights_whatever_its_turn(age_days: int, read: bool) -> None:
    today = date(2026, 6, 15)
    old = [created(LONG_AGO, f"proj_{each}") for each in range(2_000)]
    waiting = next(project.id for project in old if project not in due(old, today))
    new = created(today - timedelta(days=age_days), waiting)
    others = [project for project in old if project.id != waiting]
    assert (new in due([*others, new], today)) is read


def test_no_projects_are_no_work_and_the_last_second_of_the_calendar_harms_nothing() -> None:
    assert due([], LONG_AGO) == []
    assert len(due([Project(id="p", created_at=LAST_SECOND)], LONG_AGO)) == 1
