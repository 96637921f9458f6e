"""Settings, read from `SAGAKART_...` in the environment and from `.env` in the clone."""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from stack.errors import SettingsError

ROOT: Final = Path(__file__).resolve().parent.parent
PREFIX: Final = "SAGAKART_"
SHORTEST_JWT_SECRET: Final = 32

# The setting that replaces each part of the embedded stack.
REPLACED_BY: Final[Mapping[str, str]] = {
    "postgres": "postgres_url",
    "valkey": "redis_url",
    "mongo": "mongo_url",
    "temporal": "temporal_address",
    "alphapay": "alphapay_url",
    "betapay": "betapay_url",
}
SECRETS: Final = (
    "jwt_secret",
    "alphapay_api_key",
    "alphapay_webhook_secret",
    "betapay_api_key",
    "betapay_webhook_secret",
)
SCHEMES: Final[Mapping[str, tuple[str, ...]]] = {
    "postgres_url": ("postgresql+asyncpg",),
    "redis_url": ("redis", "rediss"),
    "mongo_url": ("mongodb", "mongodb+srv"),
    "alphapay_url": ("http", "https"),
    "betapay_url": ("http", "https"),
}


class Settings(BaseSettings):
    """Everything the stack is told from outside; a URL that is set replaces the embedded part."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ROOT / ".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        validate_default=True,
    )

    environment: Literal["development", "production"] = "development"
    data_dir: Path = ROOT / ".sagakart"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    temporal_address: str | None = None
    temporal_namespace: str = "default"
    temporal_ui_port: int | None = Field(default=None, ge=1, le=65535)
    postgres_url: str | None = None
    redis_url: str | None = None
    mongo_url: str | None = None
    alphapay_url: str | None = None
    betapay_url: str | None = None

    jwt_secret: SecretStr | None = None
    alphapay_api_key: SecretStr | None = None
    alphapay_webhook_secret: SecretStr | None = None
    betapay_api_key: SecretStr | None = None
    betapay_webhook_secret: SecretStr | None = None

    pace: Literal["real", "demo"] = "real"
    workflow_workers: int = Field(default=1, ge=1, le=64)
    activity_workers: int = Field(default=1, ge=1, le=64)

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("postgres_url")
    @classmethod
    def _through_asyncpg(cls, value: str | None) -> str | None:
        # Providers hand out plain URLs; the driver is our choice, so it is added here.
        for plain in ("postgresql://", "postgres://"):
            if value and value.startswith(plain):
                return "postgresql+asyncpg://" + value.removeprefix(plain)
        return value

    @field_validator(*SCHEMES)
    @classmethod
    def _reachable(cls, value: str | None, info: Any) -> str | None:
        if value is None:
            return None
        schemes = SCHEMES[info.field_name]
        parts = urlsplit(value)
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError(f"must look like {schemes[0]}://host:port, not {_unsaid(value)!r}")
        return value

    @field_validator("temporal_address")
    @classmethod
    def _host_and_port(cls, value: str | None) -> str | None:
        if value is not None:
            host, _, port = value.rpartition(":")
            if not host or "/" in host or not port.isdigit():
                raise ValueError(f"must look like host:7233, not {value!r}")
        return value

    @model_validator(mode="after")
    def _production_is_explicit(self) -> Self:
        if self.environment != "production":
            return self
        needed = (*REPLACED_BY.values(), *SECRETS)
        missing = [PREFIX + name.upper() for name in needed if getattr(self, name) is None]
        if missing:
            raise ValueError(
                f"production has no defaults for these, set them: {', '.join(missing)}"
            )
        if self.jwt_secret and len(self.jwt_secret.get_secret_value()) < SHORTEST_JWT_SECRET:
            raise ValueError(
                f"{PREFIX}JWT_SECRET is shorter than {SHORTEST_JWT_SECRET} characters; "
                "make one with: openssl rand -base64 48"
            )
        return self

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the API."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104
        return f"http://{host}:{self.port}"

    def embedded(self, part: str) -> bool:
        """Whether the stack runs this part itself."""
        return getattr(self, REPLACED_BY[part]) is None

    def needed(self, name: str) -> str:
        """The value of an address or a secret; raises SettingsError when it has none."""
        value = getattr(self, name)
        if value is None:
            raise SettingsError(
                f"{PREFIX}{name.upper()} is not set; a process that is run by itself needs it"
            )
        return _text(value)

    def as_environment(self) -> dict[str, str]:
        """The variables that give a child process these very settings, secrets included."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            PREFIX + name.upper(): _text(value)
            for name, value in values.items()
            if value is not None
        }


def load(**overrides: Any) -> Settings:
    """Reads the settings; raises SettingsError with one line that names what is wrong."""
    misspelt = _misspelt({*os.environ, *dotenv_values(ROOT / ".env")})
    if misspelt:
        raise SettingsError(misspelt)
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        raise SettingsError(_in_words(error)) from None


def without_password(url: str) -> str:
    """The URL as it may be shown and logged."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if parts.scheme else url


def _misspelt(names: Iterable[str]) -> str | None:
    # A misspelt URL would silently start an embedded server in place of the real one.
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in sorted(names):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            close = difflib.get_close_matches(name.upper(), known, n=1)
            remedy = f"did you mean {close[0]}?" if close else "see .env.example for all of them"
            return f"{name} is not a setting; {remedy}"
    return None


def _in_words(error: ValidationError) -> str:
    said = []
    for problem in error.errors(include_url=False):
        field = ".".join(str(part) for part in problem["loc"])
        text = problem["msg"].removeprefix("Value error, ")
        value = problem["input"]
        if field and problem["type"] != "value_error":
            text = f"{text}, not {_unsaid(str(value))!r}"
        said.append(f"{PREFIX}{field.upper()}: {text}" if field else text)
    return "; ".join(said)


def _unsaid(value: str) -> str:
    return without_password(value) if "@" in value else value


def _text(value: Any) -> str:
    return str(value.get_secret_value() if isinstance(value, SecretStr) else value)
