"""Certificates: signed, chained, append-only; whoever changes or removes one is found out."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from alpr.errors import BadInput, ConfigurationError, Corrupt
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.parquet import Partition
from catalog.retention import ledger
from catalog.retention.audit import audit, check_document
from catalog.retention.certificate import (
    FIRST,
    Signed,
    canonical,
    digest_of_files,
    sign,
)
from catalog.retention.ledger import attest, entries, find, issue_certificate
from catalog.retention.page import page
from catalog.retention.purge import Ended, PurgeReport
from catalog.retention.signing import PublicKey, SigningKey
from catalog.retention.verify import verify
from tests.contract.lake.samples import NOW, RETENTION

PARTITION = Partition((date(2026, 10, 20) - date(1970, 1, 1)).days, "default")
FILES = (("s3://lake/a.parquet", 10), ("s3://lake/b.pack", 20))


@pytest.fixture
def lake(config: LakeConfig) -> Iterator[Lake]:
    lake = Lake(config)
    lake.init()
    lake.retention = RETENTION
    yield lake
    lake.close()


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return SigningKey.load_or_make(tmp_path / "secrets" / "key")


def report(number: int = 1) -> PurgeReport:
    ended = Ended("reads", PARTITION, 7, 1, 10, 1, 20, FILES)
    return PurgeReport(
        run_id=f"run{number:029d}",
        started_at=NOW,
        finished_at=NOW + timedelta(seconds=4),
        judged_at=NOW,
        ended=(ended,),
        cutoffs={"reads": ({}, {"default": date(2026, 10, 21)})},
        others={"strays": 2, "manifests": 0},
        respected={"hold1": frozenset({PARTITION})},
        evidence=(),
        unfinished=(),
        unknown_classes=(),
        remaining=(),
        resumed=False,
        seconds={},
    )


def issue(lake: Lake, key: SigningKey, number: int = 1) -> Signed:
    return issue_certificate(lake, report(number), None, key, NOW + timedelta(minutes=number))


def unguard(lake: Lake) -> None:
    """What somebody with the database's password can do."""
    with lake.catalog.engine.begin() as connection:
        for verb in ("update", "delete"):
            connection.execute(text(f"DROP TRIGGER certificates_no_{verb}"))


def guard(lake: Lake) -> None:
    with lake.catalog.engine.begin() as connection:
        for verb in ("update", "delete"):
            connection.execute(
                text(
                    f"CREATE TRIGGER certificates_no_{verb} BEFORE {verb.upper()} ON certificates "
                    "BEGIN SELECT RAISE(ABORT, 'append-only'); END"
                )
            )


def tamper(lake: Lake, statement: str, **values: object) -> None:
    """Change the table, and put its triggers back so that nothing shows."""
    unguard(lake)
    with lake.catalog.engine.begin() as connection:
        connection.execute(text(statement), values)
    guard(lake)


