"""Which accounts are read: those of the environment, and those that were connected."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from tokenboard_etl.connections import Mode, accounts, connections
from tokenboard_etl.errors import (
    ConfigurationError,
    EncryptionKeyMissing,
    EncryptionKeyWrong,
    KeyRefused,
    SecretAltered,
)
from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.tenants.key_ring import KeyRing
from tokenboard_etl.tenants.stored_connections import RESERVED_IDS, _free_id, add_connection
from tokenboard_etl.tenants.vault import change_vault

NOW = datetime(2026, 6, 15, 2, tzinfo=UTC)
KEY, OTHER = bytes([1]) * 32, bytes([2]) * 32


def configured(tmp_path: Path, *keys: bytes, **more: str) -> Settings:
    ring = ",".join(base64.b64encode(key).decode() for key in keys)
    given = {"TOKENBOARD_ENCRYPTION_KEY": ring, "TOKENBOARD_HOME": str(tmp_path), "OPENAI_ADMIN_KEY": "sk-admin-first"}
    return load_settings(**{name: value for name, value in {**given, **more}.items() if value})


def connect(settings: Settings, *accounts: tuple[str, Mode, str | None, str]) -> None:
    for minutes, (provider, mode, tenant_id, key) in enumerate(accounts):
        with change_vault(settings.vault_path, KeyRing([KEY])) as vault:
            add_connection(vault, provider, mode, tenant_id, SecretStr(key), NOW + timedelta(minutes=minutes))


def forge(settings: Settings, statement: str) -> None:
    with duckdb.connect(settings.vault_path) as database:
        database.execute(statement)


def test_the_environments_come_first_then_those_that_were_connected(tmp_path: Path) -> None:
    settings = configured(tmp_path, KEY, OPENROUTER_MANAGEMENT_KEY="sk-or-v1-first", OPENAI_PERSONAL_KEY="sess-first")
    connect(
        settings,
        ("openai", "organization", None, "sk-admin-second"),
        ("openai", "organization", "acme", "sk-admin-third"),
        ("openrouter", "organization", None, "sk-or-v1-second"),
        ("openai", "personal", None, "sess-second"),
        ("openai", "personal", "acme", "sess-third"),
        ("openai", "organization", "acme", "sk-admin-fourth"),
    )
    found = [(c.connection_id, c.provider, c.tenant_id, c.key.get_secret_value()) for c in connections(settings)]
    assert found == [
        ("openai", "openai", None, "sk-admin-first"),
        ("openrouter", "openrouter", None, "sk-or-v1-first"),
        ("openai-2", "openai", None, "sk-admin-second"),
        ("openai-acme", "openai", "acme", "sk-admin-third"),
        ("openrouter-2", "openrouter", None, "sk-or-v1-second"),
        ("openai-acme-2", "openai", "acme", "sk-admin-fourth"),
    ]
    personal = [
        (c.connection_id, c.tenant_id, c.key.get_secret_value()) for c in connections(settings, None, "personal")
    ]
    assert personal == [
        ("openai-personal", None, "sess-first"),
        ("openai-personal-2", None, "sess-second"),
        ("openai-acme-personal", "acme", "sess-third"),
    ]
    assert {c.base_url for c in connections(settings, "openrouter")} == {settings.openrouter_base_url}
    assert len({c.fingerprint for c in connections(settings)}) == 6
    assert "sk-admin-second" not in repr(connections(settings))


def test_without_a_vault_no_encryption_key_is_asked_for_and_nothing_is_made(tmp_path: Path) -> None:
    settings = configured(tmp_path)
    assert [c.connection_id for c in connections(settings)] == ["openai"]
    assert connections(settings, "openai", "personal") == []
    assert list(tmp_path.iterdir()) == []


def test_a_vault_without_connections_needs_no_key_either(tmp_path: Path) -> None:
    with change_vault(configured(tmp_path).vault_path, KeyRing([KEY])) as vault:
        vault.store("a tenant's key", "acme", "provisioned", SecretStr("sk-svcacct-x"), NOW)
    assert [c.connection_id for c in connections(configured(tmp_path))] == ["openai"]


@pytest.mark.parametrize(("keys", "kind"), [([], EncryptionKeyMissing), ([OTHER], EncryptionKeyWrong)])
def test_connections_that_cannot_be_decrypted_are_wrong_configuration(
    tmp_path: Path, keys: list[bytes], kind: type[ConfigurationError]
) -> None:
    settings = configured(tmp_path, *keys)
    connect(settings, ("openai", "organization", None, "sk-admin-second"))
    with pytest.raises(kind, match="TOKENBOARD_ENCRYPTION_KEY") as caught:
        connections(settings)
    assert caught.value.exit_status == 2


@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE connections SET provider = 'openrouter'",
        "UPDATE connections SET provider = 'elsewhere'",
        "UPDATE connections SET mode = 'personal'",
        "UPDATE connections SET tenant_id = 'acme'",
        "UPDATE connections SET connection_id = 'openai-3'; UPDATE secrets SET secret_id = 'connection/openai-3'",
    ],
)
def test_a_record_that_was_changed_does_not_open_its_key(tmp_path: Path, forgery: str) -> None:
    settings = configured(tmp_path, KEY)
    connect(settings, ("openai", "organization", None, "sk-admin-second"))
    forge(settings, forgery)
    with pytest.raises(SecretAltered):
        [connections(settings, None, mode) for mode in ("organization", "personal")]


def test_one_key_under_two_names_is_refused_before_anything_is_counted_twice(tmp_path: Path) -> None:
    settings = configured(tmp_path, KEY)
    connect(settings, ("openai", "organization", None, "sk-admin-first"))
    with pytest.raises(ConfigurationError, match="openai and openai-2 are read with the same key") as caught:
        connections(settings)
    assert "sk-admin-first" not in str(caught.value)


IDS = st.sampled_from(["2", "3", "personal", "2-personal", "personal-2", "acme", "acme-2", "acme-personal"])
ACCOUNTS = st.tuples(st.sampled_from(["openai", "openrouter"]), st.sampled_from(["organization", "personal"]))


@given(st.lists(st.tuples(ACCOUNTS, st.none() | IDS), max_size=20))
def test_ids_are_never_given_twice_whatever_tenants_are_called(
    wanted: list[tuple[tuple[str, str], str | None]],
) -> None:
    given = list[str]()
    for (provider, mode), tenant_id in wanted:
        given.append(_free_id(RESERVED_IDS | set(given), provider, mode, tenant_id))
        assert given[-1].startswith(f"{provider}-{tenant_id or ''}")
    assert len(set(given)) == len(given)
    assert not set(given) & RESERVED_IDS


def test_the_fingerprint_in_landings_is_what_it_was_and_changes_with_the_key(tmp_path: Path) -> None:
    (first,) = connections(configured(tmp_path))
    assert first.fingerprint == replace(first, connection_id="x", mode="personal", tenant_id="acme").fingerprint
    assert first.fingerprint != replace(first, key=SecretStr("sk-admin-other")).fingerprint


def test_a_refused_key_is_to_be_replaced_where_it_stands(tmp_path: Path) -> None:
    settings = configured(tmp_path, KEY, OPENAI_PERSONAL_KEY="sess-first")
    connect(
        settings,
        ("openai", "organization", None, "sk-admin-second"),
        ("openrouter", "organization", "acme", "sk-or-v1-second"),
        ("openai", "personal", "acme", "sess-third"),
    )
    refusal = KeyRefused("openai", "GET /organization/costs", "HTTP 401", "Set OPENAI_ADMIN_KEY.")
    said = {each.connection_id: each.advise(refusal) for each in accounts(settings)}
    assert said["openai"] is said["openai-personal"] is refusal
    assert [
        str(said[name]).rpartition(": ")[2] for name in ("openai-2", "openrouter-acme", "openai-acme-personal")
    ] == [
        "HTTP 401. It is the key of openai-2. Give a new one of the same account to "
        "`tokenboard connect --provider openai`.",
        "HTTP 401. It is the key of openrouter-acme. Give a new one of the same account to "
        "`tokenboard connect --provider openrouter --tenant acme`.",
        "HTTP 401. It is the key of openai-acme-personal. Give a new one of the same account to "
        "`tokenboard connect --provider openai --tenant acme --mode personal`.",
    ]
