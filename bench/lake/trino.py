"""`python -m bench.lake.trino --home DIR`: one plate in the year, asked of Trino and of DuckDB.

Both read the same table and use no index of plates. The first answer of each is `cold` (Trino has
just started, DuckDB has just connected), the best of the next two `warm`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sized
from functools import partial
from pathlib import Path
from typing import Final

import duckdb

from bench.lake.home import lake_at
from bench.lake.lookups import draw_plates
from catalog.query import connect
from tests.support.trino import Client

_TIMES: Final = 3
_DEADLINE_S: Final = 900.0


def timed(ask: Callable[[], Sized]) -> dict[str, float]:
    """Seconds of the first answer and of the best of the others, and how many rows came."""
    seconds = []
    rows = 0
    for _ in range(_TIMES):
        start = time.perf_counter()
        rows = len(ask())
        seconds.append(time.perf_counter() - start)
    return {"rows": rows, "cold_s": round(seconds[0], 3), "warm_s": round(min(seconds[1:]), 3)}


def _ask(connection: duckdb.DuckDBPyConnection, query: str) -> Sized:
    return connection.execute(query).fetchall()


def main() -> None:
    """Start Trino on the home's lake, ask both, and print figures and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder of `bench.lake.generate`")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--plates", type=int, default=3)
    options = parser.parse_args()
    with lake_at(options.home) as (installation, lake):
        plates, _ = draw_plates(lake, options.seed, options.plates)
        trino = installation.stack.trino
        try:
            trino.start()
            client = Client.of(trino, "investigator")
            client.deadline_s = _DEADLINE_S
            for number, plate in enumerate(plates):
                # Drawn from our own lake: letters and digits only.
                query = f"SELECT * FROM reads WHERE plate = '{plate}'"
                figures = {"trino": timed(partial(client.ask, query))}
                with connect(lake) as duck:
                    figures["duckdb"] = timed(partial(_ask, duck, query))
                ratio = figures["trino"]["warm_s"] / figures["duckdb"]["warm_s"]
                print(json.dumps({"plate": number, **figures, "ratio_warm": round(ratio, 2)}))
        finally:
            trino.stop()


if __name__ == "__main__":
    main()