class TestIssue:
    def test_it_says_what_went_and_why(self, lake: Lake, key: SigningKey) -> None:
        check = verify(lake, RETENTION, NOW)
        signed = issue_certificate(lake, report(), check, key, NOW)
        content = signed.content
        (day,) = content.days
        assert (day.table, day.day, day.retention_class) == ("reads", date(2026, 10, 20), "default")
        assert (day.rows, day.files, day.bytes, day.packs, day.pack_bytes) == (7, 1, 10, 1, 20)
        assert (day.policy, day.clause, day.kept_for) == ("sample", "§ 1", "30 days")
        assert day.ended_at == datetime(2026, 11, 20, tzinfo=UTC)
        assert day.digest == digest_of_files(FILES)
        assert content.cutoffs == {"reads": {"default": date(2026, 10, 21)}}
        assert content.others == {"strays": 2}
        assert [hold.hold_id for hold in content.holds] == ["hold1"]
        assert content.verification == check
        assert (content.number, content.previous) == (1, FIRST)
        assert content.installation == str(lake.table("reads").metadata.table_uuid)
        assert signed.signed_by(key.public)

    def test_each_names_the_one_before_it(self, lake: Lake, key: SigningKey) -> None:
        first, second = issue(lake, key, 1), issue(lake, key, 2)
        assert second.content.previous == first.digest
        assert [entry.number for entry in entries(lake)] == [1, 2]

    def test_a_run_gets_one_however_often_it_is_resumed(self, lake: Lake, key: SigningKey) -> None:
        first = issue(lake, key)
        again = issue_certificate(lake, report(), None, key, NOW + timedelta(days=1))
        assert again.document == first.document
        assert len(entries(lake)) == 1

    def test_an_object_that_a_crash_left_out_comes_with_the_next_one(
        self, lake: Lake, key: SigningKey
    ) -> None:
        issue(lake, key, 1)
        lake.store.delete([ledger.object_of(lake, entries(lake)[0])])
        assert audit(lake, [key.public]).problems
        issue(lake, key, 2)
        assert not [p for p in audit(lake, [key.public]).problems if "missing" in p]

    def test_two_issued_at_once_both_get_a_place(self, lake: Lake, key: SigningKey) -> None:
        issue(lake, key, 0)
        start = threading.Barrier(4)

        def one(number: int) -> None:
            own = Lake(lake.config)
            own.retention = RETENTION
            start.wait()
            issue(own, key, number)
            own.close()

        threads = [threading.Thread(target=one, args=(number,)) for number in range(1, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [entry.number for entry in entries(lake)] == [1, 2, 3, 4, 5]
        assert not [p for p in audit(lake, [key.public]).problems if "before it" in p]

    def test_an_attestation_refers_to_a_purge(self, lake: Lake, key: SigningKey) -> None:
        issued = issue(lake, key)
        signed = attest(lake, verify(lake, RETENTION, NOW), key, NOW, issued.content.run_id)
        assert (signed.content.kind, signed.content.previous) == ("attestation", issued.digest)
        assert find(lake, None).number == 1, "an attestation is no purge"
        with pytest.raises(BadInput, match="unknown-certificate"):
            attest(lake, verify(lake, RETENTION, NOW), key, NOW, "nobody")


class TestAudit:
    @pytest.fixture
    def issued(self, lake: Lake, key: SigningKey) -> Lake:
        for number in (1, 2, 3):
            issue(lake, key, number)
        with lake.table("reads").transaction() as transaction:
            transaction.set_properties({"platelake.cutoff.default": "2026-10-21"})
        return lake

    def test_nothing_is_wrong_with_what_was_issued(self, issued: Lake, key: SigningKey) -> None:
        result = audit(issued, [key.public])
        assert result.problems == ()
        assert (result.certificates, result.by_store) == (3, False)
        assert audit(issued).by_store
        assert audit(issued).problems == ()

    @pytest.mark.parametrize("verb", ["UPDATE certificates SET kind = 'x'",
                                      "DELETE FROM certificates"])  # fmt: skip
    def test_the_table_takes_no_change(self, issued: Lake, verb: str) -> None:
        with (
            pytest.raises(IntegrityError, match="append-only"),
            issued.catalog.engine.begin() as connection,
        ):
            connection.execute(text(verb))
        assert len(entries(issued)) == 3

    def test_lost_triggers_are_noticed(self, issued: Lake, key: SigningKey) -> None:
        unguard(issued)
        assert any("triggers" in problem for problem in audit(issued, [key.public]).problems)

    def test_a_changed_number_is_noticed(self, issued: Lake, key: SigningKey) -> None:
        document = entries(issued)[1].document.decode().replace('"rows":7', '"rows":8')
        tamper(
            issued, "UPDATE certificates SET document = :document WHERE number = 2",
            document=document,
        )  # fmt: skip
        problems = audit(issued, [key.public]).problems
        assert any("signature" in problem for problem in problems)
        assert any("before it" in problem for problem in problems), "the next one names another"

    def test_one_signed_anew_by_somebody_else_is_noticed(
        self, issued: Lake, key: SigningKey, tmp_path: Path
    ) -> None:
        forger = SigningKey.load_or_make(tmp_path / "forger")
        content = msgspec.structs.replace(
            entries_content(issued, 2), key=forger.public.fingerprint, days=()
        )
        forged = sign(content, forger)
        tamper(
            issued,
            "UPDATE certificates SET document = :document, digest = :digest WHERE number = 3",
            document=forged.document.decode(),
            digest=forged.digest,
        )
        issued.store.write(ledger.object_of(issued, entries(issued)[2]), forged.document)
        issued.store.write(ledger.key_object(issued, forger.public.fingerprint), forger.public.pem)
        assert any("signature" in problem for problem in audit(issued, [key.public]).problems)
        assert audit(issued).by_store, "who believes the store is told that he does"

    def test_one_taken_out_is_noticed(self, issued: Lake, key: SigningKey) -> None:
        uri = ledger.object_of(issued, entries(issued)[1])
        tamper(issued, "DELETE FROM certificates WHERE number = 2")
        issued.store.delete([uri])
        problems = audit(issued, [key.public]).problems
        assert any("before it is missing" in problem for problem in problems)

    def test_all_taken_out_is_noticed_by_the_tables_cut_offs(
        self, issued: Lake, key: SigningKey
    ) -> None:
        uris = [ledger.object_of(issued, entry) for entry in entries(issued)]
        tamper(issued, "DELETE FROM certificates")
        issued.store.delete(uris)
        (problem,) = audit(issued, [key.public]).problems
        assert "account for nothing" in problem

    def test_the_last_one_taken_out_is_noticed_by_a_copy(
        self, issued: Lake, key: SigningKey
    ) -> None:
        last = entries(issued)[-1]
        tamper(issued, "DELETE FROM certificates WHERE number = 3")
        issued.store.delete([ledger.object_of(issued, last)])
        assert audit(issued, [key.public]).problems == ()
        (problem,) = audit(issued, [key.public], last.document).problems
        assert "taken out" in problem
        assert audit(issued, [key.public], entries(issued)[0].document).problems == ()

    def test_a_changed_a_missing_and_a_strange_object(self, issued: Lake, key: SigningKey) -> None:
        first, second, _ = (ledger.object_of(issued, entry) for entry in entries(issued))
        issued.store.write(first, entries(issued)[1].document)
        issued.store.delete([second])
        stranger = f"{issued.config.warehouse}/{ledger.FOLDER}/stranger.json"
        issued.store.write(stranger, entries(issued)[1].document)
        problems = audit(issued, [key.public]).problems
        assert len(problems) == 3
        assert any(first in p and "not what" in p for p in problems)
        assert any(second in p and "missing" in p for p in problems)
        assert any(stranger in p and "does not have" in p for p in problems)

    def test_a_certificate_of_another_lake_is_noticed(self, issued: Lake, key: SigningKey) -> None:
        content = msgspec.structs.replace(entries_content(issued, 2), installation="another")
        moved = sign(content, key)
        tamper(
            issued,
            "UPDATE certificates SET document = :document, digest = :digest WHERE number = 3",
            document=moved.document.decode(), digest=moved.digest,
        )  # fmt: skip
        assert any("another lake" in problem for problem in audit(issued, [key.public]).problems)


def entries_content(lake: Lake, place: int):  # type: ignore[no-untyped-def]
    entry = entries(lake)[place]
    return Signed.parse(entry.document, "a test").content


class TestDocument:
    def test_indenting_and_order_do_not_matter_a_letter_does(
        self, lake: Lake, key: SigningKey
    ) -> None:
        document = issue(lake, key).document
        printed = json.dumps(dict(reversed(json.loads(document).items())), indent=2).encode()
        assert check_document(printed, "a copy", [key.public]) == []
        assert Signed.parse(printed, "a copy").digest == Signed.parse(document, "x").digest
        assert check_document(document.replace(b"default", b"defaulT"), "a copy", [key.public])

    def test_unknown_fields_and_other_signatures_are_refused(
        self, lake: Lake, key: SigningKey, tmp_path: Path
    ) -> None:
        signed = issue(lake, key)
        value = json.loads(signed.document)
        for broken in (
            value | {"more": 1},
            value | {"certificate": value["certificate"] | {"more": 1}},
            value | {"signature": "no base64!"},
            value | {"signature": base64.b64encode(b"x" * 64).decode()},
        ):
            assert check_document(json.dumps(broken).encode(), "a copy", [key.public])
        other = SigningKey.load_or_make(tmp_path / "other")
        assert check_document(signed.document, "a copy", [other.public])

    @given(st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    ))  # fmt: skip
    def test_the_canonical_form_is_one(self, value: object) -> None:
        once = canonical(msgspec.json.encode(value))
        assert canonical(once) == once
        assert canonical(json.dumps(value, indent=1).encode()) == once
        assert json.loads(once) == value

    def test_fractions_have_no_canonical_form(self) -> None:
        with pytest.raises(Corrupt, match="whole numbers"):
            canonical(b'{"a":[1.5]}')

    def test_the_digest_of_files_does_not_depend_on_their_order(self) -> None:
        assert digest_of_files(FILES) == digest_of_files(FILES[::-1])
        assert digest_of_files(FILES) != digest_of_files(FILES[:1])

    def test_the_page_escapes_what_people_wrote(self, lake: Lake, key: SigningKey) -> None:
        signed = issue(lake, key)
        content = msgspec.structs.replace(signed.content, unfinished=("<script>alert(1)</script>",))
        shown = page(sign(content, key))
        assert "<script>" not in shown
        assert "&lt;script&gt;" in shown
        assert "2026-10-20" in shown
        assert "§ 1" in shown


class TestKey:
    def test_it_is_made_once_and_for_its_owner_only(self, tmp_path: Path) -> None:
        path = tmp_path / "secrets" / "key"
        first = SigningKey.load_or_make(path)
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert SigningKey.load_or_make(path).public == first.public
        assert os.listdir(path.parent) == ["key"]
        assert "PRIVATE" not in repr(first)

    def test_one_that_others_may_read_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        SigningKey.load_or_make(path)
        path.chmod(0o640)
        with pytest.raises(ConfigurationError, match="0640"):
            SigningKey.load(path)

    def test_what_is_no_key_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.touch(mode=0o600)
        with pytest.raises(ConfigurationError, match="PEM"):
            SigningKey.load(path)
        with pytest.raises(ConfigurationError, match="cannot read"):
            SigningKey.load(tmp_path / "none")
        with pytest.raises(ConfigurationError, match="PEM"):
            PublicKey.from_pem(b"junk", "a file")

    def test_the_public_half_goes_through_pem(self, key: SigningKey) -> None:
        again = PublicKey.from_pem(key.public.pem, "a file")
        assert again == key.public
        assert again.verifies(key.sign(b"words"), b"words")
        assert not again.verifies(key.sign(b"words"), b"other words")
