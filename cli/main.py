"""`platelake`: one command, one module a verb group."""

from __future__ import annotations

import sys
from importlib import import_module

import typer

from alpr.errors import ConfigurationError, PlatelakeError, Unavailable

app = typer.Typer(
    name="platelake",
    help="The open ALPR central repository: frames in, hits out, every read kept as policy says.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

EXIT_FAILED, EXIT_CONFIGURATION, EXIT_UNAVAILABLE = 1, 3, 4


def main() -> None:
    """Run the command line; errors become one line on stderr and an exit code that means something.

    Exit codes: 0 done, 1 what was checked is not so, 2 wrong usage,
    3 the installation is not set up for this, 4 a service does not answer.
    """
    try:
        app()
    except PlatelakeError as error:
        print(f"platelake: {error}", file=sys.stderr)
        match error:
            case ConfigurationError():
                sys.exit(EXIT_CONFIGURATION)
            case Unavailable():
                sys.exit(EXIT_UNAVAILABLE)
            case _:
                sys.exit(EXIT_FAILED)


for _group in (
    "services",
    "jobs",
    "hotlist",
    "demo",
    "feed",
    "simulate",
    "lake",
    "lookup",
    "retain",
    "hold",
    "agency",
    "quality",
    "cameras",
    "ocr",
    "dead_letters",
    "bench",
):
    import_module(f"cli.{_group}").register(app)


if __name__ == "__main__":
    main()
