"""The sandbox's payment service providers: the outside world, on this machine."""

from stack import probes
from stack.ports import LOOPBACK
from stack.process import Command
from stack.services.base import Service, Site, python
from stack.settings import ROOT, Settings


def url(port: int) -> str:
    """How our code reaches the sandbox's server."""
    return f"http://{LOOPBACK}:{port}"


def service(site: Site, name: str, port: int, settings: Settings) -> Service:
    """The sandbox's server of that name; `settings` carry the secrets it shares with us."""
    home = site.home(name)
    options = {
        "--port": str(port),
        "--data": str(home),
        "--webhook-url": f"{settings.url}/v1/payments/webhook/{name}",
    }
    arguments = (word for pair in options.items() for word in pair)
    return Service(
        name=name,
        address=url(port),
        command=Command(
            argv=python("-m", "sandbox", name, *arguments),
            env=site.foreign_environment(home)
            | {"PYTHONPATH": str(ROOT)}
            | _secrets(name, settings),
            cwd=home,
        ),
        port=port,
        probe=probes.http(f"{url(port)}/healthz"),
    )


def _secrets(name: str, settings: Settings) -> dict[str, str]:
    # In the environment, since the list of processes shows arguments to everyone.
    key = settings.needed(f"{name}_api_key")
    signing = settings.needed(f"{name}_webhook_secret")
    # While one secret replaces another, both are valid and it signs with the new one.
    return {"SANDBOX_API_KEY": key, "SANDBOX_WEBHOOK_SECRET": signing.split(",")[0]}
