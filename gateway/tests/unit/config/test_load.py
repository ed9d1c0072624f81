"""A configuration is taken whole or refused in words that name file, key and the nearest name."""

from decimal import Decimal

import pytest

from scaleledger.config.load import ConfigError, known_cards, load_config
from scaleledger.drivers import open_driver

GOOD = """
[gateway]
data_dir = "data"

[[station]]
name = "dock-1"
driver = "suwol-1000"
url = "serial:///dev/ttyUSB0?baud=9600"
mode = "tag"
min_weight = "2"

[[station]]
name = "belt"
driver = "st-gs-comma"
url = "tcp://192.0.2.7:4001"
reader = { driver = "rfid-em4100", url = "serial:///dev/ttyUSB1" }

[[uplink]]
url = "http://192.0.2.1:8000"
"""


@pytest.fixture
def write(tmp_path):
    def write_(text):
        path = tmp_path / "gateway.toml"
        path.write_text(text)
        return path

    return write_


def test_it_works(write):
    config = load_config(write(GOOD))
    assert [s.name for s in config.station] == ["dock-1", "belt"]
    assert config.station[0].min_weight == Decimal(2)
    assert config.uplink[0].heartbeat_interval_s == 30


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('data_dir = "data"', 'datadir = "data"', ["gateway.datadir", "did you mean 'data_dir'"]),
        ('min_weight = "2"', 'min_wieght = "2"', ["station.0.min_wieght", "did you mean 'min_weight'"]),
        ('min_weight = "2"', 'min_weight = "nan"', ["station.0.min_weight"]),
        ('driver = "suwol-1000"', 'driver = "suwol-100"', ["station.0.driver", "suwol-1000"]),
        ('"serial:///dev/ttyUSB0?baud=9600"', '"seriel:///dev/ttyUSB0"', ["station.0.url", "serial"]),
        ('"serial:///dev/ttyUSB0?baud=9600"', '"serial:///dev/ttyUSB0?bauds=9600"', ["station.0.url", "baud"]),
        ('name = "belt"', 'name = "dock-1"', ["station.1.name", "used twice"]),
        ('driver = "rfid-em4100", url', 'drivr = "rfid-em4100", url', ["station.1.reader.drivr", "'driver'"]),
        ("[[uplink]]", "[[uplinks]]", ["uplinks", "'uplink'"]),
        ('data_dir = "data"', "", ["gateway.data_dir", "missing"]),
        ('mode = "tag"', 'mode = "tags"', ["station.0.mode"]),
        ("[gateway]", "[gateway", ["is not TOML"]),
        ('url = "http://192.0.2.1:8000"', 'url = "ftp://x"', ["uplink.0.url"]),
    ],
)
def test_a_fault_names_file_key_and_neighbour(write, old, new, words):
    assert old in GOOD
    path = write(GOOD.replace(old, new))
    with pytest.raises(ConfigError) as refused:
        load_config(path)
    text = str(refused.value)
    for word in (str(path), *words):
        assert word in text


@pytest.mark.parametrize(
    "section",
    [
        'type = "carnitrack"\nurl = "http://192.0.2.1"\napi_key = 90210355',
        'type = "carnitrack"\nurl = "http://192.0.2.1"\napi_key = ["90210355"]',
        'type = "carnitrack"\nurl = "http://192.0.2.1"\napi_key = { text = "90210355" }',
        'type = "carnitrack"\nurl = { at = "http://192.0.2.1", key = "90210355" }',
        'type = "carnitrack"\nurl = "http://192.0.2.1"\napi_kye = "90210355"',
    ],
)
def test_a_fault_never_tells_a_secret(write, section):
    with pytest.raises(ConfigError) as refused:
        load_config(write(GOOD + f"\n[[uplink]]\n{section}\n"))
    assert "90210355" not in str(refused.value)
    assert "uplink.1" in str(refused.value)


def test_several_faults_are_all_told(write):
    with pytest.raises(ConfigError) as refused:
        load_config(write(GOOD.replace("data_dir", "datadir").replace("min_weight", "min_wight")))
    assert len(refused.value.faults) == 3


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "nowhere.toml")


def test_tag_mode_needs_cards_from_somewhere(write):
    text = GOOD.replace('mode = "tag"\n', "").replace("reader = {", 'mode = "tag"\n#reader = {')
    with pytest.raises(ConfigError, match="needs cards"):
        load_config(write(text))


def test_the_environment_overrides_the_file(write, monkeypatch):
    monkeypatch.setenv("SCALELEDGER_GATEWAY__DATA_DIR", "elsewhere")
    monkeypatch.setenv("SCALELEDGER_STORE__RESERVE_MB", "2")
    config = load_config(write(GOOD))
    assert str(config.gateway.data_dir) == "elsewhere"
    assert config.store.reserve_mb == 2


