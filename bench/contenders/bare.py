"""The same decode and match in a bare kafka-python loop: no engine, no checkpoint, no lake.

What a team would write first. Prints JSON: reads, hits, wall and processor seconds
from the first message on.
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import kafka

from alpr.matching import match
from ingest.codecs import decode_read, encode
from ingest.hotlists.index import HotlistIndex


def main() -> None:
    """Read the topic from its oldest message to its end as it is now."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--hotlist_store", type=Path, required=True)
    arguments = parser.parse_args()
    index = HotlistIndex(arguments.hotlist_store, None)
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=arguments.bootstrap,
        group_id=None,
        enable_auto_commit=False,
        max_poll_records=2000,
    )
    partitions = [
        kafka.TopicPartition("reads", p) for p in consumer.partitions_for_topic("reads") or ()
    ]
    consumer.assign(partitions)
    left = sum(consumer.end_offsets(partitions).values())
    left -= sum(consumer.beginning_offsets(partitions).values())
    consumer.seek_to_beginning(*partitions)
    reads = hits = 0
    wall = cpu = 0.0
    while reads < left:
        polled = consumer.poll(timeout_ms=200)
        if polled and not reads:
            wall, cpu = time.monotonic(), time.process_time()
        for records in polled.values():
            decoded = [decode_read(record.value) for record in records]
            reads += len(decoded)
            now = datetime.now(UTC)
            for place, entries in index.search([read.plate for read in decoded]):
                for hit in match(decoded[place], entries, index.version, now):
                    encode(hit)
                    hits += 1
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    consumer.close()
    print(json.dumps({"reads": reads, "hits": hits, "wall_s": wall, "cpu_s": cpu}))


if __name__ == "__main__":
    main()
