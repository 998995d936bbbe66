from __future__ import annotations

from datetime import timedelta

from ingest.simulator.demo import demo_world
from ingest.simulator.plan import make_plan
from ingest.simulator.wanted import make_hotlist
from tests.unit.ingest.simulator.worlds import START


def test_the_list_has_every_kind_of_entry() -> None:
    plan = make_plan(demo_world(2), START, 60)
    entries = make_hotlist(plan, share=0.4, others=30)
    assert entries == make_hotlist(plan, share=0.4, others=30)
    assert len({entry.entry_id for entry in entries}) == len(entries)
    states: dict[str, set[str]] = {}
    for shown in plan.shown:
        states.setdefault(shown.plate, set()).add(shown.state)
    end = max(shown.last_seen for shown in plan.shown)
    mine = [entry for entry in entries if entry.plate in states]
    kinds = {
        "no state": [e for e in mine if e.state is None],
        "same state": [e for e in mine if e.state in states[e.plate]],
        "another state": [e for e in mine if e.state and e.state not in states[e.plate]],
        "expired": [e for e in mine if e.valid_to is not None and e.valid_to < START],
        "later": [e for e in mine if e.valid_from > end],
        "half-way": [e for e in mine if START < e.valid_from < end],
    }
    assert all(kinds.values()), {name: len(found) for name, found in kinds.items()}
    assert len(entries) - len(mine) >= 29
    assert any(
        e.valid_from <= START and (e.valid_to is None or e.valid_to > end + timedelta(hours=1))
        for e in mine
    )
