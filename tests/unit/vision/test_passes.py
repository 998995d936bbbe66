from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpr.errors import ConfigurationError, Corrupt
from vision.passes import (
    FinishedPass,
    PassRules,
    PassState,
    dump,
    flush,
    load,
    observe,
    still,
)
from vision.port import Box, PlateReading

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
END = datetime.max.replace(tzinfo=UTC)
RULES = PassRules()
SLOW = PassRules(agreeing=100, patience=timedelta(hours=1))  # tells a pass only when it closes


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def reading(
    text: str,
    x: float = 100,
    y: float = 100,
    confidence: float = 0.9,
    others: Sequence[tuple[str, float]] = (),
    state: str | None = None,
) -> PlateReading:
    return PlateReading(
        box=Box(x, y, 80, 40),
        text=text,
        confidence=confidence,
        candidates=((text, confidence), *others),
        state=state,
        state_confidence=0.9 if state else None,
        detection_score=0.9,
    )


def run(
    frames: Iterable[tuple[float, Sequence[PlateReading]]], rules: PassRules = RULES
) -> list[FinishedPass]:
    state, told = PassState(), []
    for sequence, (seconds, readings) in enumerate(frames):
        state, finished = observe(state, at(seconds), sequence, readings, rules=rules)
        told += finished
    return told + flush(state, END, rules)[1]


def reads(told: Iterable[FinishedPass]) -> list[str]:
    return [p.plate for p in told if p.kind == "read"]


def test_one_vehicle_is_one_read_with_identity_of_its_first_frame() -> None:
    told = run([(i * 0.2, [reading("ABC1234", x=100 + 30 * i)]) for i in range(8)])
    (only,) = told
    assert (only.kind, only.plate, only.source_id) == ("read", "ABC1234", "0.0")
    assert only.first_seen == at(0)


def test_sure_frames_that_agree_are_told_before_the_vehicle_has_gone() -> None:
    state, told = observe(PassState(), at(0), 0, [reading("ABC1234")])
    assert not told
    state, told = observe(state, at(0.2), 1, [reading("ABC1234")])
    assert reads(told) == ["ABC1234"]
    for i in range(2, 30):
        state, told = observe(state, at(i * 0.2), i, [reading("ABC1234", x=100 + 5 * i)])
        assert not told
    assert flush(state, END)[1] == []


def test_unsure_frames_wait_until_patience_is_over() -> None:
    frames = [(i * 0.5, [reading("ABC1234", confidence=0.5)]) for i in range(20)]
    state, when = PassState(), []
    for sequence, (seconds, readings) in enumerate(frames):
        state, told = observe(state, at(seconds), sequence, readings)
        when += [seconds] * len(told)
    assert when == [3.0]


def test_two_vehicles_in_one_frame_are_two_passes() -> None:
    frames = [
        (i * 0.2, [reading("ABC1234", x=100 + 9 * i), reading("XYZ9876", x=600 - 9 * i)])
        for i in range(6)
    ]
    told = run(frames, SLOW)
    assert sorted(reads(told)) == ["ABC1234", "XYZ9876"]
    assert {p.source_id for p in told} == {"0.0", "0.1"}


def test_identity_does_not_depend_on_the_order_of_readings() -> None:
    two = [reading("ABC1234", x=100), reading("XYZ9876", x=600)]
    ids = [{p.plate: p.source_id for p in run([(0.0, order)], SLOW)} for order in (two, two[::-1])]
    assert ids[0] == ids[1] == {"ABC1234": "0.0", "XYZ9876": "0.1"}


def test_similar_plates_side_by_side_stay_apart() -> None:
    frames = [(i * 0.2, [reading("POL1234", x=100), reading("POL1235", x=500)]) for i in range(4)]
    assert sorted(reads(run(frames, SLOW))) == ["POL1234", "POL1235"]


def test_next_vehicle_at_the_same_stop_line_is_another_pass() -> None:
    frames = [(i * 0.2, [reading("ABC1234")]) for i in range(4)]
    frames += [(0.8 + i * 0.2, [reading("KLM5678")]) for i in range(4)]
    assert reads(run(frames)) == ["ABC1234", "KLM5678"]


def test_unsure_misreading_in_the_same_place_is_no_second_vehicle() -> None:
    frames = [(0.0, [reading("ABC1234")]), (0.2, [reading("8O", x=110, confidence=0.35)])]
    frames += [(0.4, [reading("ABC1234", x=120)])]
    assert reads(run(frames, SLOW)) == ["ABC1234"]


def test_same_text_far_away_is_the_same_fast_vehicle() -> None:
    frames = [(0.0, [reading("ABC1234", x=0)]), (0.5, [reading("ABC1234", x=1100)])]
    assert reads(run(frames, SLOW)) == ["ABC1234"]


def test_second_box_on_the_same_plate_is_not_a_second_vehicle() -> None:
    twice = [reading("ABC1234"), reading("BC1234", x=112, confidence=0.6)]
    assert reads(run([(i * 0.2, twice) for i in range(3)], SLOW)) == ["ABC1234"]


