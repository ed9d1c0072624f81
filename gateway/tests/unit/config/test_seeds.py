"""A plant may go on with the names that its first gateways were configured by."""

from pathlib import Path

import pytest

from scaleledger.config.load import ConfigError, load_config
from scaleledger.config.seeds import NAMES

PLANT = """
[gateway]
data_dir = "data"

[[listener]]
name = "hall"
unit = "g"
url = "tcp-listen://0.0.0.0:8899?allow=192.0.2.0/24"
"""
CLOUD = """
[[uplink]]
type = "carnitrack"
url = "https://cloud.example/api/v1"
"""
NO_PLANT = """
[gateway]
data_dir = "data"

[[station]]
name = "dock-1"
driver = "suwol-1000"
url = "serial:///dev/ttyUSB0"
"""
HOW_TO = Path(__file__).resolve().parents[4] / "docs" / "how-to" / "connect-a-carnitrack-cloud.md"


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    for seed in NAMES:
        for name in (seed.name, seed.other):
            if name:
                monkeypatch.delenv(name, raising=False)

    def loaded_(text, **environ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        path = tmp_path / "gateway.toml"
        path.write_text(text)
        return load_config(path)

    return loaded_


def test_the_first_gateways_own_command_line_is_understood(loaded):
    config = loaded(
        PLANT,
        EDGE_SITE_ID="site-001",
        EDGE_SITE_NAME="Main Facility",
        CLOUD_WS_URL="wss://cloud.example/edge/ws",
        CLOUD_API_URL="https://cloud.example/api/v1",
        CLOUD_API_KEY="k-1",
        TCP_PORT="3001",
        HTTP_PORT="3002",
        DATABASE_PATH="./kept/carnitrack.db",
        LOG_LEVEL="warn",
    )
    cloud = config.carnitrack
    assert (cloud.url, cloud.api_url) == ("wss://cloud.example/edge/ws", "https://cloud.example/api/v1")
    assert (cloud.site_id, cloud.site_name, cloud.api_key.get_secret_value()) == ("site-001", "Main Facility", "k-1")
    assert config.listener[0].url == "tcp-listen://0.0.0.0:3001?allow=192.0.2.0/24"
    assert config.dashboard.address == "127.0.0.1:3002"
    assert config.gateway.data_dir == Path("kept")
    assert config.log.level == "warning"


def test_the_later_names_mean_the_same(loaded):
    config = loaded(PLANT, CLOUD_API_URL="https://c.example/api/v1", SITE_ID="s-2", EDGE_NAME="North", DB_PATH="d/x.db")
    assert config.carnitrack.url == "https://c.example/api/v1"
    assert (config.carnitrack.site_id, config.carnitrack.site_name) == ("s-2", "North")
    assert config.gateway.data_dir == Path("d")


def test_times_are_milliseconds_there_and_seconds_here(loaded):
    config = loaded(PLANT + CLOUD, SESSION_POLL_INTERVAL_IDLE_MS="90500", HEARTBEAT_TIMEOUT_MS="90000")
    assert config.carnitrack.idle_poll_s == 90.5
    assert config.listener[0].lost_s == 90


def test_they_go_before_the_file_and_our_own_go_before_them(loaded, monkeypatch):
    monkeypatch.setenv("SCALELEDGER_LOG__LEVEL", "error")
    config = loaded(PLANT + '[log]\nlevel = "debug"\n' + CLOUD, LOG_LEVEL="warn", SITE_ID="s-2")
    assert config.log.level == "error"
    assert config.carnitrack.site_id == "s-2"


def test_where_there_is_no_plant_they_are_somebody_elses(loaded):
    config = loaded(
        NO_PLANT, LOG_LEVEL="debug", HTTP_PORT="8080", TCP_PORT="1", SITE_ID="x", TIMEZONE="Europe/Istanbul"
    )
    assert config.log.level == "info"
    assert config.dashboard is None
    assert config.gateway.timezone == ""


def test_a_value_of_nothing_changes_nothing(loaded):
    assert loaded(PLANT, TCP_PORT="", CLOUD_WS_URL="").listener[0].url.endswith(":8899?allow=192.0.2.0/24")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TCP_PORT", "eighty"),
        ("HTTP_PORT", "70000"),
        ("CLOUD_WS_URL", "https://x"),
        ("CLOUD_API_URL", "x"),
        ("HEARTBEAT_TIMEOUT_MS", "0"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_its_variable(loaded, name, value):
    with pytest.raises(ConfigError) as refused:
        loaded(PLANT, **{name: value})
    assert f"environment: {name}: needs" in str(refused.value)


@pytest.mark.parametrize("broken", ['uplink = "x"', "listener = 3", 'uplink = ["x"]', "dashboard = 1"])
def test_a_file_of_another_shape_is_refused_in_its_own_words(loaded, broken):
    with pytest.raises(ConfigError, match=r"gateway\.toml"):
        loaded(f"{broken}\n[gateway]\ndata_dir = 'data'\n", CLOUD_WS_URL="wss://cloud.example", TCP_PORT="1")


def test_every_name_stands_in_the_how_to():
    page = HOW_TO.read_text(encoding="utf-8")
    for seed in NAMES:
        assert f"`{seed.name}`" in page
        assert seed.becomes in page
