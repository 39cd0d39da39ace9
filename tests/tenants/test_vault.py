"""Stored secrets: what comes back, to whom, under which keys, and what is on disk meanwhile."""

from __future__ import annotations

import base64
import hmac
import json
import os
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from tokenboard_etl.errors import (
    ConfigurationError,
    EncryptionKeyMissing,
    EncryptionKeyWrong,
    SchemaTooNew,
    SecretAltered,
    TokenboardError,
    VaultDamaged,
    VaultError,
)
from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.tenants.key_ring import KeyRing, fingerprint
from tokenboard_etl.tenants.vault import change_vault, read_vault

NOW = datetime(2026, 6, 15, 2, tzinfo=UTC)
OLD, NEW, OTHER = (bytes([n]) * 32 for n in (1, 2, 3))
RING = KeyRing([OLD])
SECRET = SecretStr("sk-admin-PLANTED0123456789")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "vault.duckdb"


def store(path: Path, *ids: str, ring: KeyRing = RING, owner: str | None = "acme") -> None:
    with change_vault(path, ring) as vault:
        for secret_id in ids:
            vault.store(secret_id, owner, "key", SecretStr(f"value of {secret_id}"), NOW)


def value(path: Path, secret_id: str, ring: KeyRing = RING, owner: str | None = "acme", purpose: str = "key") -> str:
    with read_vault(path, ring) as vault:
        return vault.read(secret_id, owner, purpose).get_secret_value()


def forge(path: Path, statement: str) -> None:
    """What somebody with access to the file, but without the key, could do."""
    with duckdb.connect(path) as database:
        database.execute(statement)


def refused(path: Path, kind: type[TokenboardError], secret_id: str = "a", ring: KeyRing = RING) -> str:
    """Reading is refused, and so is storing; the file keeps its bytes."""
    before = path.read_bytes()
    with pytest.raises(kind) as caught:
        value(path, secret_id, ring)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir() if each.name.startswith(".")] == []
    return str(caught.value)


# --- the file


def test_a_secret_comes_back_and_stands_nowhere_in_the_clear(path: Path) -> None:
    with change_vault(path, RING) as vault:
        vault.store("a", None, "key", SECRET, NOW)
    with read_vault(path, RING) as vault:
        assert vault.read("a", None, "key") == SECRET
        (known,) = vault.secrets()
    assert (known.secret_id, known.owner, known.purpose, known.stored_at) == ("a", None, "key", NOW)
    assert known.key_fingerprint == fingerprint(OLD)
    for file in path.parent.iterdir():
        assert SECRET.get_secret_value().encode() not in file.read_bytes()


def test_the_row_is_aes_256_gcm_with_a_nonce_of_its_own(path: Path) -> None:
    """Opened here with the bare primitive, as somebody with only the key and the format would."""
    store(path, "a", "b")
    with duckdb.connect(path, read_only=True) as database:
        rows = database.execute("SELECT secret_id, nonce, ciphertext FROM secrets ORDER BY secret_id").fetchall()
    for secret_id, nonce, ciphertext in rows:
        associated = json.dumps(["tokenboard vault", 1, "key", "acme", secret_id]).encode()
        assert len(nonce) == 12
        assert AESGCM(OLD).decrypt(nonce, ciphertext, associated).decode() == f"value of {secret_id}"
    assert len({nonce for _, nonce, _ in rows}) == 2


WATCHED = """
import os, pathlib, sys
path = pathlib.Path({path!r})
def at_the_rename(event, args):
    if event == "os.rename" and args[1] == str(path):
        fresh = pathlib.Path(args[0])
        modes = [each.stat().st_mode & 0o777 for each in (fresh.parent, fresh)]
        others = [each.name for each in fresh.parent.iterdir() if each != fresh]
        print(modes, others, flush=True)
        {then}
sys.addaudithook(at_the_rename)
os.umask(0)
with change_vault(path, KeyRing([{key!r}])) as vault:
    vault.store({secret_id!r}, "acme", "key", SecretStr("value"), datetime.now(UTC))
"""


