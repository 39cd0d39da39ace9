"""AES-256-GCM under the keys of TOKENBOARD_ENCRYPTION_KEY: the first encrypts, all decrypt."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tokenboard_etl.errors import EncryptionKeyMissing, EncryptionKeyWrong, SecretAltered

NONCE_BYTES = 12
FINGERPRINT_BYTES = 4


@dataclass(frozen=True)
class Sealed:
    """An encrypted value and what it takes to open it, but for the key."""

    key_fingerprint: str
    nonce: bytes
    ciphertext: bytes


class KeyRing:
    """Keys of 32 bytes each. An empty ring can neither seal nor open."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = {fingerprint(key): AESGCM(key) for key in keys}

    def seal(self, value: bytes, associated: bytes) -> Sealed:
        """Encrypts under the first key. `associated` is not in the result: whoever opens it must name it again."""
        self.require()
        name, key = next(iter(self._keys.items()))
        nonce = os.urandom(NONCE_BYTES)
        return Sealed(name, nonce, key.encrypt(nonce, value, associated))

    def open(self, sealed: Sealed, associated: bytes) -> bytes:
        """Decrypts; raises EncryptionKeyWrong, or SecretAltered if a byte or `associated` is not what it was."""
        self.require(sealed.key_fingerprint)
        try:
            return self._keys[sealed.key_fingerprint].decrypt(sealed.nonce, sealed.ciphertext, associated)
        except (InvalidTag, ValueError):  # ValueError: the nonce has another length
            raise SecretAltered(
                "The row was changed, or moved here from another owner or id. Restore vault.duckdb from a backup."
            ) from None

    def require(self, *fingerprints: str) -> None:
        """Raises EncryptionKeyMissing if there is no key at all, EncryptionKeyWrong if not each of these is here."""
        if not self._keys:
            raise EncryptionKeyMissing(
                "Keys are stored encrypted only, and TOKENBOARD_ENCRYPTION_KEY is not set. Set it to 32 random bytes "
                "in base64 (`head -c 32 /dev/urandom | base64` makes them) and keep a copy: without it stored keys "
                "are lost."
            )
        if unknown := sorted(set(fingerprints) - self._keys.keys()):
            raise EncryptionKeyWrong(
                f"vault.duckdb holds secrets encrypted under the key {', '.join(unknown)}, and "
                f"TOKENBOARD_ENCRYPTION_KEY holds {', '.join(self._keys)} only. "
                "Add the earlier key to it after a comma; nothing was changed."
            )


def fingerprint(key: bytes) -> str:
    """8 hex digits that tell keys apart. Derived for this purpose alone, so they help nobody to guess the key."""
    derived = HKDF(SHA256(), FINGERPRINT_BYTES, salt=None, info=b"tokenboard vault: key fingerprint")
    return derived.derive(key).hex()
