"""Routing rules and the scraper's token, from the settings to the processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from activities.payments.registry import PROVIDERS
from domain.breaker import BreakerPolicy
from domain.payments import PaymentMethod
from domain.routing import EVEN, RoutingRules, Rule
from stack import settings as module
from stack.errors import SettingsError
from stack.settings import Settings, load
from stack.wiring import api_config, worker_config

ADDRESSES = {
    "POSTGRES_URL": "postgresql://db/sagakart",
    "REDIS_URL": "redis://cache",
    "TEMPORAL_ADDRESS": "temporal:7233",
    "JWT_SECRET": "j" * 32,
    "ALPHAPAY_URL": "https://alphapay.example",
    "ALPHAPAY_API_KEY": "key",
    "ALPHAPAY_WEBHOOK_SECRET": "secret",
}


@pytest.fixture(autouse=True)
def settings_from_here_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"SAGAKART_{name.upper()}", raising=False)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setitem(Settings.model_config, "env_file", tmp_path / ".env")
    for name, value in ADDRESSES.items():
        monkeypatch.setenv(f"SAGAKART_{name}", value)


def test_without_a_file_shares_are_even_and_breakers_work() -> None:
    told, shown = worker_config(load()), api_config(load())
    assert (told.routes, shown.routes) == (EVEN, EVEN)
    assert told.breaker == shown.breaker == BreakerPolicy()
    assert told.downtimes_every == 30
    assert shown.offers == {"alphapay": frozenset(PaymentMethod) - {PaymentMethod.COD}}
    assert shown.metrics_token == ""


def test_the_demo_has_less_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGAKART_PACE", "demo")
    told = worker_config(load())
    assert told.breaker is not None
    assert (told.breaker.pause, told.downtimes_every) == (3, 2)


def test_a_file_of_rules_reaches_workers_and_the_edge(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "rules.json").write_text('{"rules": [{"name": "all", "order": ["betapay"]}]}')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAGAKART_ROUTING_FILE", "rules.json")
    rules = RoutingRules((Rule(name="all", order=("betapay",)),))
    settings = load()
    assert worker_config(settings).routes == rules
    assert api_config(settings).routes == rules
    # a child process starts in another folder
    assert settings.as_environment()["SAGAKART_ROUTING_FILE"] == str(tmp_path / "rules.json")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{"rules": [\n{"name": "all", "order": ["nopay"]}]}',
            "line 2, rules[0].order[0]: there is no PSP 'nopay'; there are ",
        ),
        (None, "cannot be read: "),
    ],
)
def test_a_mistake_in_it_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None, said: str
) -> None:
    file = tmp_path / "rules.json"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv("SAGAKART_ROUTING_FILE", str(file))
    with pytest.raises(SettingsError) as refused:
        load()
    assert str(refused.value).startswith(f"SAGAKART_ROUTING_FILE: {file}")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_scrapers_token_reaches_the_edge_and_no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGAKART_METRICS_TOKEN", "hush-hush")
    shown = api_config(load())
    assert shown.metrics_token == "hush-hush"
    assert "hush-hush" not in repr(shown) + repr(load())


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_psp_says_what_it_offers_before_it_is_opened(name: str) -> None:
    methods = PROVIDERS[name].load().caps.methods
    assert methods
    assert PaymentMethod.COD not in methods
