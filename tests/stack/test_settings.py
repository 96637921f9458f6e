"""What the stack is told from outside, and what it answers to a mistake in it."""

from pathlib import Path

import pytest

from stack import settings as module
from stack.errors import SettingsError
from stack.settings import REPLACED_BY, Settings, load, without_password


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"SAGAKART_{name.upper()}", raising=False)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setitem(Settings.model_config, "env_file", tmp_path / ".env")


PRODUCTION = {
    "postgres_url": "postgresql://db/sagakart",
    "redis_url": "redis://cache",
    "mongo_url": "mongodb://documents",
    "temporal_address": "temporal:7233",
    "alphapay_url": "https://alphapay.example",
    "betapay_url": "https://betapay.example",
    "jwt_secret": "j" * 32,
    "alphapay_api_key": "a",
    "alphapay_webhook_secret": "b",
    "betapay_api_key": "id:c",
    "betapay_webhook_secret": "d",
}


def test_a_developer_needs_no_settings() -> None:
    settings = load()
    assert settings.environment == "development"
    assert settings.url == "http://127.0.0.1:8000"
    assert all(settings.embedded(part) for part in REPLACED_BY)


def test_the_environment_wins_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("SAGAKART_PORT=8001\nSAGAKART_LOG_LEVEL=debug\n")
    monkeypatch.setenv("SAGAKART_PORT", "8002")
    settings = load()
    assert (settings.port, settings.log_level) == (8002, "debug")
    assert load(port=8003).port == 8003


def test_a_url_replaces_its_part_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGAKART_POSTGRES_URL", "postgres://u:p@db.example/shop")
    settings = load()
    assert settings.postgres_url == "postgresql+asyncpg://u:p@db.example/shop"
    assert [part for part in REPLACED_BY if not settings.embedded(part)] == ["postgres"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PORT", "0x50", "SAGAKART_PORT: Input should be a valid integer"),
        (
            "PORT",
            "70000",
            "SAGAKART_PORT: Input should be less than or equal to 65535, not '70000'",
        ),
        (
            "REDIS_URL",
            "http://cache",
            "SAGAKART_REDIS_URL: must look like redis://host:port, not 'http://cache'",
        ),
        (
            "TEMPORAL_ADDRESS",
            "temporal",
            "SAGAKART_TEMPORAL_ADDRESS: must look like host:7233, not 'temporal'",
        ),
        ("WORKFLOW_WORKERS", "0", "SAGAKART_WORKFLOW_WORKERS: Input should be greater than or"),
    ],
)
def test_a_wrong_value_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"SAGAKART_{name}", value)
    with pytest.raises(SettingsError) as raised:
        load()
    assert str(raised.value).startswith(said)
    assert "\n" not in str(raised.value)


def test_a_wrong_url_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGAKART_MONGO_URL", "mongo://me:hunter2@documents")
    with pytest.raises(SettingsError) as raised:
        load()
    assert "'mongo://documents'" in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("where", ["environment", "file"])
def test_a_misspelt_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str
) -> None:
    if where == "file":
        (tmp_path / ".env").write_text("SAGAKART_POSTGRES_ULR=postgres://db\n")
    else:
        monkeypatch.setenv("SAGAKART_POSTGRES_ULR", "postgres://db")
    with pytest.raises(SettingsError) as raised:
        load()
    assert str(raised.value) == (
        "SAGAKART_POSTGRES_ULR is not a setting; did you mean SAGAKART_POSTGRES_URL?"
    )


def test_production_names_everything_that_is_missing() -> None:
    with pytest.raises(SettingsError) as raised:
        load(environment="production")
    for name in ("postgres_url", "redis_url", "mongo_url", "temporal_address", "jwt_secret"):
        assert f"SAGAKART_{name.upper()}" in str(raised.value)
    assert "ALPHAPAY" not in str(raised.value)


def test_production_needs_no_sandbox_but_some_provider() -> None:
    servers = {name: value for name, value in PRODUCTION.items() if "pay_" not in name}
    with pytest.raises(SettingsError, match="production needs a PSP"):
        load(environment="production", **servers)
    settings = load(
        environment="production",
        **servers,
        betapay_url="https://b.example",
        betapay_api_key="id:c",
        betapay_webhook_secret="d",
    )
    assert (settings.providers, settings.sandbox) == (("betapay",), ("betapay",))


def test_half_a_provider_is_named_in_production() -> None:
    given = {name: value for name, value in PRODUCTION.items() if name != "betapay_webhook_secret"}
    with pytest.raises(SettingsError) as raised:
        load(environment="production", **given)
    assert str(raised.value) == (
        "SAGAKART_BETAPAY_URL is set, and betapay needs SAGAKART_BETAPAY_WEBHOOK_SECRET too"
    )


def test_production_is_content_with_everything_set() -> None:
    settings = load(environment="production", **PRODUCTION)
    assert not any(settings.embedded(part) for part in REPLACED_BY)


def test_production_refuses_a_short_signing_secret() -> None:
    with pytest.raises(SettingsError, match="SAGAKART_JWT_SECRET is shorter than 32 characters"):
        load(environment="production", **PRODUCTION | {"jwt_secret": "short"})


def test_a_child_process_reads_the_very_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    given = load(environment="production", port=8123, **PRODUCTION)
    for name, value in given.as_environment().items():
        monkeypatch.setenv(name, value)
    assert load() == given


def test_secrets_are_not_shown() -> None:
    given = load(environment="production", **PRODUCTION)
    assert "jjjj" not in repr(given)
    assert without_password("redis://:hunter2@cache:6379/0") == "redis://cache:6379/0"


def test_what_a_lone_process_lacks_is_named() -> None:
    with pytest.raises(SettingsError) as raised:
        load().needed("redis_url")
    assert str(raised.value) == (
        "SAGAKART_REDIS_URL is not set; a process that is run by itself needs it"
    )


def test_the_example_shows_every_setting() -> None:
    example = (Path(__file__).parents[2] / ".env.example").read_text()
    shown = {line[1:].partition("=")[0] for line in example.splitlines() if "=" in line}
    assert {f"SAGAKART_{name.upper()}" for name in Settings.model_fields} <= shown
    assert {name for name in shown if name.startswith("SAGAKART_")} == {
        f"SAGAKART_{name.upper()}" for name in Settings.model_fields
    }
