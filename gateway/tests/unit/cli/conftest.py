import logging

import pytest
import structlog

STATION = """
[[station]]
name = "dock-1"
driver = "st-gs-comma"
url = "tcp://127.0.0.1:1"
"""


@pytest.fixture
def config(tmp_path):
    """`config(*more, data_dir=…, stations=…)` writes a configuration and returns its path."""

    def write(*more, data_dir="data", stations=STATION):
        path = tmp_path / "gateway.toml"
        path.write_text("\n".join([f'[gateway]\ndata_dir = "{data_dir}"', *more, stations]), encoding="utf-8")
        return path

    return write


@pytest.fixture(autouse=True)
def own_log():
    """Commands set logging up for their process; here it is put back."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in before:
            handler.close()
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()