def test_it_is_for_its_owner_alone_from_its_first_moment_whatever_the_umask(path: Path) -> None:
    for secret_id in ("a", "b"):
        writing = run(WATCHED.format(path=str(path), key=OLD, secret_id=secret_id, then="pass"))
        said, _ = writing.communicate(timeout=60)
        assert said.decode().strip() == f"{[0o700, 0o600]} []"
        assert path.stat().st_mode & 0o777 == 0o600
        assert sorted(each.name for each in path.parent.iterdir()) == ["vault.duckdb", "vault.lock"]


def test_a_process_killed_before_the_rename_leaves_the_vault_as_it_was(path: Path) -> None:
    store(path, "a")
    before = path.read_bytes()
    dying = run(WATCHED.format(path=str(path), key=OLD, secret_id="b", then="os._exit(9)"))
    dying.communicate(timeout=60)
    assert dying.returncode == 9
    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 3
    store(path, "c")
    assert sorted(each.name for each in path.parent.iterdir()) == ["vault.duckdb", "vault.lock"]
    with read_vault(path, RING) as vault:
        assert [known.secret_id for known in vault.secrets()] == ["a", "c"]


def test_two_processes_that_store_at_once_lose_nothing(path: Path) -> None:
    path.parent.mkdir()
    storing = """
import pathlib
for n in range(10):
    with change_vault(pathlib.Path({path!r}), KeyRing([{key!r}])) as vault:
        vault.store("{who}-%d" % n, None, "key", SecretStr("value {who}-%d" % n), datetime.now(UTC))
"""
    both = [run(storing.format(path=str(path), key=OLD, who=who)) for who in ("one", "two")]
    for each in both:
        each.communicate(timeout=60)
    assert [each.returncode for each in both] == [0, 0]
    ids = {f"{who}-{n}" for who in ("one", "two") for n in range(10)}
    with read_vault(path, RING) as vault:
        assert {known.secret_id for known in vault.secrets()} == ids
    assert all(value(path, each, owner=None) == f"value {each}" for each in ids)


IMPORTS = """
from datetime import UTC, datetime
from pydantic import SecretStr
from tokenboard_etl.tenants.key_ring import KeyRing
from tokenboard_etl.tenants.vault import change_vault
"""


def run(program: str) -> subprocess.Popen[bytes]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", IMPORTS + program], env=env, stdout=subprocess.PIPE)


# --- what is refused


def test_storing_without_a_key_is_refused_and_no_file_is_made(path: Path) -> None:
    with pytest.raises(EncryptionKeyMissing, match="TOKENBOARD_ENCRYPTION_KEY is not set") as caught:
        store(path, "a", ring=KeyRing([]))
    assert caught.value.exit_status == 2
    assert not path.exists()


def test_another_key_is_named_by_its_fingerprint(path: Path) -> None:
    store(path, "a")
    said = refused(path, EncryptionKeyWrong, ring=KeyRing([OTHER]))
    assert fingerprint(OLD) in said
    assert fingerprint(OTHER) in said
    assert EncryptionKeyWrong.exit_status == 2


def test_nothing_is_stored_beside_secrets_that_cannot_be_read(path: Path) -> None:
    store(path, "a")
    before = path.read_bytes()
    with pytest.raises(EncryptionKeyWrong):
        store(path, "b", ring=KeyRing([OTHER]))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE secrets SET secret_id = CASE secret_id WHEN 'a' THEN 'b' ELSE 'a' END",
        "UPDATE secrets SET ciphertext = (SELECT ciphertext FROM secrets WHERE secret_id = 'b')",
        "UPDATE secrets SET nonce = (SELECT nonce FROM secrets WHERE secret_id = 'b')",
        "UPDATE secrets SET nonce = ''::BLOB",
        "UPDATE secrets SET ciphertext = ''::BLOB",
        "INSERT INTO secrets FROM secrets",
    ],
    ids=["ids swapped", "ciphertext of another", "nonce of another", "no nonce", "no ciphertext", "twice"],
)
def test_a_row_that_was_changed_is_not_trusted(path: Path, forgery: str) -> None:
    store(path, "a", "b")
    forge(path, forgery)
    assert "backup" in refused(path, SecretAltered)


