"""The parts of the stack: what each stands on, and how the wanted ones are set up."""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from activities.payments.registry import SANDBOX
from stack import probes
from stack.errors import StackError
from stack.services import mongo, own, postgres, psp, temporal, valkey
from stack.services.base import Service, Site, Tier
from stack.settings import PREFIX, REPLACED_BY, SECRETS, Settings

__all__ = ["NEEDS", "Service", "Site", "Tier", "arrange"]

# In the order in which they are shown; a part starts as soon as those it needs are well.
NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "postgres": (),
    "valkey": (),
    "mongo": (),
    "temporal": (),
    **dict.fromkeys(SANDBOX, ()),
    "migrate": ("postgres",),
    "seed": ("migrate",),
    "workflows": ("temporal", "migrate", "valkey"),
    "activities": ("temporal", "migrate", "valkey", *SANDBOX),
    "relay": ("temporal", "migrate", "valkey"),
    "api": ("temporal", "migrate", "valkey", "mongo"),
}
USUAL_PORT: Final = {
    "postgresql+asyncpg": 5432,
    "redis": 6379,
    "rediss": 6379,
    "mongodb": 27017,
    "http": 80,
    "https": 443,
}


def arrange(site: Site, wanted: Iterable[str] | None) -> tuple[Settings, tuple[Service, ...]]:
    """The services for the wanted parts and those they need, and the settings to run with.

    The settings returned have the addresses of these parts and, in development, every secret.
    Raises StackError for a part that does not exist, a port that is taken, a program that is
    missing.
    """
    needs = _needs(site.settings)
    parts = _closure(needs if wanted is None else wanted, needs)
    generated = {} if site.settings.environment == "production" else site.folder.generated_secrets()
    values = _secrets(site.settings, generated) | _api_port(site, "api" in parts)
    known = site.settings.model_copy(update=values)
    servers = []
    for part in REPLACED_BY:
        if part in parts:
            service, address = _server(site, part, known, generated)
            servers.append(service)
            values |= address
    settings = site.settings.model_copy(update=values)
    return settings, (*servers, *own.services(site, settings, parts, needs))


def _needs(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    absent = {name for name in SANDBOX if name not in settings.sandbox}
    return {
        part: tuple(need for need in needs if need not in absent)
        for part, needs in NEEDS.items()
        if part not in absent
    }


def _closure(wanted: Iterable[str], needs: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    found: set[str] = set()
    waiting = list(wanted)
    while waiting:
        part = waiting.pop()
        if part not in needs:
            raise StackError(f"there is no part {part!r}; there are: {', '.join(needs)}")
        if part not in found:
            found.add(part)
            waiting.extend(needs[part])
    return frozenset(found)


def _secrets(settings: Settings, generated: Mapping[str, str]) -> dict[str, Any]:
    absent = (name for name in SECRETS if getattr(settings, name) is None)
    return {name: SecretStr(generated[name]) for name in absent}


def _api_port(site: Site, needed: bool) -> dict[str, Any]:
    settings = site.settings
    if not needed and settings.port:
        return {}
    remedy = "stop the program that has it, or choose another with --port N"
    return {"port": site.ports.fixed("api", settings.host, settings.port, remedy)}


def _server(
    site: Site, part: str, settings: Settings, generated: Mapping[str, str]
) -> tuple[Service, dict[str, Any]]:
    setting = REPLACED_BY[part]
    if not settings.embedded(part):
        return _elsewhere(part, setting, getattr(settings, setting)), {}
    port = site.ports.for_part(part)
    if part == "postgres":
        password = generated["postgres_password"]
        return postgres.service(site, port, password), {setting: postgres.url(port, password)}
    if part == "valkey":
        return valkey.service(site, port), {setting: valkey.url(port)}
    if part == "mongo":
        return mongo.service(site, port), {setting: mongo.url(port)}
    if part == "temporal":
        return temporal.service(site, port), {setting: temporal.address(port)}
    return psp.service(site, part, port, settings), {setting: psp.url(port)}


def _elsewhere(part: str, setting: str, url: str) -> Service:
    parts = urlsplit(url if "://" in url else f"temporal://{url}")
    host, port = parts.hostname or "", parts.port or USUAL_PORT.get(parts.scheme, 7233)
    return Service(
        name=part,
        address=f"{host}:{port} ({PREFIX}{setting.upper()})",
        command=None,
        probe=probes.tcp(host, port),
        start_timeout_s=10.0,
    )
