"""A gateway that says it is ready is."""

import asyncio
import socket

from fakes.clouded_gateway import free_port
from scaleledger.bootstrap import run_gateway
from scaleledger.config.load import load_config


async def test_a_scale_that_dials_in_at_the_word_ready_is_let_in(tmp_path):
    port, path = free_port(), tmp_path / "gateway.toml"
    path.write_text(
        '[gateway]\ndata_dir = "data"\n[store]\nreserve_mb = 1\n'
        f'[[listener]]\nname = "hall"\nunit = "g"\nurl = "tcp-listen://127.0.0.1:{port}"\n'
    )
    stop, opened = asyncio.Event(), asyncio.get_running_loop().create_future()

    def dial(_):
        try:
            opened.set_result(socket.create_connection(("127.0.0.1", port), timeout=2))
        except OSError as error:
            opened.set_exception(error)

    running = asyncio.create_task(run_gateway(path, load_config(path), stop, dial))
    try:
        async with asyncio.timeout(20):
            (await opened).close()
    finally:
        stop.set()
        await running
