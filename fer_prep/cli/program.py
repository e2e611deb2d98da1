"""What both command lines are: a group of commands that ends as a person expects, with the options all of ours have.

Exit codes: 0 done; 1 done, but something is wrong with the data (too many rejected, a check that failed);
2 wrong usage or unreadable input; 130 interrupted.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import typer
from rich.markup import escape
from typer.core import TyperGroup, TyperOption

from fer_prep.cli.console import EXIT_INTERRUPTED, EXIT_UNUSABLE, console, messages, report_error
from fer_prep.cli.usage_errors import explain, explain_usage
from fer_prep.cli.workspace import read_default_map
from fer_prep.errors import FerError
from fer_prep.outputs import consent

ANYWHERE: Final = ("--debug", "--force", "--quiet", "--show-all-subjects", "--verbose")
"""Options of the whole program that may also stand behind the command, where people write them."""


class PlainGroup(TyperGroup):
    """A group whose help shows no type behind a flag: ``--quiet <bool>`` would read as if a value had to follow."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The options of the group itself."""
        return _with_bare_flags(super().get_params(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """One of the commands; its ``--help`` is made on demand, which is why it is asked for here."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            _with_bare_flags(command.get_params(ctx))
        return command


def _with_bare_flags(params: list[Any]) -> list[Any]:
    for param in params:
        if isinstance(param, TyperOption) and param.is_bool_flag and param.metavar is None:
            param.metavar = ""
    return params


class FerGroup(PlainGroup):
    """A command group in which every mistake, full disk, Ctrl-C and closed pipe ends as a person expects."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, standalone_mode: bool = True, **options: Any) -> Any:
        """Run the program; what a terminal that is not UTF-8 cannot show becomes a question mark, not a crash."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        args = _hoist(list(sys.argv[1:] if args is None else args))
        if not standalone_mode:
            return super().main(args, *rest, standalone_mode=False, **options)
        try:
            code = super().main(args, *rest, standalone_mode=False, **options)
        except typer.TyperException as error:
            if type(error).__name__ != "NoArgsIsHelpError":  # the help that a bare program shows is no error
                report_error(explain_usage(error))
            code = error.exit_code
        except typer.Abort:
            code = EXIT_INTERRUPTED
        except SystemExit as left:
            # Typer and rich leave with 1 when the reader of a help text goes away (| head)
            code = 0 if isinstance(left.__context__, BrokenPipeError) else left.code
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command; ``--debug`` lets errors through with their traceback."""
        try:
            ctx.default_map = read_default_map(self, program=self.name or "")
            return super().invoke(ctx)
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever presses again wants out at once
            goes_on = _how_to_continue(ctx)
            messages.print("[yellow]interrupted[/]" + escape(goes_on and f": {goes_on}"), soft_wrap=True)
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except BrokenPipeError:
            # the reader of our output went away (| head): leave quietly, as other Unix programs do
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except (FerError, ImportError, OSError) as error:
            explained = explain(error, then=_how_to_continue(ctx))
            if messages.debug_run or explained is None:
                raise
            report_error(explained)
            raise typer.Exit(EXIT_UNUSABLE) from None


def _how_to_continue(ctx: typer.Context) -> str:
    """How to go on with the command that was stopped; empty where it leaves nothing behind."""
    continues: Mapping[str, str] = ctx.obj or {}
    return continues.get(ctx.invoked_subcommand or "", "")


def _hoist(args: list[str]) -> list[str]:
    """Move the options of the whole program to the front.

    >>> _hoist(["merge", "--quiet", "--out", "a.h5", "--", "--debug"])
    ['--quiet', 'merge', '--out', 'a.h5', '--', '--debug']
    """
    end = args.index("--") if "--" in args else len(args)
    ours = [arg for arg in args[:end] if arg in ANYWHERE]
    return ours + [arg for arg in args[:end] if arg not in ANYWHERE] + args[end:]


def make_app(program: str, *, version: str, help: str, continues: Mapping[str, str]) -> typer.Typer:
    """A command-line program with the options that all of ours have; commands are then registered on it.

    ``continues`` says for a command how to go on with it after it was stopped.
    """
    app = typer.Typer(
        name=program,
        cls=FerGroup,
        context_settings={"obj": continues},
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        help=help,
    )

    def print_version(wanted: bool) -> None:
        if wanted:
            console.print(f"{program} {version}")
            raise typer.Exit

    # as default values, not in annotations: those are evaluated as strings, outside of this function
    @app.callback()
    def options(
        quiet: bool = typer.Option(False, "--quiet", help="Results, warnings and errors only."),
        verbose: bool = typer.Option(False, "--verbose", help="Progress as lines where there is no terminal."),
        debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
        show_all: bool = typer.Option(
            False, "--show-all-subjects", help="Also show people whose pictures may not be published."
        ),
        force: bool = typer.Option(False, "--force", help="Replace files of another kind that are in the way."),
        version: bool = typer.Option(
            False, "--version", callback=print_version, is_eager=True, help="Print the version."
        ),
    ) -> None:
        """Options of the whole program; commands follow."""
        messages.quiet_run, messages.verbose_run, messages.debug_run = quiet, verbose and not quiet, debug
        consent.given, consent.to_show_all = force, show_all

    return app
