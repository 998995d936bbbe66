"""The chain of certificates: an append-only table in the catalogue's database, and stored objects.

The table is written first and decides. A certificate whose object is missing (a crash between
the two) gets it when the next one is issued. Triggers refuse to change or delete a row, whoever
asks; who removes them and a row as well breaks the chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import Column, Integer, MetaData, String, Table, Text, inspect, select, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from alpr.errors import BadInput, Unavailable
from alpr.retention import Retention
from catalog.lake import Lake
from catalog.retention.certificate import (
    FIRST,
    Certificate,
    EndedDay,
    RespectedHold,
    Signed,
    digest_of_files,
    sign,
    software,
)
from catalog.retention.signing import PublicKey, SigningKey
from catalog.retention.verification import Verification
from catalog.schemas import READS

if TYPE_CHECKING:
    from catalog.retention.purge import Ended, PurgeReport

FOLDER: Final = "retention/certificates"
KEYS: Final = "retention/keys"
TABLE: Final = "certificates"
_ATTEMPTS: Final = 10

_METADATA = MetaData()
_CERTIFICATES = Table(
    TABLE,
    _METADATA,
    Column("installation", String(64), primary_key=True),  # several lakes may share a database
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(32), nullable=False),
    Column("run_id", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("document", Text, nullable=False),
)


@dataclass(frozen=True)
class Entry:
    """One row of the table, as it was found: nothing of it has been checked."""

    number: int
    kind: str
    run_id: str
    digest: str
    document: bytes

    @property
    def name(self) -> str:
        """The stem of its object's name."""
        return self.run_id if self.kind == "purge" else f"{self.run_id}-{self.number}"


def issue_certificate(
    lake: Lake,
    report: PurgeReport,
    verification: Verification | None,
    key: SigningKey,
    now: datetime,
) -> Signed:
    """Sign, enter and store the certificate of a purge; a run that has one keeps it.

    `verification`: what `catalog.retention.verify` found after the run; None: it was not asked,
    and the certificate says so. Raises Unavailable if catalogue or store do not answer: issuing
    it again is right. ConfigurationError if a class that went has no policy any more.
    """
    days = tuple(_day(each, lake.retention) for each in report.ended)
    cutoffs = {name: dict(after) for name, (_, after) in report.cutoffs.items()}
    holds = tuple(
        RespectedHold(
            hold_id=hold_id, partitions=tuple(f"{each.date}/{each.retention_class}" for each in own)
        )
        for hold_id, own in sorted((hold, sorted(own)) for hold, own in report.respected.items())
    )
    others = dict(report.others) | {
        "holds-ended": len(report.evidence),
        "held-records-ended": sum(each.records for each in report.evidence),
    }

    def build(installation: str, number: int, previous: str) -> Certificate:
        return Certificate(
            kind="purge",
            installation=installation,
            number=number,
            previous=previous,
            run_id=report.run_id,
            started_at=report.started_at,
            finished_at=report.finished_at,
            judged_at=report.judged_at,
            issued_at=now,
            software=software(),
            cutoffs=cutoffs,
            days=days,
            others={name: count for name, count in sorted(others.items()) if count},
            holds=holds,
            remaining=report.remaining,
            unfinished=tuple(each.hold_id for each in report.unfinished),
            unknown_classes=report.unknown_classes,
            verification=verification,
            key=key.public.fingerprint,
        )

    return _issue(lake, build, key, once=("purge", report.run_id))


def attest(
    lake: Lake, verification: Verification, key: SigningKey, now: datetime, refers_to: str
) -> Signed:
    """Enter what a later check found, as a signed link of the chain, about an earlier purge.

    Raises BadInput (`unknown-certificate`) if there is none of that run, else as
    `issue_certificate`.
    """
    find(lake, refers_to)

    def build(installation: str, number: int, previous: str) -> Certificate:
        return Certificate(
            kind="attestation",
            installation=installation,
            number=number,
            previous=previous,
            run_id=refers_to,
            started_at=verification.started_at,
            finished_at=verification.finished_at,
            judged_at=verification.judged_at,
            issued_at=now,
            software=software(),
            cutoffs={},
            days=(),
            others={},
            holds=(),
            verification=verification,
            key=key.public.fingerprint,
        )

    return _issue(lake, build, key, once=None)


def entries(lake: Lake) -> list[Entry]:
    """Every certificate of this lake, in the order of issue. Raises Unavailable."""
    with _connection(lake) as connection:
        if not inspect(connection).has_table(TABLE):
            return []
        return _entries(connection, installation_of(lake))


def find(lake: Lake, run: str | None) -> Entry:
    """The certificate of a run (or the start of its id), or the newest purge's.

    Raises BadInput (`unknown-certificate`) unless there is exactly one.
    """
    every = [each for each in entries(lake) if each.kind == "purge"]
    matches = [each for each in every if run is None or each.run_id.startswith(run)]
    if run is None:
        matches = matches[-1:]
    if len(matches) != 1:
        raise BadInput(
            "unknown-certificate",
            f"{len(matches)} of {len(every)} certificates are of run {run or '(the newest)'}: "
            "see `platelake retain certificate list`",
        )
    return matches[0]


def guarded(lake: Lake) -> bool:
    """Whether the triggers that refuse changes are in place and switched on. Raises Unavailable."""
    with _connection(lake) as connection:
        if connection.dialect.name == "sqlite":
            query = "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :name"
            wanted = 2
        else:
            query = (
                "SELECT count(*) FROM pg_trigger WHERE tgrelid = to_regclass(:name) "
                "AND tgname LIKE '%_append_only' AND tgenabled IN ('O', 'A')"
            )
            wanted = 1
        return bool(connection.execute(text(query), {"name": TABLE}).scalar_one() >= wanted)


