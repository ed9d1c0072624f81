"""`scaleledger identity` and `scaleledger claim`: what a person compares at the centre, and what they hand to the gateway."""

import json
import stat

import pytest
from click.testing import CliRunner

from fakes.weighings import open_store
from scaleledger.cli import main
from scaleledger.domain.standing import Claim, fingerprint
from scaleledger.store.claim import read_claim

UPLINK = '[[uplink]]\nurl = "https://centre.example/"\n'
CODE = "K7Q2-ABCD-EFGH-JKMN-PQRS"


def call(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
async def data(tmp_path):
    """A data folder on which a gateway has run."""
    folder = tmp_path / "data"
    store = await open_store(folder)
    await store.identity.pin_server_key("9d" * 32)
    await store.close()
    return folder


async def test_the_identity_is_shown_with_the_fingerprint_of_its_key(data, config):
    by_file, by_folder = call("identity", "-c", config(), "--json"), call("identity", "--data-dir", data, "--json")
    assert by_file.exit_code == 0
    assert by_file.output == by_folder.output
    said = json.loads(by_file.output)
    assert said["fingerprint"] == fingerprint(said["public_key"])
    assert said["server_key"] == "9d" * 32
    assert said["standing"] == "not asked yet"
    plain = call("identity", "--data-dir", data).output
    assert said["fingerprint"] in plain
    assert said["mac_address"] in plain


async def test_the_identity_is_shown_while_the_gateway_runs(data):
    store = await open_store(data)
    await store.identity.keep_token("the-token", "active")
    said = call("identity", "--data-dir", data, "--json")
    await store.close()
    assert json.loads(said.output)["standing"] == "active"
    assert "the-token" not in said.output


@pytest.mark.parametrize("arguments", [[], ["-c", "x.toml", "--data-dir", "x"]])
def test_the_identity_of_nothing_or_of_two_things_is_bad_usage(arguments):
    assert call("identity", *arguments).exit_code == 2


def test_a_folder_on_which_no_gateway_ran_says_what_to_do(tmp_path):
    said = call("identity", "--data-dir", tmp_path)
    assert said.exit_code == 3
    assert "Start the gateway once" in said.output


def test_a_claim_code_is_left_for_the_gateway_and_for_nobody_else(tmp_path, config):
    said = call("claim", CODE.lower(), "-c", config(UPLINK))
    assert said.exit_code == 0
    assert "K7Q2" in said.output
    assert "ABCD" not in said.output
    assert read_claim(tmp_path / "data") == Claim("K7Q2", "ABCDEFGHJKMNPQRS")
    (left,) = [p for p in (tmp_path / "data").iterdir() if p.name == "claim"]
    assert stat.S_IMODE(left.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("code", "words"), [("K7Q2-ABCD", "has 8"), ("U7Q2-ABCD-EFGH-JKMN-PQRS", "character 1"), (CODE + "0", "has 21")]
)
def test_a_mistyped_code_is_named_and_not_left(tmp_path, config, code, words):
    said = call("claim", code, "-c", config(UPLINK))
    assert said.exit_code == 2
    assert words in said.output
    assert not (tmp_path / "data").exists()


def test_a_code_for_a_gateway_without_a_centre_is_bad_usage(config):
    said = call("claim", CODE, "-c", config())
    assert said.exit_code == 2
    assert "[[uplink]]" in said.output


def test_a_folder_that_cannot_be_written_is_named(tmp_path, config):
    (tmp_path / "data").write_text("a file is in the way")
    said = call("claim", CODE, "-c", config(UPLINK))
    assert said.exit_code == 3
    assert str(tmp_path / "data") in said.output
