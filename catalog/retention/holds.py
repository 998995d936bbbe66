"""Holds as people use them: add, renew, release, list, show."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from alpr.errors import BadInput, ConfigurationError
from alpr.holds import (
    HeldRecord,
    Hold,
    HoldEvent,
    HoldKind,
    HoldState,
    Requested,
    fold,
    make_hold,
    release,
    renewal,
)
from alpr.policy import HoldRule, hold_rule
from catalog.lake import Lake
from catalog.policies import load_policies
from catalog.retention.evidence import complete, hold_log


@dataclass(frozen=True)
class Purpose:
    """Why records are to be held: the words that stay in the hold's history.

    `clause`: of the records' policy; empty: that of its only rule for this kind.
    `until`: the last local day in force, None as `alpr.holds.make_hold`.
    """

    kind: HoldKind
    clause: str
    reason: str
    case_number: str = ""
    until: date | None = None


class Holds:
    """The holds of a lake. `now` gives the time (UTC); `who` is the person who acts.

    Every method raises Unavailable if catalogue or store do not answer: the same call, or the
    next purge, goes on where it stopped.
    """

    def __init__(
        self,
        lake: Lake,
        who: str,
        now: Callable[[], datetime],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._lake = lake
        self._who = who
        self._now = now
        self._sleep = sleep
        self._log = hold_log(lake)

    def add(self, records: Sequence[HeldRecord], purpose: Purpose) -> HoldState:
        """Hold records, and return once they are copied, read back and compared.

        The state may also be `refused` (they had gone before) or `stuck` (they cannot be read:
        they stay where they are until somebody acts). The same records for the same purpose
        again give the same hold. Raises BadInput (`bad-hold`), also where the records' policy
        does not know such a hold.
        """
        hold = self._hold(records, purpose)
        events = self._log.decide(
            hold.hold_id, lambda known: None if known else Requested(hold), hold.added_at
        )
        state = fold(events)
        if state.is_unfinished(self._now()):
            state = complete(self._lake, state, self._now(), sleep=self._sleep)
        return state

    def renew(self, hold_id: str, reason: str, until: date | None = None) -> HoldState:
        """Put off its last day. Raises BadInput as `alpr.holds.renewal`, or `unknown-hold`."""
        now = self._now()
        return self._change(
            hold_id, lambda state: renewal(state, by=self._who, at=now, reason=reason, until=until)
        )

    def release(self, hold_id: str, reason: str) -> HoldState:
        """End it: its copies go with the next purge. Raises BadInput as `renew`."""
        now = self._now()
        return self._change(
            hold_id, lambda state: release(state, by=self._who, at=now, reason=reason)
        )

    def note(self, hold_id: str, event: HoldEvent) -> HoldState:
        """Add an event to a hold's history."""
        return self._change(hold_id, lambda _: event)

    def state(self, hold_id: str) -> HoldState:
        """One hold. Raises BadInput (`unknown-hold`)."""
        return fold(self.history(hold_id))

    def history(self, hold_id: str) -> list[HoldEvent]:
        """The events of one hold. Raises BadInput (`unknown-hold`)."""
        return _known(hold_id, self._log.events(hold_id))

    def all(self) -> list[HoldState]:
        """Every hold there ever was, oldest first."""
        return [fold(events) for events in self._log.subjects().values()]

    def find(self, start: str) -> str:
        """The id that begins like this. Raises BadInput (`unknown-hold`) unless it is one."""
        matches = [hold_id for hold_id in self._log.subjects() if hold_id.startswith(start)]
        if len(matches) != 1:
            raise BadInput(
                "unknown-hold",
                f"{len(matches)} holds have an id that begins with {start!r}: "
                "see `platelake hold list`",
            )
        return matches[0]

    def _hold(self, records: Sequence[HeldRecord], purpose: Purpose) -> Hold:
        """The newest hold for this purpose that has not ended, or the one to be made."""
        now, earlier = self._now(), 0
        zone, rule = self._zone(records), self._rule(records, purpose)
        while True:
            hold = make_hold(
                kind=purpose.kind,
                records=records,
                case_number=purpose.case_number,
                clause=purpose.clause if rule is None else rule.clause,
                reason=purpose.reason,
                added_by=self._who,
                added_at=now,
                zone=zone,
                until=purpose.until,
                lasts=None if rule is None else rule.lasts,
                earlier=earlier,
            )
            known = self._log.events(hold.hold_id)
            if not known or fold(known).status(now) in ("requested", "stuck", "held"):
                return hold
            earlier += 1

    def _zone(self, records: Sequence[HeldRecord]) -> str:
        if not records:
            raise BadInput("bad-hold", "a hold is for at least one record")
        try:
            return self._lake.retention.zone_of(min(records).retention_class)
        except ConfigurationError:
            return "UTC"  # no policy has the class any more: all the more they must be kept

    def _rule(self, records: Sequence[HeldRecord], purpose: Purpose) -> HoldRule | None:
        """By which rule of the policies that they landed under the records are held."""
        policies = load_policies(self._lake.config.retention_file)
        known = self._lake.retention.classes
        names = {known[r.retention_class].policy for r in records if r.retention_class in known}
        rule = hold_rule(
            [policies.known[name] for name in sorted(names & policies.known.keys())],
            purpose.kind,
            purpose.clause,
        )
        if rule is None and not purpose.clause:
            raise BadInput(
                "bad-hold",
                f"the records' policy ({', '.join(sorted(names)) or 'unknown'}) states no holds: "
                "name the clause or statute that asks for this one (--clause)",
            )
        return rule

    def _change(self, hold_id: str, decide: Callable[[HoldState], HoldEvent]) -> HoldState:
        return fold(
            self._log.decide(
                hold_id, lambda events: decide(fold(_known(hold_id, events))), self._now()
            )
        )


def _known(hold_id: str, events: Sequence[HoldEvent]) -> list[HoldEvent]:
    if not events:
        raise BadInput("unknown-hold", f"there is no hold {hold_id}: see `platelake hold list`")
    return list(events)