@pytest.mark.parametrize(
    ("owner", "purpose"), [("globex", "key"), (None, "key"), ("acme", "other"), ("", "key"), ('acme", "', "key")]
)
def test_a_secret_opens_for_its_owner_and_purpose_only(path: Path, owner: str | None, purpose: str) -> None:
    store(path, "a")
    forge(path, "UPDATE secrets SET owner = 'globex'")
    with pytest.raises(SecretAltered):
        value(path, "a", owner=owner, purpose=purpose)
    assert value(path, "a") == "value of a"


def test_a_row_moved_to_another_owner_stops_a_rotation_and_changes_nothing(path: Path) -> None:
    store(path, "a", "b")
    forge(path, "UPDATE secrets SET owner = 'globex' WHERE secret_id = 'b'")
    before = path.read_bytes()
    with pytest.raises(SecretAltered, match="b cannot be trusted"), change_vault(path, KeyRing([NEW, OLD])) as vault:
        vault.rotate()
    assert path.read_bytes() == before


@pytest.mark.parametrize("left", [0, 1, 4096, 12_288, 200_000, -1])
def test_a_file_cut_short_is_named_and_left_alone(path: Path, left: int) -> None:
    store(path, "a")
    path.write_bytes(path.read_bytes()[:left])
    cut = path.read_bytes()
    assert str(path) in refused(path, VaultDamaged)
    with pytest.raises(VaultDamaged):
        store(path, "b")
    assert path.read_bytes() == cut


@pytest.mark.parametrize("share", [n / 16 for n in range(16)])
def test_a_changed_byte_anywhere_is_damage_or_without_effect(path: Path, share: float) -> None:
    store(path, "a")
    content = bytearray(path.read_bytes())
    content[int(len(content) * share)] ^= 0xFF
    path.write_bytes(content)
    with suppress(VaultDamaged):
        assert value(path, "a") == "value of a"
    assert path.read_bytes() == content


def test_a_vault_of_a_newer_version_is_refused(path: Path) -> None:
    store(path, "a")
    forge(path, "INSERT INTO main.migrations VALUES ('9999_from_the_future', now())")
    refused(path, SchemaTooNew)


def test_an_id_is_given_once_and_an_unknown_one_is_said_to_be(path: Path) -> None:
    store(path, "a")
    with pytest.raises(VaultError, match="holds the secret a already"):
        store(path, "a")
    with pytest.raises(VaultError, match="holds no secret b"):
        value(path, "b")
    assert value(path, "a") == "value of a"


def test_nothing_of_a_block_that_fails_is_kept(path: Path) -> None:
    store(path, "a")
    before = path.read_bytes()
    with pytest.raises(VaultError, match="the secret a already"):
        store(path, "b", "a")
    assert path.read_bytes() == before


# --- rotation and deletion


def test_after_rotation_the_old_key_is_not_needed_and_opens_no_byte_of_the_file(path: Path) -> None:
    store(path, "a", "b")
    with duckdb.connect(path, read_only=True) as database:
        old_texts = [text for (text,) in database.execute("SELECT ciphertext FROM secrets").fetchall()]
    with change_vault(path, KeyRing([NEW, OLD])) as vault:
        vault.store("c", "acme", "key", SecretStr("value of c"), NOW)
        assert vault.rotate() == 3
    assert [value(path, each, KeyRing([NEW])) for each in "abc"] == [f"value of {each}" for each in "abc"]
    assert not any(text in path.read_bytes() for text in old_texts)
    refused(path, EncryptionKeyWrong)


