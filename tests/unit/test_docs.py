"""What the documents say must be there: runbooks for codes, targets of links, commands."""

from __future__ import annotations

import ast
import inspect
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

from api import saga_views
from stack.cli import ELSEWHERE, app
from stack.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "runbooks"
# Where `park_as` is handed on, its value was named by the caller.
HANDED_ON = ("park_as", "attempt.park_as", "code")
CODE = re.compile(r"[A-Z]+(_[A-Z]+)+")
LINK = re.compile(r"\]\(<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\)")
FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"\./sagakart ((?:[^`\n|\\]|\\\|)+)")
SECTIONS = ("What happened.", "What the customer sees.", "Look.", "Act.", "Verify.")


def documents() -> list[Path]:
    """Every Markdown file of the repository, not of what is installed or kept in it."""
    found = ROOT.rglob("*.md")
    return sorted(
        path for path in found if not any(p.startswith(".") for p in path.relative_to(ROOT).parts)
    )


def sources() -> list[Path]:
    return [*sorted((ROOT / "workflows").rglob("*.py")), *sorted((ROOT / "saga").rglob("*.py"))]


def parking_codes(tree: ast.AST) -> Iterator[ast.expr]:
    """The expressions that name why a saga parks: `park_as`, a ParkedStep's code, a decision's."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _defaults(node.args, "park_as")
        elif isinstance(node, ast.Call):
            named = {keyword.arg: keyword.value for keyword in node.keywords}
            called = ast.unparse(node.func).rpartition(".")[2]
            if "park_as" in named:
                yield named["park_as"]
            if called == "ParkedStep":
                yield named["code"]
            if called == "decide" and "options" in named:
                yield named["code"] if "code" in named else node.args[1]


def _defaults(arguments: ast.arguments, name: str) -> Iterator[ast.expr]:
    optional = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    yield from (value for at, value in optional if at.arg == name and value is not None)


def codes_in_use() -> set[str]:
    found = set()
    for path in sources():
        for code in parking_codes(ast.parse(path.read_text())):
            if isinstance(code, ast.Constant):
                found.add(str(code.value))
            else:
                text = ast.unparse(code)
                assert text in HANDED_ON, f"{path.name}: name the parking code as text, not {text}"
    return found


def pages() -> set[str]:
    return {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}


def test_codes_are_found_in_every_way_they_are_named() -> None:
    tree = ast.parse(
        "async def step(name, *, park_as='A_B'): ...\n"
        "saga.must('x', X, y, park_as='C_D')\n"
        "parking.put(ParkedStep(step='s', code='E_F', doing='undo'))\n"
        "saga.decide('s', 'G_H', why, options=[], timeout=t)\n"
        "decide(psp, 'NOT_A', 'PARKING_CODE')\n"
    )
    found = {ast.literal_eval(code) for code in parking_codes(tree)}
    assert found == {"A_B", "C_D", "E_F", "G_H"}


def test_every_code_that_parks_a_saga_has_a_page_and_every_page_a_code() -> None:
    used = codes_in_use()
    assert {"CAPTURE_UNKNOWN", "UNDO_FAILED", "MUST_FAILED", "RISK_HOLD"} <= used
    assert all(CODE.fullmatch(code) for code in used)
    assert pages() == used


def test_support_is_sent_to_these_pages() -> None:
    assert 'runbook=f"runbooks/{step.code}.md"' in inspect.getsource(saga_views)


@pytest.mark.parametrize("code", sorted(pages()))
def test_a_page_says_what_a_person_needs(code: str) -> None:
    text = (RUNBOOKS / f"{code}.md").read_text()
    assert text.startswith(f"# {code}\n")
    assert [part for part in SECTIONS if f"**{part}**" not in text] == []
    assert f"[{code}]({code}.md)" in (RUNBOOKS / "README.md").read_text()


def relative_links(document: Path) -> Iterator[str]:
    prose = FENCE.sub("", document.read_text())
    for target in LINK.findall(prose):
        if not re.match(r"[a-z]+:|#", target):
            yield target.partition("#")[0]


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(document: Path) -> None:
    broken = [to for to in relative_links(document) if not (document.parent / to).exists()]
    assert broken == []


def test_links_are_found() -> None:
    readme = list(relative_links(ROOT / "README.md"))
    assert {"docs/architecture.md", "docs/picture.svg", "LICENSE"} <= set(readme)


def test_every_decision_is_numbered_and_whole() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [int(path.name.partition("-")[0]) for path in decisions]
    assert numbers == list(range(1, len(decisions) + 1))
    for path, number in zip(decisions, numbers, strict=True):
        text = path.read_text()
        assert text.startswith(f"# {number}. ")
        for part in ("Context", "Decision", "Consequences", "Rejected"):
            assert f"**{part}.**" in text, f"{path.name} has no {part}"


def asked_for() -> list[str]:
    """Every `./sagakart …` that a document shows, without the comment behind it."""
    found = (line for path in documents() for line in COMMAND.findall(path.read_text()))
    return sorted({line.partition("#")[0].replace("\\|", "|").strip() for line in found})


def command_for(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words name, loaded from its module, and the words after its name."""
    command: Any = (root := typer.main.get_command(app))
    while words and words[0] in getattr(command, "commands", {}):
        name, *words = words
        if command is root and name in ELSEWHERE:
            command = typer.main.get_command(import_module(ELSEWHERE[name][0]).app)
        else:
            command = command.commands[name]
    return command, words


def test_commands_are_found() -> None:
    assert {"up", "test", "demo", "check"} <= {line.partition(" ")[0] for line in asked_for()}


@pytest.mark.parametrize("line", asked_for())
def test_commands_exist_with_the_options_that_are_shown(line: str) -> None:
    command, rest = command_for(re.sub(r"[][]", " ", line).split())
    assert not hasattr(command, "commands"), f"there is no command {line!r}"
    known = {option for parameter in command.params for option in parameter.opts}
    assert [word for word in rest if word.startswith("-") and word not in known] == []


def test_the_settings_that_documents_name_exist() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    named = {
        name
        for path in documents()
        for name in re.findall(rf"{PREFIX}[A-Z][A-Z_]+[A-Z]", path.read_text())
    }
    assert named - known == set()
    assert named


def test_the_picture_is_readable_by_whoever_cannot_see_it() -> None:
    picture = ElementTree.parse(ROOT / "docs" / "picture.svg").getroot()  # noqa: S314
    names = {element.tag.rpartition("}")[2] for element in picture}
    assert {"title", "desc"} <= names
    assert "prefers-color-scheme: dark" in (ROOT / "docs" / "picture.svg").read_text()
