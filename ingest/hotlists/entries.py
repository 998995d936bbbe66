"""Fields of a source into entries: cleaned, checked, mapped and given ids, whole columns at once.

The same rules as `HotlistEntry` has for one entry. A row that breaks one is rejected with a
reason; nothing of what it held is kept.
"""

from __future__ import annotations

import binascii
import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Meta
from numpy.typing import NDArray

from alpr.records import Category, Name, State
from ingest.hotlists.columns import Rows
from ingest.hotlists.keys import MAX_LENGTH, column_keys
from ingest.hotlists.layouts import CATEGORIES, VEHICLE, Layout
from ingest.hotlists.moments import parse_moments
from ingest.hotlists.rejects import Reason, Rejects
from ingest.hotlists.table import SCHEMA

PRIORITIES: Final[dict[str, int]] = {
    "amber": 1,
    "silver": 1,
    "blue": 1,
    "threat-to-officer": 1,
    "gang-terrorist-watch": 1,
    "stolen-vehicle": 2,
    "stolen-plate": 2,
    "wanted-person": 2,
    "missing-person": 2,
    "missing-college-student": 2,
    "protection-order": 2,
    "suspended-registration": 5,
    "unregistered": 5,
}
"""Priority where neither the row nor the source's settings tell one: a life at risk, then crimes,
and last what only a fee would settle. All others 3, the middle."""

_TOO_LONG: Final = {"record": 128, "case_number": 64, "reason": 1000, "category_raw": 40}
_VEHICLE_LENGTH: Final = 200
_HEADER_WORDS: Final = frozenset(
    ("LIC", "LICENSE", "LICENSENUM", "LICENSEPLATE", "LICNO", "LICPLATE", "LPN", "NUMBER", "PLATE",
     "PLATENO", "PLATENUM", "PLATENUMBER", "REGISTRATION", "TAG", "TAGNUMBER")
)  # fmt: skip
_CONTROL: Final = r"\p{Cc}+"
_NO_PLATE: Final = r"[^\x00-\x7f\x{a0}\x{b7}\x{2010}-\x{2015}\x{2022}]"
"""What no plate has, beside letters, digits and signs between them. Leaving it out would make
another plate of it, and that is somebody else's."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a source's owner adds to its layout."""

    source: Name
    category: Category | None = None
    """Of rows whose layout has no field for it."""
    categories: dict[str, Category] = {}
    """Letters that this source uses in another way than its layout says."""
    state: State | None = None
    """Where a row names none."""
    agency: Name | None = None
    priority: Annotated[int, Meta(ge=1, le=5)] | None = None
    timezone: str | None = None


@dataclass
class Tally:
    """What was noticed on the way, besides rejects."""

    unknown: Counter[str] = field(default_factory=Counter)
    """Letters without a meaning, and how many rows had them."""
    first_word: int | None = None
    """Row of the first unknown word, which is itself not told."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Fields that could not be used, of rows that were kept."""


class Entries(NamedTuple):
    """Entries of one block: columns (SCHEMA), and what is not in them."""

    table: pa.RecordBatch
    numbers: NDArray[np.int64]
    stated: NDArray[np.bool_]
    """Whether the row itself says since when it is valid."""
    removes: NDArray[np.bool_]


