"""The addresses of a stack that runs already: from its settings, else from its data folder."""

from typing import Any, Final

from stack.errors import StackError
from stack.folder import DataFolder, read_json
from stack.services import postgres, psp, temporal, valkey
from stack.settings import REPLACED_BY, Settings

NEEDED: Final = ("postgres", "valkey", "temporal")


def reach(settings: Settings) -> Settings:
    """The settings with the address of every part; raises StackError where nothing runs there."""
    embedded = [part for part in (*NEEDED, *settings.sandbox) if settings.embedded(part)]
    if not embedded:
        return settings
    folder = DataFolder(settings.data_dir)
    holder = folder.holder()
    if holder is None:
        raise StackError(
            f"nothing runs in {folder.path}; start it with: ./sagakart up --data {folder.path}"
        )
    ports = read_json(folder.ports)
    missing = [part for part in embedded if part not in ports]
    if missing:
        raise StackError(
            f"the stack in {folder.path} runs without {', '.join(missing)}; "
            "stop it and start all of it with: ./sagakart up"
        )
    found = {REPLACED_BY[part]: _address(folder, part, int(ports[part])) for part in embedded}
    api = read_json(folder.state).get("url", "")
    port = str(api).rpartition(":")[2]
    values: dict[str, Any] = {**found, "port": int(port) if port.isdigit() else settings.port}
    reached: Settings = settings.model_copy(update=values)
    return reached


def _address(folder: DataFolder, part: str, port: int) -> str:
    if part == "postgres":
        return postgres.url(port, folder.generated_secrets()["postgres_password"])
    if part == "valkey":
        return valkey.url(port)
    if part == "temporal":
        return temporal.address(port)
    return psp.url(port)
