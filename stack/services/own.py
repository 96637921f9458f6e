"""Our own processes: preparation of the database, workers, the outbox relay and the API."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from stack import probes
from stack.process import Command
from stack.services.base import Service, Site, Tier, own_environment, python
from stack.settings import Settings

WORKERS: Final = ("workflows", "activities", "relay")


def services(
    site: Site, settings: Settings, parts: Collection[str], needs: Mapping[str, tuple[str, ...]]
) -> Iterator[Service]:
    """The processes of ours among these parts; a worker as often as the settings say."""
    if "migrate" in parts:
        yield _once(site, settings, "migrate", "the schema is up to date", needs["migrate"])
    if "seed" in parts and _may_seed(site.settings) and not _seeded(site).exists():
        mark = _seeded(site)
        yield _once(site, settings, "seed", "the catalogue is loaded", needs["seed"], mark)
    counts = {"workflows": settings.workflow_workers, "activities": settings.activity_workers}
    for part in WORKERS:
        if part in parts:
            for name in _numbered(part, counts.get(part, 1)):
                yield _lasting(site, settings, name, part, needs[part])
    if "api" in parts:
        yield _api(site, settings, needs["api"])


def _may_seed(asked: Settings) -> bool:
    # A database that this folder did not make has a catalogue of its own.
    return asked.embedded("postgres") and asked.environment == "development"


def _seeded(site: Site) -> Path:
    # Beside the database's files: whoever removes those gets a seeded one again.
    return site.home("postgres") / "seeded"


def _once(
    site: Site,
    settings: Settings,
    name: str,
    outcome: str,
    needs: tuple[str, ...],
    mark: Path | None = None,
) -> Service:
    return Service(
        name=name,
        address=outcome,
        command=_command(site, settings, name),
        needs=needs,
        tier=Tier.PREPARATION,
        once=True,
        mark=mark,
        start_timeout_s=300.0,
    )


def _lasting(
    site: Site, settings: Settings, name: str, role: str, needs: tuple[str, ...]
) -> Service:
    sign = site.folder.run / f"{name}.alive"

    async def prepare() -> None:
        sign.unlink(missing_ok=True)  # an earlier process's sign is not this one's

    return Service(
        name=name,
        address="",
        command=_command(site, settings, role, "--sign-of-life", str(sign)),
        probe=probes.alive(sign),
        needs=needs,
        tier=Tier.WORKER,
        prepare=prepare,
        grace_s=15.0,
    )


def _api(site: Site, settings: Settings, needs: tuple[str, ...]) -> Service:
    return Service(
        name="api",
        address=settings.url,
        command=_command(site, settings, "api"),
        port=settings.port,
        probe=probes.http(f"{settings.url}/healthz"),
        needs=needs,
        tier=Tier.EDGE,
    )


def _command(site: Site, settings: Settings, role: str, *options: str) -> Command:
    return Command(
        argv=python("-m", "stack", "serve", role, *options),
        env=own_environment(settings),
        cwd=site.folder.path,
    )


def _numbered(name: str, count: int) -> Iterator[str]:
    yield name
    yield from (f"{name}-{number}" for number in range(2, count + 1))
