"""Every failure this system raises on purpose.

    TokenboardError
    |-- WrongUse                    the command was given something it cannot mean
    |-- ConfigurationError          the surroundings are not as they must be
    |   |-- KeyMissing              no key, so there is nothing to read
    |   |-- KeyRefused              a key of the wrong kind, or without the permission
    |   |-- ClockWrong              this machine's clock is not the provider's by half a day or more
    |   |-- PolicyError             the policy file cannot mean what it says
    |   |-- EncryptionKeyMissing    no key to encrypt or decrypt stored secrets with
    |   `-- EncryptionKeyWrong      none of the given keys encrypted a stored secret
    |-- ProviderError               a provider's answer, or the lack of one
    |   |-- ProviderUnavailable     unreachable, overloaded, cut short: try again
    |   |-- ProviderRejected        it understood and said no
    |   |-- AnswerTooLarge          more in one body than we want to hold: ask for less
    |   |-- MalformedAnswer         the body is not what the contract says
    |   `-- PaginationStalled       the pages do not come to an end
    |-- LandingDamaged              bytes on disk are not the bytes that arrived
    |-- LoadRefused                 the data arrived, and must not replace what we have
    |-- WarehouseError
    |   |-- WarehouseBusy           another process is writing: try again
    |   |-- SchemaTooNew            the file was written by newer code
    |   `-- NotTranslatable         a model says what another engine would not understand
    |-- EngineFailed                another engine could not build the models
    |-- VaultError
    |   |-- VaultDamaged            the file with the stored secrets is not whole
    |   `-- SecretAltered           a stored secret is not the one that was stored there
    |-- BackupDamaged               a backup lacks a file, or holds one altered
    |-- StorageFailed               the disk is full, or not ours to write
    |-- RecordsUnavailable          the database Dagster records runs in does not answer: try again
    |-- AlertNotSent                the webhook did not take a message: it is sent again
    |-- CheckFailed                 a blocking check found rows; nothing was published
    |-- ProvisioningPending         a tenant does not have at a provider yet what it is to have
    `-- RegistryError               tenants and accounts that cannot stand side by side

A message says what happened, where (provider, endpoint, window, tenant) and what to do, in one or two lines,
and never holds a key. `retryable` says whether the same call can succeed later without anybody's help;
`exit_status` is what the command line returns.
"""

from __future__ import annotations

import reprlib
from contextvars import ContextVar
from typing import ClassVar

answered_as: ContextVar[str | None] = ContextVar("answered_as", default=None)
"""The request id of the newest answer in this task: what is wrong with an answer is told with it."""

_SHORT = reprlib.Repr()
_SHORT.maxstring = 80


def shown(text: str) -> str:
    """What somebody gave us, for a message: quoted, printable, and not the whole of a long text."""
    return _SHORT.repr(text)


class TokenboardError(Exception):
    """Base of all. Anything else that escapes is a defect of ours."""

    retryable: ClassVar[bool] = False
    exit_status: ClassVar[int] = 1


class WrongUse(TokenboardError):
    """An argument that cannot be meant: a month that is not over, a date of tomorrow."""

    exit_status = 2


class ConfigurationError(TokenboardError):
    """A setting is missing, unreadable or contradicts another."""

    exit_status = 2


class KeyMissing(ConfigurationError):
    """No provider is configured, or this one is not."""


class KeyRefused(ConfigurationError):
    """The provider answered 401 or 403, or the key is of a kind that cannot do this."""

    def __init__(self, provider: str, endpoint: str, reason: str, advice: str, request_id: str | None = None) -> None:
        self.provider, self.endpoint, self.reason, self.advice = provider, endpoint, reason, advice
        self.request_id = request_id
        known_as = f" (request id {request_id})" if request_id else ""
        super().__init__(f"{provider} refused the key for {endpoint}: {reason}{known_as}. {advice}")


class ClockWrong(ConfigurationError):
    """What would be read now would be kept as read at another time: the days asked for are the wrong ones."""


class PolicyError(ConfigurationError):
    """The policy file is missing, unreadable or contradicts itself; the message names the line and the rule."""


class EncryptionKeyMissing(ConfigurationError):
    """Something is stored encrypted, or is to be, and TOKENBOARD_ENCRYPTION_KEY is not set."""


class EncryptionKeyWrong(ConfigurationError):
    """A stored secret bears the fingerprint of a key that is not in TOKENBOARD_ENCRYPTION_KEY."""


