"""The same decode and match as a Bytewax dataflow, run by an environment of its own.

Given every advantage: batches of 2,000 go through the match whole, no recovery
store, no sink but a counter. Prints JSON: reads, hits, wall and processor seconds
from the first message on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, run_main

from alpr.matching import match
from alpr.records import Hit
from ingest.codecs import decode_read, encode
from ingest.hotlists.index import HotlistIndex


class Matching:
    """Batches of messages to encoded hits, counted."""

    def __init__(self, store: Path) -> None:
        self._index = HotlistIndex(store, None)
        self.reads = 0
        self.began: tuple[float, float] | None = None

    def __call__(self, messages: list[Any]) -> Iterator[bytes]:
        """The hits of one batch."""
        self.began = self.began or (time.monotonic(), time.process_time())
        decoded = [decode_read(message.value) for message in messages]
        self.reads += len(decoded)
        now = datetime.now(UTC)
        hits: list[Hit] = []
        for place, entries in self._index.search([read.plate for read in decoded]):
            hits += match(decoded[place], entries, self._index.version, now)
        yield from map(encode, hits)


def main() -> None:
    """Read the topic from its oldest message to its end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--hotlist_store", type=Path, required=True)
    arguments = parser.parse_args()
    matching = Matching(arguments.hotlist_store)
    hits: list[bytes] = []
    flow = Dataflow("match")
    source = KafkaSource([arguments.bootstrap], ["reads"], tail=False, batch_size=2000)
    messages = op.input("reads", flow, source)
    op.output("hits", op.flat_map_batch("match", messages, matching), TestingSink(hits))
    run_main(flow)
    ended = time.monotonic(), time.process_time()
    began = matching.began or ended
    figures = {"wall_s": ended[0] - began[0], "cpu_s": ended[1] - began[1]}
    print(json.dumps({"reads": matching.reads, "hits": len(hits), **figures}))


if __name__ == "__main__":
    main()