def test_a_typo_in_the_environment_is_an_error_too(write, monkeypatch):
    monkeypatch.setenv("SCALELEDGER_GATEWAY__DATADIR", "elsewhere")
    with pytest.raises(ConfigError, match=r"data_?dir"):
        load_config(write(GOOD))


def test_cards_come_from_the_file_and_the_list(write, tmp_path):
    (tmp_path / "cards.txt").write_text("A1B2C3D4 Kim, squid\n# comment\n\n00345678\n")
    path = write(GOOD + '[cards]\nknown = ["FFFF0000"]\nfile = "cards.txt"\n')
    assert known_cards(path, load_config(path)) == {"A1B2C3D4", "00345678", "FFFF0000"}


def test_without_cards_every_card_is_known(write):
    path = write(GOOD)
    assert known_cards(path, load_config(path)) is None


def test_a_missing_card_file_is_said(write):
    path = write(GOOD + '[cards]\nfile = "nowhere.txt"\n')
    with pytest.raises(ConfigError, match=r"cards\.file"):
        known_cards(path, load_config(path))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('ca_file = "none.pem"', ["uplink.0.ca_file", "none.pem", "No such file"]),
        ('ca_file = "gateway.toml"', ["uplink.0.ca_file", "gateway.toml"]),
        ('[log]\nfile = "nowhere/gateway.log"', ["log.file", "there is no folder", "nowhere"]),
    ],
)
def test_files_that_are_not_there_are_told_before_anything_is_touched(write, more, words):
    with pytest.raises(ConfigError) as wrong:
        load_config(write(GOOD + more))
    [fault] = wrong.value.faults
    assert all(word in fault for word in words)


def test_an_uplinks_port_is_one_that_exists(write):
    with pytest.raises(ConfigError, match=r"uplink\.0\.url"):
        load_config(write(GOOD.replace(":8000", ":99999")))


def test_the_unit_of_a_station_reaches_an_indicator_that_prints_none(write):
    config = load_config(write(GOOD.replace('url = "tcp:', 'unit = "kg"\nurl = "tcp:')))
    with_unit, without = config.station[1], config.station[0]
    assert with_unit.driver_options == {"unit": "kg"}
    assert without.driver_options == {}
    (reading,) = open_driver(with_unit.driver, **with_unit.driver_options).receive(0.0, b"ST,GS,+  12.5\r\n")
    assert reading.unit == "kg"


def test_an_option_of_the_driver_goes_before_the_unit_of_the_station(write):
    text = GOOD.replace('url = "tcp:', 'unit = "kg"\noptions = { unit = "g" }\nurl = "tcp:')
    assert load_config(write(text)).station[1].driver_options == {"unit": "g"}


@pytest.mark.parametrize("text", ["KG", "kgs", ""])
def test_a_unit_that_no_reading_carries_is_refused(write, text):
    with pytest.raises(ConfigError, match=r"station.1.unit: .* is no unit") as refused:
        load_config(write(GOOD.replace('url = "tcp:', f'unit = "{text}"\nurl = "tcp:')))
    assert len(refused.value.faults) == 1


UPLINK_ONLY = '[gateway]\ndata_dir = "data"\n[[uplink]]\nurl = "http://192.0.2.1:8000"\n'


def test_a_gateway_may_begin_without_stations_if_its_centre_may_assign_them(write):
    assert load_config(write(UPLINK_ONLY)).uplink[0].stations == "serial"
    with pytest.raises(ConfigError, match="at least one"):
        load_config(write(UPLINK_ONLY + 'stations = "none"\n'))
    with pytest.raises(ConfigError, match="at least one"):
        load_config(write('[gateway]\ndata_dir = "data"\n'))


@pytest.mark.parametrize(
    "line", ['stations = "all"', 'server_key = "abc"', 'ports = [""]', f"ports = {['/dev/x'] * 17}"]
)
def test_what_the_centre_may_do_is_checked(write, line):
    with pytest.raises(ConfigError, match=rf"uplink\.0\.{line.split()[0]}"):
        load_config(write(UPLINK_ONLY + line + "\n"))


LISTENER = """
[gateway]
data_dir = "data"

[[listener]]
name = "hall"
unit = "g"
"""


def test_a_code_page_that_the_driver_refuses_is_found_before_a_scale_dials_in(write):
    with pytest.raises(ConfigError, match=r"listener\.0\.driver: codepage .*utf-16"):
        load_config(write(LISTENER + 'codepage = "utf-16"\n'))
    scale = '[[listener.scale]]\nid = "SCALE-01"\ncodepage = "utf-16"\n'
    with pytest.raises(ConfigError, match=r"listener\.0\.scale\.0: codepage .*utf-16"):
        load_config(write(LISTENER + scale))


def test_a_driver_that_reads_no_finished_weighings_is_none_for_a_listener(write):
    with pytest.raises(ConfigError, match=r"listener\.0\.driver"):
        load_config(write(LISTENER + 'driver = "suwol-1000"\n'))
