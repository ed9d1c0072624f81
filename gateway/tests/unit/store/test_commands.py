import csv
import io
import json
import shutil
import sqlite3

import pytest
from click.testing import CliRunner

from fakes.weighings import draft, open_store
from scaleledger.cli.export import command as export
from scaleledger.cli.verify import command as verify
from scaleledger.domain.delivery import ItemOutcome, Outcome


@pytest.fixture
async def live(tmp_path):
    """An open store with five records; the log holds most of them."""
    store = await open_store(tmp_path / "data")
    for number in range(1, 5):
        await store.ledger.append(draft(number))
    await store.ledger.append(draft(5, station="=cmd|calc", card="@x"))
    await store.outbox.settle("central", [ItemOutcome(2, Outcome.QUARANTINE, "+no such card")])
    yield store
    await store.close()


def run(command, *arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments])


async def test_a_running_gateways_file_and_a_copy_are_proved(live, tmp_path):
    assert run(verify, "--data-dir", tmp_path / "data").exit_code == 0
    copy = tmp_path / "stick"
    copy.mkdir()
    for name in ("scaleledger.db", "scaleledger.db-wal"):
        shutil.copyfile(tmp_path / "data" / name, copy / name)
    head = live.head()
    done = run(verify, copy / "scaleledger.db", "--key", live.public_key, "--head", f"5:{head.hash}", "--json")
    assert done.exit_code == 0
    said = json.loads(done.output)
    assert (said["ok"], said["records"], said["head"]) == (True, 5, {"seq": 5, "hash": head.hash})


async def test_a_forged_copy_is_named(live, tmp_path):
    await live.close()
    with sqlite3.connect(tmp_path / "data" / "scaleledger.db") as other:
        other.execute("DROP TRIGGER weighing_records_keep_measured")
        other.execute("UPDATE weighing_records SET weight = '9.00' WHERE seq = 3")
    other.close()
    done = run(verify, tmp_path / "data")
    assert done.exit_code == 1
    assert "first bad record: 3" in done.output
    assert json.loads(run(verify, tmp_path / "data", "--json").output)["seq"] == 3


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["nowhere.db"], 3),
        ([], 2),
        (["a.db", "--data-dir", "b"], 2),
        (["a.db", "--key", "xyz"], 2),
        (["a.db", "--head", "5"], 2),
        ([__file__], 3),
    ],
)
def test_what_cannot_be_verified_is_said_with_its_exit_code(arguments, code):
    done = run(verify, *arguments)
    assert done.exit_code == code
    assert done.output.strip()


async def test_csv_holds_every_record_and_no_formula(live, tmp_path):
    done = run(export, "--data-dir", tmp_path / "data")
    rows = list(csv.DictReader(io.StringIO(done.output)))
    assert [row["seq"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert rows[0]["weight"] == "153.50"
    assert (rows[4]["station"], rows[4]["rfid_uid"]) == ("'=cmd|calc", "'@x")


async def test_json_lines_are_exact_and_may_begin_later(live, tmp_path):
    target = tmp_path / "out.jsonl"
    since = draft(4).measured_at.isoformat()
    done = run(export, "--data-dir", tmp_path / "data", "--format", "jsonl", "--since", since, "-o", target)
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert [row["seq"] for row in rows] == [4, 5]
    assert rows[1]["station"] == "=cmd|calc"
    assert json.loads(rows[0]["payload"])["seq"] == 4


async def test_the_quarantined_come_with_their_reason(live, tmp_path):
    await live.close()
    done = run(export, "--data-dir", tmp_path / "data", "--quarantined")
    (row,) = csv.DictReader(io.StringIO(done.output))
    assert (row["seq"], row["uplink"], row["reason"]) == ("2", "central", "'+no such card")


def test_a_wrong_time_and_a_missing_file_are_said(tmp_path):
    assert run(export, "--db", tmp_path / "x.db", "--since", "yesterday").exit_code == 2
    assert run(export, "--db", tmp_path / "x.db").exit_code == 3