def test_votes_decide_by_character_where_no_frame_is_right() -> None:
    texts = ["A8C1234", "ABC1Z34", "ABC123A", "ABC1234", "ABO1234", "ABG1234"]
    frames = [(i * 0.1, [reading(t, confidence=0.6)]) for i, t in enumerate(texts) if i != 3]
    (only,) = run(frames, SLOW)
    assert only.plate == "ABC1234"
    assert only.plate_raw in texts


def test_confidence_of_one_frame_is_that_of_its_reading() -> None:
    (only,) = run([(0.0, [reading("ABC1234", confidence=0.62, others=[("ABC1Z34", 0.2)])])])
    assert only.confidence == pytest.approx(0.62, abs=0.01)
    assert only.candidates[1] == pytest.approx(("ABC1Z34", 0.2), abs=0.01) or (
        only.candidates[1][0] == "ABC1Z34" and only.candidates[1][1] == pytest.approx(0.2, abs=0.01)
    )


def test_agreement_raises_confidence_and_dissent_lowers_it() -> None:
    def confidence(*texts: str) -> float:
        frames = [(i * 0.1, [reading(t, confidence=0.7)]) for i, t in enumerate(texts)]
        (only,) = run(frames, SLOW)
        return only.confidence

    alone = confidence("ABC1234")
    assert confidence("ABC1234", "ABC1234", "ABC1234") > alone
    assert confidence("ABC1234", "ABC1284", "ABC1234", "ABC1284", "ABC1234") < alone


def test_pass_below_the_floor_is_counted_but_not_read() -> None:
    (only,) = run([(i * 0.2, [reading("AB", confidence=0.1)]) for i in range(5)])
    assert (only.kind, only.plate, only.candidates) == ("unread", "", ())


def test_doubtful_detection_begins_no_pass() -> None:
    faint = PlateReading(Box(0, 0, 80, 40), "AB", 0.1, (("AB", 0.1),), None, None, 0.35)
    assert run([(0.0, [faint])]) == []
    clear = PlateReading(Box(0, 0, 80, 40), "ABC1234", 0.6, (("ABC1234", 0.6),), None, None, 0.35)
    assert reads(run([(0.0, [clear])])) == ["ABC1234"]


def test_vehicle_that_comes_back_within_the_linger_is_absorbed_and_later_is_new() -> None:
    rules = PassRules(linger=timedelta(seconds=10))
    soon = run([(0.0, [reading("ABC1234")]), (5.0, []), (9.0, [reading("ABC1234")])], rules)
    assert reads(soon) == ["ABC1234"]
    later = run([(0.0, [reading("ABC1234")]), (5.0, []), (20.0, [reading("ABC1234")])], rules)
    assert reads(later) == ["ABC1234", "ABC1234"]
    assert len({(p.first_seen, p.source_id) for p in later}) == 2


def test_parked_vehicle_in_an_unchanged_picture_is_one_read_and_told_at_once() -> None:
    state, told = observe(PassState(), at(0), 0, [reading("ABC1234")])
    assert told == []
    when = []
    for i in range(1, 3600):
        state, told = still(state, at(i * 0.5))
        when += [i * 0.5 for _ in told]
    assert when == [1.0]
    # Someone walks through the picture half an hour later: the vehicle is read again, not told.
    state, told = observe(state, at(1800), 3600, [reading("ABC1234")])
    assert told + flush(state, END)[1] == []


def test_still_frames_keep_only_what_the_last_picture_showed() -> None:
    state, _ = observe(PassState(), at(0), 0, [reading("ABC1234", confidence=0.5)], rules=SLOW)
    state, _ = observe(state, at(0.5), 1, [], rules=SLOW)
    state, _ = still(state, at(1.0), SLOW)
    state, told = still(state, at(1.5), SLOW)
    assert reads(told) == ["ABC1234"]
    assert told[0].last_seen == at(0)


def test_late_frame_votes_in_its_pass_and_moves_nothing() -> None:
    state, _ = observe(PassState(), at(0), 0, [reading("ABC1234", x=100)], rules=SLOW)
    state, _ = observe(state, at(0.6), 2, [reading("ABC1234", x=160)], rules=SLOW)
    state, _ = observe(state, at(0.3), 1, [reading("ABC1284", x=130)], rules=SLOW)
    assert state.newest == at(0.6)
    (track,) = state.tracks
    assert (track.frames, track.box.x, track.last_seen) == (3, 160, at(0.6))


def test_late_frame_of_an_unknown_vehicle_is_still_a_read() -> None:
    frames = [(10.0, [reading("ABC1234")]), (2.0, [reading("XYZ9876", x=600)])]
    assert sorted(reads(run(frames))) == ["ABC1234", "XYZ9876"]


def test_late_frame_of_a_told_vehicle_is_absorbed() -> None:
    frames = [(i * 0.2, [reading("ABC1234", x=100 + 20 * i)]) for i in range(10)]
    frames.append((0.1, [reading("ABC1234", x=110)]))
    assert reads(run(frames)) == ["ABC1234"]


