"""How far event time has got, over the partitions of one shard."""

from __future__ import annotations

from collections.abc import Collection, Iterable


class SourceWatermark:
    """The watermark: no later message is expected to be older (all times in Unix seconds).

    It is the least, over the partitions that are not idle, of the newest event
    time seen there, minus `lateness_s`. A partition that has brought nothing
    for `idle_s`, and has nothing waiting to be read, no longer holds the others
    back; when all are idle the watermark follows the clock. It never goes back.
    """

    def __init__(
        self, partitions: Iterable[int], lateness_s: float, idle_s: float, now: float
    ) -> None:
        self._newest: dict[int, float | None] = dict.fromkeys(partitions)
        self._active = dict.fromkeys(self._newest, now)
        self._lateness_s = lateness_s
        self._idle_s = idle_s
        self._watermark = float("-inf")

    def observe(self, partition: int, event_time: float, now: float) -> None:
        """A message of this partition has this event time; it came now."""
        newest = self._newest[partition]
        if newest is None or event_time > newest:
            self._newest[partition] = event_time
        self._active[partition] = now

    def current(self, now: float, behind: Collection[int] = ()) -> float:
        """The watermark now; -inf until there is anything to say.

        Partitions that are `behind` have messages not yet read, as after an outage: however
        long they have not been heard, they are not idle.
        """
        waited_for = [
            p for p, active in self._active.items() if p in behind or now - active < self._idle_s
        ]
        times = [self._newest[p] for p in waited_for]
        if not times:
            bound = now - self._lateness_s
        else:
            known = [t for t in times if t is not None]
            # A partition not yet idle and not yet heard of: nothing can be said.
            bound = min(known) - self._lateness_s if len(known) == len(times) else float("-inf")
        # A camera's clock may run ahead; event time never runs ahead of ours.
        self._watermark = max(self._watermark, min(bound, now - self._lateness_s))
        return self._watermark