class Normaliser:
    """Rows of one source into entries."""

    def __init__(
        self,
        layout: Layout,
        settings: Settings,
        loaded_at: datetime,
        rejects: Rejects,
        tally: Tally,
    ) -> None:
        self._layout = layout
        self._settings = settings
        self._loaded_at = loaded_at
        self._rejects = rejects
        self._tally = tally
        self._timezone = settings.timezone or layout.timezone
        meanings = layout.categories or {name.upper(): name for name in CATEGORIES}
        self._meanings = {**meanings, **{k.upper(): v for k, v in settings.categories.items()}}

    def entries(self, rows: Rows) -> Entries:
        """The entries of a block; its rejects are counted."""
        check = _Check(rows, self._layout, self._rejects)
        text = {name: _clean(column) for name, column in rows.fields.items()}
        for name in self._layout.required:
            if name != "plate":
                check.reject(_true(pc.is_null(text[name])), "field-missing")
        plate = self._plates(text["plate"], check)
        words = text.get("category", pa.nulls(len(rows.numbers), pa.string()))
        category, raw = self._categories(words, text.get("category_raw"))
        check.pass_header(plate, words, self._strange)
        state = self._states(text.get("state"), len(rows.numbers), check)
        removes = self._actions(text.get("action"), len(rows.numbers), check)
        since, stated = self._since(text.get("valid_from"), len(rows.numbers), check)
        until = self._until(text.get("valid_to"), len(rows.numbers), check)
        check.reject(_true(pc.less_equal(until, since)), "validity-empty")
        for name, longest in _TOO_LONG.items():
            column = raw if name == "category_raw" else text.get(name)
            if column is not None:
                check.reject(_true(pc.greater(pc.utf8_length(column), longest)), "field-too-long")
        priority = self._priorities(text.get("priority"), category, check)
        for name, pattern in self._layout.patterns.items():
            wrong = pc.invert(pc.match_substring_regex(text[name], f"^(?i:{pattern})$"))
            check.reject(_true(wrong), "field-bad")
        kept = check.finish()
        nothing = pa.nulls(len(rows.numbers), pa.string())
        record = text.get("record", nothing)
        columns = {
            "plate": plate,
            "state": state,
            "category": category,
            "priority": priority,
            "valid_from": since,
            "valid_to": until,
            "agency": self._agencies(text.get("agency"), len(rows.numbers)),
            "case_number": text.get("case_number", nothing),
            "reason": pc.fill_null(text.get("reason", nothing), ""),
            "category_raw": raw,
            "record": record,
            "vehicle": self._vehicles(text, raw, len(rows.numbers)),
        }
        if len(kept) < len(rows.numbers):
            columns = {name: column.take(pa.array(kept)) for name, column in columns.items()}
        self._count_unknown(words.take(pa.array(kept)), rows.numbers[kept])
        return Entries(self._batch(columns), rows.numbers[kept], stated[kept], removes[kept])

    def _batch(self, columns: dict[str, pa.Array]) -> pa.RecordBatch:
        plain = pc.binary_join_element_wise(
            columns["plate"],
            pc.fill_null(columns["state"], ""),
            columns["category"],
            "/",
        )
        own = pc.coalesce(columns["record"], plain)
        columns["entry_id"] = entry_ids(self._settings.source, own)
        columns["key"] = pa.array(column_keys(columns["plate"]))
        columns["source"] = pa.array([self._settings.source] * len(own), pa.string())
        return pa.record_batch(
            [_typed(columns[field.name], field.type) for field in SCHEMA], schema=SCHEMA
        )

    def _plates(self, text: pa.Array, check: _Check) -> pa.Array:
        check.reject(_true(pc.is_null(text)), "plate-missing")
        check.reject(_true(pc.match_substring_regex(text, r"[?*%_#]")), "plate-wildcard")
        check.reject(_true(pc.match_substring_regex(text, _NO_PLATE)), "plate-characters")
        plate = pc.fill_null(text, "")
        odd = np.flatnonzero(~_true(pc.string_is_ascii(plate)) | ~_true(pc.ascii_is_alnum(plate)))
        if len(odd):
            cleaned = pc.replace_substring_regex(plate.take(pa.array(odd)), r"[^A-Za-z0-9]+", "")
            plate = pc.replace_with_mask(plate, _mask(len(plate), odd), cleaned)
        plate = pc.ascii_upper(plate)
        lengths = pc.binary_length(plate).to_numpy(zero_copy_only=False)
        check.reject(lengths == 0, "plate-missing")
        check.reject(lengths > MAX_LENGTH, "plate-too-long")
        return plate

    def _states(self, text: pa.Array | None, rows: int, check: _Check) -> pa.Array:
        default = pa.scalar(self._settings.state, pa.string())
        if text is None:
            return pa.array([self._settings.state] * rows, pa.string())
        state = pc.utf8_upper(text)
        if self._layout.zero_is_o:
            state = pc.replace_substring(state, "0", "O")
        bad = pc.invert(pc.match_substring_regex(state, r"^[A-Z]{2,3}$"))
        check.reject(_true(bad), "state-bad")
        return state if self._settings.state is None else pc.fill_null(state, default)

    def _actions(self, text: pa.Array | None, rows: int, check: _Check) -> NDArray[np.bool_]:
        if text is None:
            return np.zeros(rows, bool)
        upper = pc.utf8_upper(text)
        meaning = {word.upper(): what for word, what in self._layout.actions.items()}
        known = pc.is_in(upper, pa.array(list(meaning), pa.string()))
        check.reject(~_true(pc.or_kleene(known, pc.is_null(upper))), "action-unknown")
        removing = [word for word, what in meaning.items() if what == "remove"]
        return _true(pc.is_in(upper, pa.array(removing, pa.string())))

    def _since(
        self, text: pa.Array | None, rows: int, check: _Check
    ) -> tuple[pa.Array, NDArray[np.bool_]]:
        now = pa.scalar(self._loaded_at, pa.timestamp("us", "UTC"))
        if text is None:
            return pa.array([self._loaded_at] * rows, now.type), np.zeros(rows, bool)
        text = self._dated(text)
        moments = parse_moments(text, self._layout.dates, self._timezone)
        check.reject(_true(pc.and_(pc.is_valid(text), pc.is_null(moments))), "valid-from-bad")
        return pc.fill_null(moments, now), _true(pc.is_valid(moments))

    def _until(self, text: pa.Array | None, rows: int, check: _Check) -> pa.Array:
        if text is None:
            return pa.nulls(rows, pa.timestamp("us", "UTC"))
        text = self._dated(text)
        moments = parse_moments(text, self._layout.dates, self._timezone, end_of_day=True)
        check.reject(_true(pc.and_(pc.is_valid(text), pc.is_null(moments))), "expiry-bad")
        return moments

    def _dated(self, text: pa.Array) -> pa.Array:
        if not self._layout.no_date:
            return text
        none = pc.is_in(text, pa.array(self._layout.no_date, pa.string()))
        return pc.if_else(none, pa.scalar(None, pa.string()), text)

    def _categories(self, words: pa.Array, told: pa.Array | None) -> tuple[pa.Array, pa.Array]:
        """What each row's letter means, and the letter; each different one is looked up once."""
        default = self._settings.category or self._layout.category or "other"
        coded = pc.utf8_upper(words).dictionary_encode()
        letters = coded.dictionary.to_pylist()
        means = [self._meanings.get(letter, "other") for letter in letters] + [default]
        self._strange = {
            letter for letter in letters if letter is not None and letter not in self._meanings
        }
        kept = [self._told(letter) for letter in letters]
        codes = pc.fill_null(coded.indices, len(letters))
        category = pa.array(means, pa.string()).take(codes)
        raw = pa.array([*kept, None], pa.string()).take(codes)
        return category, raw if told is None else pc.coalesce(pc.utf8_upper(told), raw)

    def _told(self, letter: str | None) -> str | None:
        """What is kept of the source's own word; the platform's own words say nothing more."""
        if letter in self._strange:
            short = letter is not None and len(letter) <= self._layout.code_length
            return letter if short else None
        return letter if self._layout.categories else None

    def _count_unknown(self, words: pa.Array, numbers: NDArray[np.int64]) -> None:
        """Count letters without a meaning; of words only how many, and where the first is."""
        if not self._strange:
            return
        coded = pc.utf8_upper(words).dictionary_encode()
        for code, letter in enumerate(coded.dictionary.to_pylist()):
            if letter not in self._strange:
                continue
            rows = np.flatnonzero(_true(pc.equal(coded.indices, code)))
            if self._told(letter) is not None:
                self._tally.unknown[letter] += len(rows)
            elif len(rows):
                if self._tally.first_word is None:
                    self._tally.first_word = int(numbers[rows[0]])
                self._tally.unknown[f"words, the first in row {self._tally.first_word}"] += len(
                    rows
                )

    def _priorities(self, text: pa.Array | None, category: pa.Array, check: _Check) -> pa.Array:
        if self._settings.priority is not None:
            usual = pa.array([self._settings.priority] * len(category), pa.int8())
        else:
            coded = category.dictionary_encode()
            table = [PRIORITIES.get(name, 3) for name in coded.dictionary.to_pylist()]
            usual = pa.array(table, pa.int8()).take(coded.indices)
        if text is None:
            return usual
        right = pc.match_substring_regex(text, r"^[1-5]$")
        check.reject(_true(pc.invert(right)), "priority-bad")
        own = pc.if_else(right, text, pa.scalar(None, pa.string())).cast(pa.int8())
        return pc.coalesce(own, usual)

    def _agencies(self, text: pa.Array | None, rows: int) -> pa.Array:
        default = self._settings.agency
        if text is None:
            return pa.array([default] * rows, pa.string())
        agency = pc.utf8_lower(text)
        right = pc.match_substring_regex(agency, r"^[a-z0-9][a-z0-9._-]{0,63}$")
        wrong = int(_true(pc.invert(right)).sum())
        if wrong:  # not a reason to lose a wanted plate
            self._tally.dropped["agency"] += wrong
            agency = pc.if_else(right, agency, pa.scalar(None, pa.string()))
        return agency if default is None else pc.fill_null(agency, default)

    def _vehicles(self, text: dict[str, pa.Array], raw: pa.Array, rows: int) -> pa.Array:
        parts = [text[name] for name in VEHICLE if name in text]
        if not parts:
            return pa.nulls(rows, pa.string())
        if self._layout.vehicle_only_for:
            own = pc.is_in(raw, pa.array(self._layout.vehicle_only_for, pa.string()))
            parts = [pc.if_else(own, part, pa.scalar(None, pa.string())) for part in parts]
        # Joining leaves out a row that has none of the parts, so every row gets one: nothing.
        nothing = pa.array([""] * rows, pa.string())
        joined = pc.binary_join_element_wise(nothing, *parts, " ", null_handling="skip")
        joined = pc.ascii_ltrim_whitespace(joined)
        if _true(pc.greater(pc.utf8_length(joined), _VEHICLE_LENGTH)).any():
            joined = pc.utf8_slice_codeunits(joined, 0, _VEHICLE_LENGTH)
        return pc.if_else(pc.equal(joined, ""), pa.scalar(None, pa.string()), joined)


