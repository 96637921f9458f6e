"""The command line: `./sagakart COMMAND`."""

import asyncio
import importlib
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from stack.errors import StackError
from stack.settings import ROOT, load

app = typer.Typer(
    name="sagakart",
    help="SagaKart on one machine: real servers, durable checkout sagas.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

# Their modules are heavy, and are imported when they are called.
ELSEWHERE: Final = {
    "demo": ("stack.demo", "Sell the catalogue to a crowd of customers, through faults."),
    "check": ("stack.check", "Check the invariants over our books and the sandbox's."),
    "account": ("stack.accounts", "Give an account a role."),
    "webhooks": ("stack.webhooks", "What providers told us: list it, show it, deliver it again."),
    "catalogue": ("stack.catalogue", "Import products from a file."),
    "reconcile": ("stack.reconcile", "Hold what providers settled against our ledger."),
    "bench": ("bench.checkout", "Measure what a checkout costs."),
}
CLEAN_END_S: Final = 0.5
AS_GIVEN: Final = {"allow_extra_args": True, "ignore_unknown_options": True}

Data = Annotated[
    Path | None, typer.Option("--data", help="The data folder; .sagakart in the clone if not set.")
]
Port = Annotated[
    int | None, typer.Option(min=1, max=65535, help="The API's port; 8000 if not set.")
]


def main() -> NoReturn:
    """Runs the command line; a mistake of its user is one line, a defect is a file to send us."""
    try:
        try:
            app(prog_name="sagakart")
        finally:
            _let_threads_end()
    except StackError as error:
        print(f"sagakart: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read our lines has had enough; Python would complain again while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except PermissionError as error:
        remedy = "run as the user who owns it, or choose another folder with --data DIR"
        print(f"sagakart: {error.filename}: permission denied; {remedy}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        print(f"sagakart: unexpected: {error!r}; details in {_keep(error)}", file=sys.stderr)
        sys.exit(1)
    sys.exit(0)


@app.command()
def up(
    data: Data = None,
    port: Port = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return once it is ready, and leave it running.")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option(help="Only this part and those it needs; may be repeated.")
    ] = None,
) -> None:
    """Start everything: servers, workers and the API; Ctrl-C stops it, in order."""
    from stack import up as command

    settings = load(data_dir=data, port=port)
    if detach:
        raise typer.Exit(command.detach(settings, only))
    asyncio.run(command.up(settings, only))


@app.command()
def down(data: Data = None) -> None:
    """Stop what `up` started, in order."""
    from stack import up as command

    command.tell(command.down(load(data_dir=data)))


@app.command()
def status(
    data: Data = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """How each part is; exit code 3 when nothing runs."""
    from stack import up as command

    raise typer.Exit(command.status(load(data_dir=data), as_json=as_json))


@app.command()
def logs(
    part: Annotated[str, typer.Argument(help="A part, as `status` names them.")],
    data: Data = None,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many lines.")] = 50,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on with what is added.")
    ] = False,
) -> None:
    """The end of a part's log."""
    from stack import up as command

    try:
        command.logs(load(data_dir=data), part, lines=lines, follow=follow)
    except KeyboardInterrupt:
        return


@app.command()
def serve(
    role: Annotated[
        str, typer.Argument(help="migrate, seed, workflows, activities, relay or api.")
    ],
    sign_of_life: Annotated[
        Path | None, typer.Option(help="A file to touch every few seconds while all is well.")
    ] = None,
) -> None:
    """Run one process of ours by itself, as containers do."""
    from stack import serve as command

    command.serve(role, load(), sign_of_life)


@app.command(context_settings=AS_GIVEN, add_help_option=False)
def test(context: typer.Context) -> None:
    """Format, lint, types, import rules and tests; what is added goes to pytest."""
    from stack import quality

    raise typer.Exit(quality.test(context.args))


@app.command()
def lint() -> None:
    """Format, lint, types and import rules."""
    from stack import quality

    raise typer.Exit(quality.lint())


def _elsewhere(name: str, module: str, text: str) -> None:
    @app.command(name, help=text, context_settings=AS_GIVEN, add_help_option=False)
    def command(context: typer.Context) -> None:
        loaded = typer.main.get_command(importlib.import_module(module).app)
        code = loaded.main(context.args, f"sagakart {name}", standalone_mode=False)
        raise typer.Exit(code if isinstance(code, int) else 0)


for _name, (_module, _text) in ELSEWHERE.items():
    _elsewhere(_name, _module, _text)


def _let_threads_end() -> None:
    # Temporal's client has threads that may still be at work when the interpreter ends, and then
    # abort the process (temporalio/sdk-python#300): the exit code would not be ours.
    if "temporalio.bridge" in sys.modules:
        sys.stdout.flush()
        time.sleep(CLEAN_END_S)


def _keep(error: Exception) -> Path:
    folder = _default_folder() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "error.log"
    with file.open("a") as output:
        traceback.print_exception(error, file=output)
    return file


def _default_folder() -> Path:
    try:
        return load().data_dir
    except StackError:
        return ROOT / ".sagakart"
