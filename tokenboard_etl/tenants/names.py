"""Names are data, never identity: which are refused, and the id a new tenant gets."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection

from tokenboard_etl.errors import RegistryError, shown

UNALLOCATED = "unallocated"
MAX_NAME_LENGTH = 200
MAX_ID_LENGTH = 48

_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Controls, format characters (bidi marks among them), surrogates, line and paragraph separators."""

_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""What else Unicode lists as Default_Ignorable_Code_Point. Some belong to names, as emoji's variation selectors do."""


def clean_name(name: str, what: str = "tenant name") -> str:
    """The name without outer blanks, in Unicode form NFC; refuses empty, too long and invisible ones.

    HTML, SQL and formulas are accepted: they are inert wherever they are shown.
    """
    cleaned = unicodedata.normalize("NFC", name.strip())
    if not _UNSEEN.sub("", cleaned).strip():
        raise RegistryError(f"The {what} is empty. Give it a name.")
    if len(cleaned) > MAX_NAME_LENGTH:
        raise RegistryError(f"The {what} has {len(cleaned)} characters; at most {MAX_NAME_LENGTH} are allowed.")
    for character in cleaned:
        if unicodedata.category(character) in _FORBIDDEN_CATEGORIES:
            raise RegistryError(
                f"The {what} {cleaned!r} holds the invisible character U+{ord(character):04X}. Remove it."
            )
    return cleaned


def name_key(name: str) -> str:
    """Equal for names a person would take for the same: in another case or Unicode form, or with what nobody sees."""
    seen = _UNSEEN.sub("", unicodedata.normalize("NFKC", name))
    return unicodedata.normalize("NFKC", seen.casefold())


def tenant_id_for(name: str, taken: Collection[str]) -> str:
    """A stable id from a name: lower case, runs outside [a-z0-9] become `-`, at most 48 characters, unique."""
    base = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:MAX_ID_LENGTH].strip("-")
    base = base or "tenant-" + hashlib.sha256(name.encode()).hexdigest()[:8]
    candidate, number = base, 1
    while candidate in taken or candidate == UNALLOCATED:
        number += 1
        suffix = f"-{number}"
        candidate = base[: MAX_ID_LENGTH - len(suffix)].rstrip("-") + suffix
    return candidate


def check_tenant_id(tenant_id: str) -> str:
    """A tenant id as given by a person or a file."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", tenant_id) or len(tenant_id) > MAX_ID_LENGTH:
        raise RegistryError(
            f"{shown(tenant_id)} is not a tenant id: lower-case letters, digits and single hyphens, at most "
            f"{MAX_ID_LENGTH}."
        )
    if tenant_id == UNALLOCATED:
        raise RegistryError(f"{UNALLOCATED!r} is reserved for spend that belongs to nobody.")
    return tenant_id
