"""Every environment variable, once. Nothing else reads the environment."""

from __future__ import annotations

import base64
import ipaddress
import os
import pwd
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tokenboard_etl.errors import ConfigurationError
from tokenboard_etl.money import MULTIPLIER_SCALE, exact
from tokenboard_etl.redaction import protect


class Settings(BaseSettings):
    """The process's configuration, from the environment and an optional `.env` file in the working directory."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", env_ignore_empty=True, frozen=True, hide_input_in_errors=True
    )

    openai_admin_key: SecretStr | None = Field(None, validation_alias="OPENAI_ADMIN_KEY")
    openai_api_key: SecretStr | None = Field(None, validation_alias="OPENAI_API_KEY")
    openai_org_id: str | None = Field(None, validation_alias="OPENAI_ORG_ID")
    openai_personal_key: SecretStr | None = Field(None, validation_alias="OPENAI_PERSONAL_KEY")
    openai_base_url: str = Field("https://api.openai.com/v1", validation_alias="OPENAI_BASE_URL")
    openrouter_management_key: SecretStr | None = Field(
        None, validation_alias=AliasChoices("OPENROUTER_MANAGEMENT_KEY", "OPENROUTER_PROVISIONING_KEY")
    )
    openrouter_base_url: str = Field("https://openrouter.ai/api/v1", validation_alias="OPENROUTER_BASE_URL")
    encryption_key: SecretStr | None = Field(None, validation_alias="TOKENBOARD_ENCRYPTION_KEY")
    home: Path = Field(Path("var"), validation_alias="TOKENBOARD_HOME")
    profit_margin_percentage: Decimal = Field(
        Decimal(25), ge=-100, lt=90_000, validation_alias="PROFIT_MARGIN_PERCENTAGE"
    )
    openrouter_markup: Decimal = Field(Decimal("1.3"), ge=0, lt=900, validation_alias="OPENROUTER_MARKUP")
    settle_days: int = Field(4, ge=0, le=60, validation_alias="TOKENBOARD_SETTLE_DAYS")
    lookback_days: int = Field(4, ge=0, le=364, validation_alias="TOKENBOARD_LOOKBACK_DAYS")
    policy_path: Path | None = Field(None, validation_alias="TOKENBOARD_POLICY")
    simulated_now: datetime | None = Field(None, validation_alias="TOKENBOARD_NOW")
    prices_url: str | None = Field(None, validation_alias="TOKENBOARD_PRICES_URL")
    alert_webhook: SecretStr | None = Field(None, validation_alias="TOKENBOARD_ALERT_WEBHOOK")
    lake_url: str | None = Field(None, validation_alias="TOKENBOARD_LAKE_URL")
    spark_remote: SecretStr | None = Field(None, validation_alias="SPARK_REMOTE")
    spark_master: str | None = Field(None, validation_alias="TOKENBOARD_SPARK_MASTER")
    log_format: Literal["text", "json"] | None = Field(None, validation_alias="TOKENBOARD_LOG_FORMAT")
    dagster_home: Path | None = Field(None, validation_alias="DAGSTER_HOME")

    @field_validator("openai_admin_key", "openai_api_key", "openai_personal_key", "openrouter_management_key")
    @classmethod
    def _a_key(cls, key: SecretStr | None) -> SecretStr | None:
        return None if key is None else clean_key(key.get_secret_value())

    @field_validator("encryption_key")
    @classmethod
    def _a_key_ring(cls, keys: SecretStr | None) -> SecretStr | None:
        if keys is None:
            return None
        parts = [part.strip() for part in keys.get_secret_value().split(",")]
        if not all(map(_is_key_of_32_bytes, parts)):
            raise ValueError("each key must be 32 bytes in base64 (`head -c 32 /dev/urandom | base64` makes one)")
        if len(set(parts)) < len(parts):
            raise ValueError("the same key stands there twice")
        for part in parts:
            protect(part)
        return SecretStr(",".join(parts))

    @field_validator("home", "dagster_home", "policy_path")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        try:
            return path.expanduser().resolve() if path else None
        except RuntimeError as error:
            raise ValueError(str(error)) from None

    @field_validator("openai_base_url", "openrouter_base_url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ValueError("must be an http(s) address without a user name")
        return url.rstrip("/")

    @field_validator("alert_webhook")
    @classmethod
    def _a_secret_address(cls, url: SecretStr | None) -> SecretStr | None:
        """Who knows a webhook's address can write to it."""
        if url is None:
            return None
        address = url.get_secret_value().strip()
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname or not re.fullmatch(r"[!-~]+", address):
            raise ValueError("must be an http(s) address")
        protect(address)
        return SecretStr(address)

    @field_validator("prices_url")
    @classmethod
    def _an_address_or_path(cls, source: str | None) -> str | None:
        if source is None or "://" in source:
            return source and cls._an_address(source)
        return str(Path(source).expanduser().resolve())

    @field_validator("lake_url")
    @classmethod
    def _a_folder(cls, url: str | None) -> str | None:
        """A path, or an address that fsspec knows; who may write there is not said in it."""
        if url is None or "://" not in url:
            return url and str(Path(url).expanduser().resolve())
        if "@" in urlsplit(url).netloc:
            raise ValueError("must be a path or an address without a user name")
        return url.rstrip("/")

    @field_validator("spark_remote")
    @classmethod
    def _may_hold_a_token(cls, remote: SecretStr | None) -> SecretStr | None:
        if remote is not None:
            protect(remote.get_secret_value())
        return remote

    @field_validator("simulated_now")
    @classmethod
    def _aware(cls, instant: datetime | None) -> datetime | None:
        if instant is not None and instant.tzinfo is None:
            raise ValueError("needs an offset, for example 2026-11-21T02:00:00Z")
        return instant

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if self.lookback_days < self.settle_days:
            raise ValueError(
                f"TOKENBOARD_LOOKBACK_DAYS ({self.lookback_days}) is shorter than TOKENBOARD_SETTLE_DAYS "
                f"({self.settle_days}): a day would never be read after it has settled"
            )
        if self.simulated_now and not all(map(_is_loopback, (self.openai_base_url, self.openrouter_base_url))):
            raise ValueError("TOKENBOARD_NOW is for simulations: every base URL must be on this machine")
        return self

    @field_validator("profit_margin_percentage", "openrouter_markup")
    @classmethod
    def _fits_a_multiplier(cls, value: Decimal) -> Decimal:
        if not value.is_finite() or value != round(value, 4):
            raise ValueError("has more than four decimals")
        return value

    @property
    def admin_key(self) -> SecretStr | None:
        """The key of the default OpenAI connection."""
        if self.openai_admin_key:
            return self.openai_admin_key
        key = self.openai_api_key
        return key if key and key.get_secret_value().startswith("sk-admin-") else None

    @property
    def encryption_keys(self) -> tuple[bytes, ...]:
        """The keys of the vault, 32 bytes each: the first encrypts, all decrypt."""
        joined = self.encryption_key.get_secret_value() if self.encryption_key else ""
        return tuple(base64.b64decode(part) for part in joined.split(",") if part)

    @property
    def now(self) -> datetime:
        """The current instant, UTC; TOKENBOARD_NOW in simulations."""
        return (self.simulated_now or datetime.now(UTC)).astimezone(UTC)

    @property
    def settle_time(self) -> timedelta:
        return timedelta(days=self.settle_days)

    @property
    def default_multipliers(self) -> dict[str, Decimal]:
        """Provider to sell-price multiplier, 6 decimals: 25 % is 1.25."""
        with exact():
            openai = 1 + self.profit_margin_percentage / 100
            return {
                "openai": openai.quantize(MULTIPLIER_SCALE),
                "openrouter": self.openrouter_markup.quantize(MULTIPLIER_SCALE),
            }

    @property
    def warehouse_path(self) -> Path:
        return self.home / "warehouse.duckdb"

    @property
    def vault_path(self) -> Path:
        return self.home / "vault.duckdb"

    @property
    def published_path(self) -> Path:
        return self.home / "published" / "tokenboard.duckdb"

    @property
    def intraday_path(self) -> Path:
        return self.home / "published" / "intraday.duckdb"

    @property
    def landing_path(self) -> Path:
        return self.home / "landing"

    @property
    def operations_inbox_path(self) -> Path:
        return self.home / "inbox" / "operations"

    @property
    def registrations_inbox_path(self) -> Path:
        return self.home / "inbox" / "registrations"

    @property
    def reports_path(self) -> Path:
        return self.home / "reports"

    @property
    def logs_path(self) -> Path:
        return self.home / "logs"

    @property
    def lake_lock_path(self) -> Path:
        """What writers of the lake hold while they say which of its editions is the newest."""
        return self.home / "lake.lock"

    @property
    def running_path(self) -> Path:
        """Where each run's process holds a lock while it lives."""
        return self.home / "running"

    @property
    def dagster_path(self) -> Path:
        return self.dagster_home or self.home / "dagster"


def load_settings(**overrides: Any) -> Settings:
    """Reads the settings; raises ConfigurationError naming each variable that is wrong, never its value.

    `overrides` are given by variable name (`TOKENBOARD_HOME=...`) and win over the environment.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors(include_input=False, include_url=False)
        )
        raise ConfigurationError(f"The configuration cannot be used: {problems}.") from None
    except UnicodeDecodeError:
        raise ConfigurationError("The file .env is not text in UTF-8; save it as such.") from None


def clean_key(text: str) -> SecretStr:
    """A provider's key as somebody gave it, without outer blanks; blotted out everywhere from now on."""
    key = text.strip()
    if not re.fullmatch(r"[!-~]+", key):
        raise ValueError("holds blanks or characters that no key has; was it copied whole?")
    protect(key)
    return SecretStr(key)


def _is_key_of_32_bytes(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == 32
    except ValueError:
        return False


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def operator_name() -> str:
    """Who runs this, by the operating system's word: the login name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run under an id that has no name
        return f"user {os.getuid()}"
