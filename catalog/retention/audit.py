"""Are the certificates what was issued? Signatures, chain, table, objects and tables' cut-offs.

What it cannot show by itself: that the last certificate was not taken away together with its
object while nothing was purged under it. Who keeps a copy, or the digest printed on it, finds
out (`copy`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from alpr.errors import Corrupt
from catalog.cutoffs import read_cutoffs
from catalog.lake import Lake
from catalog.retention import ledger
from catalog.retention.certificate import FIRST, Certificate, Signed
from catalog.retention.ledger import Entry
from catalog.retention.signing import PublicKey
from catalog.schemas import TABLES


@dataclass(frozen=True)
class Audit:
    """What was found; `problems` is empty if all is as it must be.

    `trusted`: fingerprints of the keys believed; `by_store`: they are only those published
    beside the certificates, which whoever can write there can replace.
    """

    certificates: int
    newest: str | None
    trusted: tuple[str, ...]
    by_store: bool
    problems: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def audit(
    lake: Lake,
    trusted: Sequence[PublicKey] = (),
    copy: bytes | None = None,
) -> Audit:
    """Check every certificate of the lake, and that a `copy` kept elsewhere is one of them.

    `trusted`: whose signatures are believed; none: the keys published beside the certificates.
    Raises Unavailable if catalogue or store do not answer, ConfigurationError for a published
    key that is none.
    """
    every = ledger.entries(lake)
    keys = tuple(trusted) or tuple(ledger.published_keys(lake))
    problems: list[str] = []
    if every and not ledger.guarded(lake):
        problems.append(
            f"table {ledger.TABLE} has lost the triggers that refuse changes to it: "
            "find out who removed them"
        )
    installation = ledger.installation_of(lake)
    contents: list[Certificate] = []
    previous = FIRST
    for place, entry in enumerate(every, 1):
        name = f"certificate {entry.number} ({entry.run_id})"
        try:
            signed = Signed.parse(entry.document, name)
        except Corrupt as error:
            problems.append(str(error))
            previous = entry.digest
            continue
        problems += _wrong(entry, signed, place, previous, installation, keys, name)
        contents.append(signed.content)
        previous = signed.digest
    problems += _objects(lake, every)
    problems += _uncertified(lake, contents)
    if copy is not None:
        problems += _copied(copy, every, keys)
    return Audit(
        certificates=len(every),
        newest=every[-1].digest if every else None,
        trusted=tuple(key.fingerprint for key in keys),
        by_store=not trusted,
        problems=tuple(problems),
    )


def check_document(document: bytes, origin: str, keys: Sequence[PublicKey]) -> list[str]:
    """What is wrong with one certificate by itself, without its lake: form and signature."""
    try:
        signed = Signed.parse(document, origin)
    except Corrupt as error:
        return [str(error)]
    if any(signed.signed_by(key) for key in keys):
        return []
    return [f"{origin}: the signature is of none of the keys believed, or what was signed differs"]


def _wrong(
    entry: Entry,
    signed: Signed,
    place: int,
    previous: str,
    installation: str,
    keys: Sequence[PublicKey],
    name: str,
) -> Iterator[str]:
    yield from check_document(entry.document, name, keys)
    content = signed.content
    if entry.number != place or content.number != entry.number:
        yield f"{name}: it should be number {place}: one before it is missing"
    if content.previous != previous:
        yield f"{name}: the one before it is not the one it was issued after"
    if signed.digest != entry.digest:
        yield f"{name}: the table has another digest than the document has"
    if (content.kind, content.run_id) != (entry.kind, entry.run_id):
        yield f"{name}: the table says {entry.kind} of run {entry.run_id}, the document does not"
    if content.installation != installation:
        yield f"{name}: it was issued for another lake ({content.installation})"


def _objects(lake: Lake, every: Sequence[Entry]) -> Iterator[str]:
    folder = f"{lake.config.warehouse}/{ledger.FOLDER}"
    stored = {item.uri for item in lake.store.list(folder)}
    for entry in every:
        uri = ledger.object_of(lake, entry)
        if uri not in stored:
            yield f"{uri} is missing: the table has certificate {entry.number}"
            continue
        stored.discard(uri)
        try:
            if Signed.parse(lake.store.read(uri), uri).digest != entry.digest:
                yield f"{uri} is not what the table has as certificate {entry.number}"
        except Corrupt as error:
            yield str(error)
    for uri in sorted(stored):
        yield f"{uri} is a certificate that the table does not have"


def _uncertified(lake: Lake, contents: Sequence[Certificate]) -> Iterator[str]:
    certified = ledger.cutoffs_certified(contents)
    for name in TABLES:
        for retention_class, day in sorted(read_cutoffs(lake.table(name)).items()):
            known = certified.get(name, {}).get(retention_class)
            if known is None or known < day:
                yield (
                    f"table {name} was purged of class {retention_class} up to {day}, "
                    f"certificates account for {known or 'nothing'}: one is missing, or a purge "
                    "is still under way"
                )


def _copied(copy: bytes, every: Sequence[Entry], keys: Sequence[PublicKey]) -> Iterator[str]:
    wrong = check_document(copy, "the copy", keys)
    yield from wrong
    if wrong:
        return
    digest = Signed.parse(copy, "the copy").digest
    if digest not in {entry.digest for entry in every}:
        yield "the copy is genuine, but the table has no such certificate: it was taken out"