def installation_of(lake: Lake) -> str:
    """What tells this lake from every other: the id that its table of reads got when made."""
    return str(lake.table(READS.name).metadata.table_uuid)


def object_of(lake: Lake, entry: Entry) -> str:
    """The address of a certificate's object."""
    return f"{lake.config.warehouse}/{FOLDER}/{entry.name}.json"


def key_object(lake: Lake, fingerprint: str) -> str:
    """The address of a public key's object."""
    return f"{lake.config.warehouse}/{KEYS}/{fingerprint}.pem"


def published_keys(lake: Lake) -> list[PublicKey]:
    """The public keys that lie beside the certificates."""
    return [
        PublicKey.from_pem(lake.store.read(item.uri), item.uri)
        for item in lake.store.list(f"{lake.config.warehouse}/{KEYS}")
    ]


def _issue(
    lake: Lake,
    build: Callable[[str, int, str], Certificate],
    key: SigningKey,
    *,
    once: tuple[str, str] | None,
) -> Signed:
    installation = installation_of(lake)
    for _ in range(_ATTEMPTS):
        with _connection(lake) as connection:
            _make(connection)
        with _connection(lake) as connection:
            known = _entries(connection, installation)
        done = next((each for each in known if (each.kind, each.run_id) == once), None)
        if done is None:
            previous = known[-1].digest if known else FIRST
            signed = sign(build(installation, len(known) + 1, previous), key)
            content = signed.content
            row = Entry(
                content.number, content.kind, content.run_id, signed.digest, signed.document
            )
            try:
                with _connection(lake) as connection:
                    connection.execute(
                        _CERTIFICATES.insert().values(
                            installation=installation,
                            number=row.number,
                            kind=row.kind,
                            run_id=row.run_id,
                            digest=row.digest,
                            document=row.document.decode(),
                        )
                    )
            except IntegrityError:
                continue  # another was issued meanwhile: this one comes after it
            known.append(row)
            done = row
        _publish(lake, known, key.public)
        return Signed.parse(done.document, f"certificate {done.number}")
    raise Unavailable(f"others issued {_ATTEMPTS} certificates meanwhile: try again")


def _publish(lake: Lake, known: Sequence[Entry], key: PublicKey) -> None:
    """Store what is not stored yet: the newest, and what a crash left out."""
    if not lake.store.exists(uri := key_object(lake, key.fingerprint)):
        lake.store.write(uri, key.pem)
    stored = {item.uri for item in lake.store.list(f"{lake.config.warehouse}/{FOLDER}")}
    for each in known:
        if (uri := object_of(lake, each)) not in stored:
            lake.store.write(uri, each.document)


def _day(ended: Ended, retention: Retention) -> EndedDay:
    name, day = ended.partition.retention_class, ended.partition.date
    rule = retention.named(name)
    return EndedDay(
        table=ended.table,
        retention_class=name,
        day=day,
        policy=rule.policy,
        clause=rule.clause,
        why=rule.why,
        kept_for=str(rule.keep),
        ended_at=rule.ends_at(day),
        rows=ended.rows,
        files=ended.files,
        bytes=ended.bytes,
        packs=ended.packs,
        pack_bytes=ended.pack_bytes,
        digest=digest_of_files(ended.uris),
    )


def cutoffs_certified(contents: Sequence[Certificate]) -> dict[str, dict[str, date]]:
    """Per table and class the latest cut-off that any of these certificates accounts for."""
    latest: dict[str, dict[str, date]] = {}
    for content in contents:
        for table, cutoffs in content.cutoffs.items():
            own = latest.setdefault(table, {})
            for name, day in cutoffs.items():
                own[name] = max(day, own.get(name, day))
    return latest


def _entries(connection: Connection, installation: str) -> list[Entry]:
    table = _CERTIFICATES.c
    query = (
        select(table.number, table.kind, table.run_id, table.digest, table.document)
        .where(table.installation == installation)
        .order_by(table.number)
    )
    return [
        Entry(row.number, row.kind, row.run_id, row.digest, row.document.encode())
        for row in connection.execute(query)
    ]


def _make(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # Two that come at the same time would both make it: the second waits here.
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": TABLE})
    if inspect(connection).has_table(TABLE):
        return  # with its triggers: both came in one transaction
    _CERTIFICATES.create(connection)
    if connection.dialect.name == "sqlite":
        for verb in ("update", "delete"):
            connection.execute(
                text(
                    f"CREATE TRIGGER {TABLE}_no_{verb} BEFORE {verb.upper()} ON {TABLE} "
                    f"BEGIN SELECT RAISE(ABORT, '{TABLE} is append-only'); END"
                )
            )
        return
    connection.execute(
        text(
            f"CREATE OR REPLACE FUNCTION {TABLE}_append_only() RETURNS trigger LANGUAGE plpgsql "
            f"AS $$ BEGIN RAISE EXCEPTION '{TABLE} is append-only'; END $$"
        )
    )
    connection.execute(
        text(
            f"CREATE TRIGGER {TABLE}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
            f"ON {TABLE} FOR EACH STATEMENT EXECUTE FUNCTION {TABLE}_append_only()"
        )
    )


@contextmanager
def _connection(lake: Lake) -> Iterator[Connection]:
    try:
        with lake.catalog.engine.begin() as connection:
            yield connection
    except IntegrityError:
        raise
    except DBAPIError as error:
        raise Unavailable(
            "the catalogue's database does not answer for the certificates "
            f"({type(error.orig).__name__}): is it started? see `platelake status`"
        ) from error
