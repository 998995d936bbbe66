"""What the lake's door lets in, in which class, and what it refuses without keeping it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from apache_beam.internal import pickler

from alpr.errors import BadInput, Refused
from beam_jobs.land.admit import AdmitHit, AdmitRead
from catalog.config import LakeConfig
from ingest.codecs import encode
from tests.support.clock import FakeClock
from tests.support.records import T0, make_hit, make_read


@pytest.fixture
def config_file(tmp_path: Path) -> str:
    config = LakeConfig(f"sqlite:///{tmp_path}/catalog.db", f"file://{tmp_path}/lake")
    config.save(tmp_path / "lake.toml")
    return str(tmp_path / "lake.toml")


def test_a_record_in_time_comes_in(config_file: str) -> None:
    read, hit = make_read(), make_hit()
    assert AdmitRead(config_file, lambda: T0)(encode(read)) == read
    assert AdmitHit(config_file, lambda: T0)(encode(hit)) == hit


def test_a_record_past_its_retention_is_refused_and_not_kept(config_file: str) -> None:
    message = encode(make_read())
    assert AdmitRead(config_file, lambda: T0 + timedelta(days=30))(message)
    with pytest.raises(Refused, match="past-retention: class default keeps a read"):
        AdmitRead(config_file, lambda: T0 + timedelta(days=31))(message)


def test_time_goes_on_while_it_runs(config_file: str) -> None:
    clock = FakeClock()
    admit = AdmitRead(config_file, clock.now)
    clock.advance(30 * 86_400)
    admit(encode(make_read()))
    clock.advance(86_400)
    with pytest.raises(Refused, match="past-retention"):
        admit(encode(make_read()))


def test_a_class_that_the_policy_does_not_have_is_refused(config_file: str) -> None:
    admit = AdmitRead(config_file, lambda: T0)
    with pytest.raises(BadInput, match="unknown-retention-class") as wrong:
        admit(encode(make_read(retention_class="for-ever")))
    assert not isinstance(wrong.value, Refused)


def test_it_travels_to_the_workers(config_file: str) -> None:
    admit = AdmitRead(config_file)
    assert pickler.loads(pickler.dumps(admit)).door is not None
