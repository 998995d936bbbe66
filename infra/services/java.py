"""How a Java program of the stack is run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

LOG_CONFIG = Path(__file__).parents[1] / "log4j2.xml"


def java_argv(
    java: Path,
    jars: Path,
    main: str,
    *arguments: str,
    heap_mib: int,
    options: Sequence[str] = (),
) -> tuple[str, ...]:
    """The command line of `main` on all jars of a folder.

    Out of memory ends the program: a dead process is seen and replaced, a crippled one is not.
    """
    return (
        str(java),
        f"-Xmx{heap_mib}m",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        "-Dfile.encoding=UTF-8",
        f"-Dlog4j2.configurationFile={LOG_CONFIG}",
        *options,
        "-cp",
        f"{jars}/*",
        main,
        *arguments,
    )