class ProviderError(TokenboardError):
    """Facts of one exchange. `endpoint` is method and path, `detail` says what happened."""

    advice: ClassVar[str] = ""
    is_about_an_answer: ClassVar[bool] = False

    def __init__(
        self,
        provider: str,
        endpoint: str,
        detail: str,
        *,
        status: int | None = None,
        param: str | None = None,
        request_id: str | None = None,
        advice: str | None = None,
    ) -> None:
        request_id = request_id or (answered_as.get() if self.is_about_an_answer else None)
        self.provider, self.endpoint, self.detail = provider, endpoint, detail
        self.status, self.param, self.request_id = status, param, request_id
        known_as = f" (request id {request_id})" if request_id else ""
        hint = self.advice if advice is None else advice
        super().__init__(f"{provider} {endpoint}: {detail}{known_as}." + (f" {hint}" if hint else ""))


class ProviderUnavailable(ProviderError):
    """No usable answer this time. `retry_after_s` is the provider's own wish, in seconds."""

    retryable = True
    advice = "Nothing was loaded from it; run the same command again later."

    def __init__(
        self,
        provider: str,
        endpoint: str,
        detail: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(provider, endpoint, detail, status=status, request_id=request_id)


class ProviderRejected(ProviderError):
    """A 4xx that another try will not change."""

    advice = "Nothing was loaded from it."


class AnswerTooLarge(ProviderError):
    """One body is larger than the request allows; the walk goes on with smaller pages.

    `beginning` is what had arrived: it tells how much fits.
    """

    def __init__(
        self, provider: str, endpoint: str, detail: str, *, request_id: str | None = None, beginning: bytes = b""
    ) -> None:
        self.beginning = beginning
        super().__init__(provider, endpoint, detail, request_id=request_id)


class MalformedAnswer(ProviderError):
    """The body does not follow the contract; `detail` holds the JSON path, the advice names the landed file."""

    is_about_an_answer = True


class PaginationStalled(ProviderError):
    """A cursor that repeats, is missing, or a walk longer than any real answer."""

    is_about_an_answer = True
    advice = "The report would be incomplete, so nothing of it was loaded; report this with the landed pages."


class LandingDamaged(TokenboardError):
    """A landed page is missing or its checksum differs."""


class LoadRefused(TokenboardError):
    """The load contradicts its own request or what is known; the old figures stay."""


class WarehouseError(TokenboardError):
    """The warehouse file could not be used."""


class WarehouseBusy(WarehouseError):
    """Another process holds the writer's lock."""

    retryable = True


class SchemaTooNew(WarehouseError):
    """Migrations in the file that this version does not know."""


class NotTranslatable(WarehouseError):
    """A model is not in the subset of SQL that every engine understands alike."""


class EngineFailed(TokenboardError):
    """Apache Spark is not there, or could not build a model; the lake is as it was."""


class VaultError(TokenboardError):
    """The vault, or one secret in it, could not be used."""


class VaultDamaged(VaultError):
    """The vault file is cut short or its checksums differ."""


class SecretAltered(VaultError):
    """A row was changed, or moved to another owner or id; it does not decrypt under its own key."""


class BackupDamaged(TokenboardError):
    """A checksum of a backup differs, or its list names what cannot be; the home is as it was."""


class StorageFailed(TokenboardError):
    """The operating system refused a write."""


class RecordsUnavailable(TokenboardError):
    """Dagster's own database, which is not ours to keep, was down or restarted while a run was recorded."""

    retryable = True


class AlertNotSent(TokenboardError):
    """The webhook cannot be reached or refused the message; the next look sends it again. Never names its address."""

    retryable = True


class CheckFailed(TokenboardError):
    """At least one blocking check returned rows."""


class ProvisioningPending(TokenboardError):
    """Something is still to be done at a provider; it is on record, and a later run goes on from there."""


class RegistryError(TokenboardError):
    """A tenant or binding that is invalid or overlaps another."""

    exit_status = 2


def is_ours(name: str | None) -> bool:
    """Whether a class of this name is part of the tree."""
    kind = globals().get(name or "")
    return isinstance(kind, type) and issubclass(kind, TokenboardError)


def error_named(name: str, message: str) -> TokenboardError:
    """An error by its class name and message, as another process noted it; of the base class if it is unknown."""
    kind: type[TokenboardError] = globals()[name] if is_ours(name) else TokenboardError
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    return error