def test_state_is_voted() -> None:
    frames = [
        (i * 0.2, [reading("ABC1234", state=s)]) for i, s in enumerate(["TX", "CA", "TX", "TX"])
    ]
    (only,) = run(frames, SLOW)
    assert only.state == "TX"
    assert only.state_confidence == pytest.approx(0.75)


def test_pictures_come_from_the_best_frame_and_are_made_only_for_better_ones() -> None:
    made: list[float] = []

    def images(box: Box) -> tuple[bytes, bytes]:
        made.append(box.x)
        return f"crop {box.x}".encode(), f"overview {box.x}".encode()

    state = PassState()
    for i, confidence in enumerate((0.5, 0.7, 0.6, 0.705)):
        frame = [reading("ABC1234", x=100.0 + i, confidence=confidence)]
        state, _ = observe(state, at(i * 0.1), i, frame, images, SLOW)
    (only,) = flush(state, END, SLOW)[1]
    assert made == [100.0, 101.0]
    assert (only.crop, only.overview) == (b"crop 101.0", b"overview 101.0")
    assert (only.captured_at, only.sequence) == (at(0.1), 1)


def test_told_pass_keeps_no_pictures_in_the_state() -> None:
    big = b"x" * 30_000
    state = PassState()
    for i in range(4):
        state, _ = observe(
            state, at(i * 0.1), i, [reading("ABC1234")], lambda _: (big, big), PassRules()
        )
    assert len(dump(state)) < 2_000


def test_state_of_a_busy_camera_stays_small() -> None:
    state = PassState()
    for i in range(2_000):
        frame = [reading(f"{i // 3:07d}"[::-1], x=(i % 3) * 40)]
        state, _ = observe(state, at(i * 0.2), i, frame)
    assert len(state.tracks) < 60


def test_bytes_that_are_no_state_are_refused() -> None:
    with pytest.raises(Corrupt, match="not the state of passes"):
        load(b"\x93nonsense")


@pytest.mark.parametrize(
    "values",
    [{"gap": timedelta()}, {"gap": timedelta(minutes=1)}, {"agreeing": 0}, {"sure": 1.5}],
)
def test_impossible_rules_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        PassRules(**values)


PLATES = ("ABC1234", "XYZ9876", "KLM5678")
LANES = (50.0, 450.0, 850.0)


@st.composite
def traffic(draw: st.DrawFn) -> list[tuple[float, list[PlateReading]]]:
    """Frames in which up to three vehicles, each in its lane, come and go and are misread."""
    frames = []
    spans = [sorted(draw(st.tuples(st.integers(0, 30), st.integers(0, 30)))) for _ in PLATES]
    seconds = 0.0
    for step in range(31):
        seconds += draw(st.sampled_from((0.1, 0.2, 0.35)))
        seen = []
        for plate, x, (begin, end) in zip(PLATES, LANES, spans, strict=True):
            if begin <= step <= end:
                wrong = draw(st.booleans())
                place = draw(st.integers(0, 6))
                text = plate[:place] + "Q" + plate[place + 1 :] if wrong else plate
                confidence = draw(st.sampled_from((0.3, 0.6, 0.9)))
                moved = x + 3 * (step - begin)
                seen.append(reading(text, x=moved, confidence=confidence))
        frames.append((seconds, seen))
    return frames


@settings(max_examples=60, deadline=None)
@given(traffic())
def test_never_two_reads_for_one_track(frames: list[tuple[float, list[PlateReading]]]) -> None:
    told = run(frames)
    shown = {
        lane
        for _, seen in frames
        for lane, x in enumerate(LANES)
        if any(x <= r.box.x < x + 100 for r in seen)
    }
    lanes = [next(n for n, x in enumerate(LANES) if x <= p.box.x < x + 100) for p in told]
    assert sorted(lanes) == sorted(shown)


@settings(max_examples=60, deadline=None)
@given(traffic(), st.data())
def test_restarts_and_watermarks_between_frames_change_nothing(
    frames: list[tuple[float, list[PlateReading]]], data: st.DataObject
) -> None:
    state, told = PassState(), []
    for sequence, (seconds, readings) in enumerate(frames):
        if data.draw(st.booleans()):
            assert load(dump(state)) == state
            state = load(dump(state))
        if data.draw(st.booleans()):
            state, finished = flush(state, at(seconds))
            told += finished
        state, finished = observe(state, at(seconds), sequence, readings)
        told += finished
    told += flush(state, END)[1]
    assert told == run(frames)


@settings(max_examples=60, deadline=None)
@given(traffic(), st.randoms(use_true_random=False))
def test_frames_in_any_order_keep_the_rules(
    frames: list[tuple[float, list[PlateReading]]], random: Random
) -> None:
    shuffled = list(frames)
    random.shuffle(shuffled)
    told = run(shuffled)
    assert run(shuffled) == told
    identities = [(p.first_seen, p.source_id) for p in told]
    assert len(identities) == len(set(identities))
    if any(seen for _, seen in frames):
        assert told
