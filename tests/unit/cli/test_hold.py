"""`platelake hold …`, `agency data …` and `retain move` on a lake in a folder."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from typer.testing import CliRunner, Result

from alpr.records import Read
from catalog.commit import Committer
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.retention.signing import SigningKey
from catalog.rows import Origin
from catalog.staging import OffsetRange, stage_reads
from cli.main import app, main
from tests.contract.lake.samples import make_hit, make_reads, stage, stage_hit_group, stored_ids

RUN = CliRunner()
NOW = datetime.now(UTC)
READS = [
    msgspec.structs.replace(read, captured_at=NOW - timedelta(hours=1))
    for read in make_reads(9, image=True)
]
ADD = ["hold", "add", "--kind", "case", "--case", "26-1", "--clause", "S1-CP7b.iii"]
WHY = ["--reason", "a robbery", "--by", "inv.miller"]


class Command:
    """Runs commands on one lake."""

    def __init__(self, config: Path) -> None:
        self._config = config

    def __call__(self, *arguments: str, stdin: str | None = None) -> Result:
        return RUN.invoke(app, [*arguments, "--config", str(self._config)], input=stdin)

    def json(self, *arguments: str, code: int = 0) -> Any:
        done = self(*arguments, "--json")
        assert done.exit_code == code, (done.output, done.exception)
        return json.loads(done.stdout)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    config = LakeConfig(f"sqlite:///{tmp_path}/catalog.db", f"file://{tmp_path}/lake")
    config.save(tmp_path / "lake.toml")
    lake = Lake(config)
    lake.init()
    Committer(lake, "reads", now=lambda: NOW).commit([stage(lake, READS, now=NOW)])
    hits = [make_hit(READS[3])]
    Committer(lake, "hits", now=lambda: NOW).commit([stage_hit_group(lake, hits)])
    return lake


@pytest.fixture
def command(lake: Lake, tmp_path: Path) -> Command:
    return Command(tmp_path / "lake.toml")


def around(read: Read) -> list[str]:
    first, last = (
        (read.captured_at + timedelta(minutes=step)).isoformat(timespec="seconds")
        for step in (-1, 1)
    )
    return ["--from", first, "--to", last]


def test_add_list_show_release(command: Command) -> None:
    added = command.json(*ADD, *WHY, "--read", READS[3].read_id)
    assert (added["status"], added["records"], added["images"]) == ("held", 1, 2)
    assert added["added_by"] == "inv.miller"
    (listed,) = command.json("hold", "list")
    assert listed == added
    shown = command.json("hold", "show", added["hold_id"][:8])
    assert (shown["copies"], shown["problem"]) == (1, None)
    assert [event["type"] for event in shown["events"]] == ["requested", "copied"]
    released = command.json("hold", "release", added["hold_id"][:8], "--reason", "acquitted")
    assert released["status"] == "ended"
    again = command("hold", "release", added["hold_id"], "--reason", "twice")
    assert (again.exit_code, "ended already" in str(again.exception)) == (1, True)


def test_a_plate_comes_from_a_file_and_what_was_found_is_asked(
    command: Command, tmp_path: Path
) -> None:
    """A plate in the arguments would be in every list of processes."""
    plate = tmp_path / "plate"
    plate.write_text(f"{READS[3].plate_raw}\n")
    wanted = [*ADD, *WHY, "--plate-file", str(plate), *around(READS[3])]
    refused = command(*wanted, stdin="n\n")
    assert refused.exit_code == 1
    assert "Hold 1 reads and 1 hits?" in refused.output
    assert command.json("hold", "list") == []
    assert command.json(*wanted, "--yes")["records"] == 2
    assert READS[3].plate not in command("hold", "list").stdout
    plate.write_text("NOBODY\n")
    nothing = command(*wanted)
    assert (nothing.exit_code, "nothing was found" in nothing.output) == (1, True)


def test_wrong_usage(command: Command) -> None:
    assert command(*ADD, *WHY).exit_code == 2
    assert command(*ADD, *WHY, "--camera", "camera-1").exit_code == 2
    assert command("hold", "add", "--kind", "whim", *ADD[4:], *WHY, "--read", "0").exit_code == 2


def test_records_that_are_not_there_are_exit_code_1(
    command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [*ADD, *WHY, "--read", "0" * 32, "--config", str(command._config)]
    monkeypatch.setattr("sys.argv", ["platelake", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 1
    assert "not-found" in capsys.readouterr().err


def test_a_preservation_is_renewed(command: Command) -> None:
    kept = command.json(
        *["hold", "add", "--kind", "preservation", "--clause", "N.C.G.S. 20-183.32"],
        *[*WHY, "--read", READS[0].read_id],
    )
    renewed = command.json("hold", "renew", kept["hold_id"], "--reason", "second request")
    assert int(renewed["until"][:4]) == int(kept["until"][:4]) + 1


def under(lake: Lake, command: Command, policy: str) -> str:
    """A new read of an agency that follows this policy, in its class; its id."""
    file = command._config.with_name("retention.toml")
    file.write_text(f'default = "neutral"\n\n[agencies]\nfollower-pd = "{policy}"\n')
    config = replace(lake.config, retention_file=file)
    config.save(command._config)
    read = msgspec.structs.replace(
        make_reads(1, first=70)[0],
        agency="follower-pd",
        retention_class="default" if policy == "neutral" else policy,
        captured_at=NOW - timedelta(hours=1),
    )
    lake = Lake(config)  # with the classes of real policies
    origin, covered = Origin("reads", 1, [0]), [OffsetRange("reads", 1, 0, 1)]
    group = stage_reads(lake, [read], origin, covered, NOW)
    Committer(lake, "reads", now=lambda: NOW).commit([group])
    return read.read_id


def test_the_policy_of_the_records_gives_clause_and_period(lake: Lake, command: Command) -> None:
    read_id = under(lake, command, "us-vt")
    kept = command.json("hold", "add", "--kind", "preservation", *WHY, "--read", read_id)
    assert kept["clause"] == "VSA 23-1608(a)(1)"
    today = NOW.astimezone(ZoneInfo("America/New_York")).date()
    assert kept["until"] == (today + timedelta(days=90)).isoformat()
    renewed = command.json("hold", "renew", kept["hold_id"], "--reason", "the court again")
    assert renewed["until"] == (today + timedelta(days=180)).isoformat()


@pytest.mark.parametrize(
    ("policy", "arguments", "words"),
    [
        ("us-vt", ["--kind", "case"], "policy us-vt knows no hold of kind case: it knows preserv"),
        ("dcjis", ["--kind", "case"], "S1-CP7b.ii or S1-CP7b.iii"),
        ("dcjis", ["--kind", "case", "--clause", "S9"], "has no hold of kind case by clause 'S9'"),
        ("neutral", ["--kind", "case"], "(neutral) states no holds: name the clause"),
    ],
)
def test_a_hold_that_the_policy_does_not_know_is_refused(
    lake: Lake, command: Command, policy: str, arguments: list[str], words: str
) -> None:
    read_id = under(lake, command, policy)
    refused = command("hold", "add", *arguments, "--case", "26-1", *WHY, "--read", read_id)
    assert refused.exit_code == 1
    assert words in str(refused.exception)
    assert command.json("hold", "list", "--all") == []


def test_export_and_check(command: Command, tmp_path: Path) -> None:
    key = tmp_path / "secrets" / "key"
    public = tmp_path / "key.pem"
    public.write_bytes(SigningKey.load_or_make(key).public.pem)
    hold = command.json(*ADD, *WHY, "--hit", make_hit(READS[3]).hit_id)["hold_id"]
    medium = tmp_path / "medium"
    done = command.json("hold", "export", hold, "--to", str(medium), "--key", str(key))
    check = ["hold", "check-export", str(medium), "--public-key", str(public)]
    check += ["--digest", done["manifest_sha256"]]
    good = RUN.invoke(app, check)
    assert (good.exit_code, good.stdout) == (0, "every byte is as it was sealed\n")
    (medium / "records.csv").write_text("plate\n")
    bad = RUN.invoke(app, [*check, "--json"])
    assert bad.exit_code == 1
    assert "records.csv" in json.loads(bad.stdout)["problems"][0]
    assert command.json("hold", "show", hold)["exports"] == 1


def test_damaged_evidence_is_exit_code_1(command: Command, lake: Lake) -> None:
    hold = command.json(*ADD, *WHY, "--read", READS[3].read_id)["hold_id"]
    lake.store.delete([i.uri for i in lake.store.list(f"{lake.config.warehouse}/evidence")])
    assert "not stored" in command.json("hold", "show", hold, code=1)["problem"]


def test_an_agency_finds_exports_and_removes(command: Command, lake: Lake, tmp_path: Path) -> None:
    found = command.json("agency", "data", "find", "agency-0")
    assert [(share["table"], share["rows"]) for share in found] == [("hits", 1), ("reads", 3)]
    out = tmp_path / "out"
    handed = command.json("agency", "data", "export", "agency-0", "--into", str(out), *WHY)
    assert handed["rows"] == {"reads": 3, "hits": 1}
    assert command("agency", "data", "remove", "agency-0", *WHY, stdin="n\n").exit_code == 1
    assert len(stored_ids(lake)) == 9
    (removed,) = command.json("agency", "data", "remove", "agency-0", *WHY, "--yes")
    assert (removed["removed"], removed["by"]) == (4, "inv.miller")
    assert removed["finished_at"] is not None
    assert len(stored_ids(lake)) == 6
    assert command("agency", "data", "find", "agency-0").exit_code == 1
    orders = command.json("agency", "data", "orders")
    assert [order["action"] for order in orders] == ["export", "remove"]


def test_move_says_what_it_did(command: Command) -> None:
    (done,) = command.json("retain", "move", "--agency", "agency-1", *WHY)
    assert (done["moved"], done["action"]) == (0, "move")
    refused = command("retain", "move", "--agency", "agency-1", "--to", "none", *WHY)
    assert "no class 'none'" in str(refused.exception)


@pytest.mark.parametrize(
    "arguments",
    [
        ["hold", "list"],
        ["agency", "data", "find", "x"],
        ["retain", "move", "--agency", "x", "--reason", "y"],
    ],
)
def test_no_lake_is_exit_code_3(
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    missing = str(tmp_path / "none.toml")
    monkeypatch.setattr("sys.argv", ["platelake", *arguments, "--config", missing])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 3
    assert "no lake configuration" in capsys.readouterr().err