def test_the_first_key_encrypts_and_all_decrypt(path: Path) -> None:
    store(path, "a", ring=KeyRing([OLD, NEW]))
    store(path, "b", ring=KeyRing([NEW, OLD]))
    with read_vault(path, RING) as vault:
        assert [known.key_fingerprint for known in vault.secrets()] == [fingerprint(OLD), fingerprint(NEW)]
    for ring in (KeyRing([OLD, NEW]), KeyRing([NEW, OLD])):
        assert (value(path, "a", ring), value(path, "b", ring)) == ("value of a", "value of b")


def test_a_deleted_secret_leaves_no_byte_behind(path: Path) -> None:
    store(path, "a", "b")
    with duckdb.connect(path, read_only=True) as database:
        ((text,),) = database.execute("SELECT ciphertext FROM secrets WHERE secret_id = 'a'").fetchall()
    assert text in path.read_bytes()
    with change_vault(path, RING) as vault:
        assert (vault.delete("a"), vault.delete("a")) == (True, False)
    assert text not in path.read_bytes()
    assert value(path, "b") == "value of b"


def test_files_that_others_leave_beside_it_are_left_alone(path: Path) -> None:
    """An editor's, or those of a copy that was stopped; after a key was made it must be storable."""
    store(path, "a")
    beside = [path.with_name(f".{path.name}.{end}") for end in ("swp", "Ab12Cd")]
    for each in beside:
        each.write_text("not ours")
    path.with_name(f".{path.name}.link").symlink_to(path.parent, target_is_directory=True)
    path.with_name(f".{path.name}.ours").mkdir()
    store(path, "b")
    assert (value(path, "a"), value(path, "b")) == ("value of a", "value of b")
    assert [each.read_text() for each in beside] == ["not ours"] * 2
    assert not path.with_name(f".{path.name}.ours").exists()


# --- any text


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


@given(value=TEXTS, associated=st.binary(max_size=50), other=st.binary(max_size=50))
def test_whatever_was_sealed_is_opened_with_what_it_was_sealed_with(
    value: str, associated: bytes, other: bytes
) -> None:
    sealed = RING.seal(value.encode(), associated)
    assert RING.open(sealed, associated).decode() == value
    assert len(sealed.ciphertext) == len(value.encode()) + 16
    if other != associated:
        with pytest.raises(SecretAltered):
            RING.open(sealed, other)


# --- the setting


def in_base64(*keys: bytes) -> str:
    return ", ".join(base64.b64encode(key).decode() for key in keys)


def test_the_setting_holds_keys_in_order_and_does_not_show_them() -> None:
    settings = load_settings(TOKENBOARD_ENCRYPTION_KEY=in_base64(OLD, NEW))
    assert settings.encryption_keys == (OLD, NEW)
    assert in_base64(OLD) not in repr(settings) + str(settings.model_dump())
    assert Settings().encryption_keys == ()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (in_base64(OLD[:31]), "32 bytes in base64"),
        (in_base64(OLD + b"x"), "32 bytes in base64"),
        (in_base64(OLD) + ",", "32 bytes in base64"),
        ("correct horse battery staple", "32 bytes in base64"),
        (in_base64(OLD)[:-1], "32 bytes in base64"),
        (in_base64(OLD).replace("A", "é"), "32 bytes in base64"),
        (in_base64(OLD, NEW, OLD), "twice"),
    ],
)
def test_a_setting_that_is_no_key_is_refused_without_being_shown(given: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        load_settings(TOKENBOARD_ENCRYPTION_KEY=given)
    assert "TOKENBOARD_ENCRYPTION_KEY" in str(caught.value)
    assert given[:8] not in str(caught.value)


def test_fingerprints_are_eight_hex_digits_of_a_derived_value() -> None:
    """HKDF written out with HMAC, as RFC 5869 has it."""
    extracted = hmac.digest(bytes(32), OLD, "sha256")
    expanded = hmac.digest(extracted, b"tokenboard vault: key fingerprint\x01", "sha256")
    assert fingerprint(OLD) == expanded[:4].hex()
