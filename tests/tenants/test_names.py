"""Names are data: which are taken as they are, which are refused, and the id a tenant gets."""

from __future__ import annotations

import hashlib
import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenboard_etl.errors import RegistryError
from tokenboard_etl.tenants.names import check_tenant_id, clean_name, name_key, tenant_id_for

INERT = [
    "<script>alert(1)</script>",
    "'; DROP TABLE registry.tenants; --",
    'Robert"); DELETE FROM tenants;--',
    "../../etc/passwd",
    "C:\\Windows\\System32",
    "a/b\\c",
    "=HYPERLINK(1)",
    "@SUM(A1)",
    "+1",
    "-1",
    "{{ 7 * 7 }}",
    "%s %(x)s ${HOME}",
    "O'Brien & S\u00f6hne",
    "\u6771\u4eac\u682a\u5f0f\u4f1a\u793e",
    "\U0001f680 Rocket",
    "x" * 200,
    "null",
    "unallocated",
]


@pytest.mark.parametrize("name", INERT)
def test_names_with_markup_sql_or_paths_are_taken_as_they_are(name: str) -> None:
    assert clean_name(name) == name
    assert check_tenant_id(tenant_id_for(name, ()))


@pytest.mark.parametrize("name", ["", " ", "\t\n", "\u00a0", "\u2003"])
def test_an_empty_name_is_refused(name: str) -> None:
    with pytest.raises(RegistryError, match="is empty"):
        clean_name(name)


@pytest.mark.parametrize("length", [201, 300, 100_000])
def test_a_name_of_more_than_200_characters_is_refused(length: int) -> None:
    with pytest.raises(RegistryError, match=f"has {length} characters; at most 200"):
        clean_name("x" * length)


@pytest.mark.parametrize(
    "character",
    [
        "\n",
        "\r",
        "\t",
        "\x00",
        "\x07",
        "\x1b",
        "\x7f",
        "\x85",
        "\u200b",
        "\u200e",
        "\u200f",
        "\u202a",
        "\u202e",
        "\u2066",
        "\u2069",
        "\u061c",
        "\ufeff",
        "\u00ad",
        "\u2028",
        "\u2029",
        "\ud800",
        "\U000e0041",
    ],
)
def test_control_and_bidi_characters_are_refused_and_named(character: str) -> None:
    with pytest.raises(RegistryError, match=f"U\\+{ord(character):04X}") as raised:
        clean_name(f"Team{character}Atlas")
    assert character not in str(raised.value)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("unseen", ["\u034f", "\u3164", "\ufe0f", "\U000e0100"])
def test_what_nobody_sees_makes_no_other_name_and_no_name_at_all(unseen: str) -> None:
    assert name_key(f"At{unseen}las") == name_key("atlas")
    with pytest.raises(RegistryError, match="is empty"):
        clean_name(f" {unseen} {unseen}")
    assert clean_name("Love \u2764\ufe0f Inc") == "Love \u2764\ufe0f Inc"


def test_blanks_outside_are_taken_off_and_inside_are_kept() -> None:
    assert clean_name("  Team  Atlas\n") == "Team  Atlas"


@given(st.text(max_size=30))
def test_a_name_has_one_unicode_form(name: str) -> None:
    forms = []
    for form in ("NFC", "NFD"):
        try:
            forms.append(clean_name(unicodedata.normalize(form, name)))
        except RegistryError as error:
            forms.append(type(error).__name__)
    assert forms[0] == forms[1]


@given(st.text(min_size=1, max_size=250), st.sets(st.text(string.ascii_lowercase + "-0123456789", max_size=50)))
def test_an_id_is_short_plain_free_and_stable(name: str, taken: set[str]) -> None:
    tenant_id = tenant_id_for(name, taken)
    assert tenant_id == tenant_id_for(name, taken)
    assert tenant_id not in taken
    assert tenant_id != "unallocated"
    assert 1 <= len(tenant_id) <= 48
    assert set(tenant_id) <= set(string.ascii_lowercase + string.digits + "-")
    assert not tenant_id.startswith("-")
    assert not tenant_id.endswith("-")
    assert "--" not in tenant_id
    assert check_tenant_id(tenant_id) == tenant_id


@pytest.mark.parametrize(
    ("name", "taken", "tenant_id"),
    [
        ("Team Atlas", (), "team-atlas"),
        ("  --Team__Atlas!! ", (), "team-atlas"),
        ("Team Atlas", ("team-atlas",), "team-atlas-2"),
        ("Team Atlas", ("team-atlas", "team-atlas-2", "team-atlas-4"), "team-atlas-3"),
        ("O'Brien & S\u00f6hne", (), "o-brien-s-hne"),
        ("Unallocated", (), "unallocated-2"),
        ("x" * 200, (), "x" * 48),
        ("x" * 200, ("x" * 48,), "x" * 46 + "-2"),
        ("a" * 47 + " b", (), "a" * 47),
        ("a" * 45 + "-bcdef", ("a" * 45 + "-bc",), "a" * 45 + "-2"),
        ("2026", (), "2026"),
    ],
)
def test_an_id_follows_the_name(name: str, taken: tuple[str, ...], tenant_id: str) -> None:
    assert tenant_id_for(name, taken) == tenant_id


@pytest.mark.parametrize("name", ["\u6771\u4eac", "!!!", "\U0001f680", "\u00e4\u00f6\u00fc"])
def test_a_name_without_a_plain_letter_gets_an_id_from_its_checksum(name: str) -> None:
    checksum = hashlib.sha256(name.encode()).hexdigest()[:8]
    assert tenant_id_for(name, ()) == f"tenant-{checksum}"
    assert tenant_id_for(name, (f"tenant-{checksum}",)) == f"tenant-{checksum}-2"


def test_a_hundred_tenants_of_one_name_get_a_hundred_ids() -> None:
    taken: list[str] = []
    for _ in range(100):
        taken.append(tenant_id_for("x" * 60, taken))
    assert len(set(taken)) == 100
    assert max(map(len, taken)) == 48


@pytest.mark.parametrize(
    "tenant_id",
    [
        "",
        "A",
        "Team",
        "a b",
        "a_b",
        "a--b",
        "-a",
        "a-",
        "a/b",
        "../a",
        "a\n",
        "\u00e4",
        "x" * 49,
        "a.b",
        "\uff41",
        "\u0661",
    ],
)
def test_an_id_that_is_none_is_refused(tenant_id: str) -> None:
    with pytest.raises(RegistryError, match="is not a tenant id"):
        check_tenant_id(tenant_id)


def test_the_id_of_nobody_is_reserved() -> None:
    with pytest.raises(RegistryError, match="reserved"):
        check_tenant_id("unallocated")
