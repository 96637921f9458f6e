"""Settings, read from `SAGAKART_...` in the environment and from `.env` in the clone."""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from activities.payments.registry import PROVIDERS, SANDBOX
from activities.payments.rules_file import read_rules
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
    **{name: f"{name}_url" for name in SANDBOX},
}
# What the stack makes up for itself in development.
SECRETS: Final = (
    "jwt_secret",
    *(f"{name}_{kind}" for name in SANDBOX for kind in ("api_key", "webhook_secret")),
)
SCHEMES: Final[Mapping[str, tuple[str, ...]]] = {
    "postgres_url": ("postgresql+asyncpg",),
    "redis_url": ("redis", "rediss"),
    "mongo_url": ("mongodb", "mongodb+srv"),
    "public_url": ("http", "https"),
    **{f"{name}_url": ("http", "https") for name in PROVIDERS},
}


def _of_providers() -> Any:
    """Three settings for each row of the table of PSPs."""
    fields: dict[str, Any] = {}
    for name, provider in PROVIDERS.items():
        fields[f"{name}_url"] = (str | None, provider.url)
        fields[f"{name}_api_key"] = (SecretStr | None, None)
        fields[f"{name}_webhook_secret"] = (SecretStr | None, None)
    return create_model("ProviderSettings", __base__=BaseSettings, **fields)


class Settings(_of_providers()):  # type: ignore[misc]  # its base is made from a table
    """Everything the stack is told from outside; a URL that is set replaces the embedded part.

    Each PSP of the table has `<name>_url`, `<name>_api_key` and `<name>_webhook_secret`.
    """

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
    public_url: str | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    temporal_address: str | None = None
    temporal_namespace: str = "default"
    temporal_ui_port: int | None = Field(default=None, ge=1, le=65535)
    postgres_url: str | None = None
    redis_url: str | None = None
    mongo_url: str | None = None

    jwt_secret: SecretStr | None = None
    metrics_token: SecretStr | None = None
    routing_file: Path | None = None

    pace: Literal["real", "demo"] = "real"
    workflow_workers: int = Field(default=1, ge=1, le=64)
    activity_workers: int = Field(default=1, ge=1, le=64)

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("routing_file")
    @classmethod
    def _rules_hold(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        # Read here, so that a mistake in it stops the start and not a payment.
        path = value.expanduser().absolute()
        read_rules(path, PROVIDERS)
        return path

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
        servers = [setting for part, setting in REPLACED_BY.items() if part not in SANDBOX]
        needed = (*servers, "jwt_secret")
        missing = [PREFIX + name.upper() for name in needed if getattr(self, name) is None]
        if not missing and not self.providers:
            raise ValueError(
                "production needs a PSP: set the API key and webhook secret of one or more of "
                f"{', '.join(PROVIDERS)} (docs/providers.md)"
            )
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

    @model_validator(mode="after")
    def _providers_are_whole(self) -> Self:
        for name, provider in PROVIDERS.items():
            if provider.sandbox and self.environment == "development":
                continue  # what is missing is made up
            fields = [f"{name}_{kind}" for kind in ("url", "api_key", "webhook_secret")]
            given = [each for each in fields if getattr(self, each) not in (None, provider.url)]
            missing = [each for each in fields if getattr(self, each) is None]
            if given and missing:
                raise ValueError(
                    f"{PREFIX}{given[0].upper()} is set, and {name} needs "
                    f"{' and '.join(PREFIX + each.upper() for each in missing)} too"
                )
        return self

    @property
    def providers(self) -> tuple[str, ...]:
        """The PSPs that are configured: those with an address, a key and a webhook secret."""
        return tuple(
            name
            for name in PROVIDERS
            if all(getattr(self, f"{name}_{kind}") for kind in ("url", "api_key", "webhook_secret"))
        )

    @property
    def sandbox(self) -> tuple[str, ...]:
        """The sandbox's PSPs that belong to this stack; in production only those that are set."""
        development = self.environment == "development"
        return tuple(name for name in SANDBOX if development or getattr(self, f"{name}_url"))

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the API."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104
        return f"http://{host}:{self.port}"

    def embedded(self, part: str) -> bool:
        """Whether the stack runs this part itself, as it does none in production."""
        return self.environment == "development" and getattr(self, REPLACED_BY[part]) is None

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