class _Check:
    """Which rows of a block are rejected: the first reason counts."""

    def __init__(self, rows: Rows, layout: Layout, rejects: Rejects) -> None:
        self._numbers = rows.numbers
        self._rejects = rejects
        self._alive = np.ones(len(rows.numbers), bool)
        self._header = layout.header == "optional"

    def reject(self, mask: NDArray[np.bool_], reason: Reason) -> None:
        news = mask & self._alive
        if news.any():
            self._alive &= ~mask
            self._rejects.extend(self._numbers[news], reason)

    def pass_header(self, plate: pa.Array, words: pa.Array, strange: set[str]) -> None:
        """Reject a first line that looks like an entry but is a header; it is forgiven later.

        A plate may well be called PLATE: a category that is known makes it an entry.
        """
        first = np.flatnonzero(self._numbers == 1)
        if not self._header or not len(first):
            return
        place = int(first[0])
        word = words[place].as_py()
        if plate[place].as_py() in _HEADER_WORDS and (word is None or word.upper() in strange):
            self._alive[place] = False
            self._rejects.add(1, "plate-missing")

    def finish(self) -> NDArray[np.intp]:
        """The places of the rows that are left."""
        return np.flatnonzero(self._alive)


def entry_ids(source: str, records: pa.Array) -> pa.StringArray:
    """`alpr.ids.entry_id` of a column: the same digests, without a call and a string a row."""
    head = len(source.encode()).to_bytes(4, "big") + source.encode()
    blake2b = hashlib.blake2b
    digests = b"".join(
        [
            blake2b(
                head + len(record).to_bytes(4, "big") + record, digest_size=16, person=b"entry"
            ).digest()
            for record in records.cast(pa.binary()).to_pylist()
        ]
    )
    offsets = np.arange(0, 32 * len(records) + 1, 32, dtype=np.int32)
    return pa.StringArray.from_buffers(
        len(records), pa.py_buffer(offsets), pa.py_buffer(binascii.hexlify(digests))
    )


def _clean(column: pa.Array) -> pa.Array:
    """Trimmed, without control characters, null where nothing is left."""
    if _true(pc.match_substring_regex(column, _CONTROL)).any():
        column = pc.replace_substring_regex(column, _CONTROL, " ")
    column = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)


def _typed(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return column.cast(pa.string()).dictionary_encode().cast(kind)
    return column if column.type == kind else column.cast(kind)


def _true(column: pa.Array) -> NDArray[np.bool_]:
    """A mask; null is no."""
    filled: NDArray[np.bool_] = pc.fill_null(column, False).to_numpy(zero_copy_only=False)
    return filled


def _mask(rows: int, places: NDArray[np.intp]) -> pa.BooleanArray:
    mask = np.zeros(rows, bool)
    mask[places] = True
    return pa.array(mask)
