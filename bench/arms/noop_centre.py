"""A centre that keeps nothing: it approves every gateway, takes every record, and costs next to nothing.

python -m bench.arms.noop_centre PORT_FILE          until SIGTERM
"""

import asyncio
import json
import signal
import sys
from pathlib import Path

HEAD = "HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
BATCH = "api/weighing/records/batch/"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, kept."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            lines = head.split("\r\n")
            length = next((int(line[15:]) for line in lines if line.lower().startswith("content-length:")), 0)
            method, path, _ = lines[0].split(" ", 2)
            status, answer = take(method, path, await reader.readexactly(length))
            body = json.dumps(answer).encode()
            writer.write(HEAD.format(status=status, length=len(body)).encode() + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


def take(method: str, path: str, body: bytes) -> tuple[int, object]:
    """Status and body of the answer. It knows no keys, stations or market data, as centres of the first description do."""
    if path.endswith(("/challenge/", "/stations/", "/catalogue/")) or "/ws/" in path:
        return 404, {"code": "not_found", "detail": "There is nothing at this path."}
    if method == "GET":
        offer = {"path": BATCH, "max_records": 500}
        mac = path.strip("/").rpartition("/")[2]
        return 200, {"mac_address": mac, "status": "active", "access_token": "bench", "batch": offer}
    if path.endswith(BATCH):
        records = json.loads(body)["records"]
        return 200, {"results": [{"uuid": record["uuid"], "outcome": "created"} for record in records]}
    if path.endswith("records/"):
        return 201, {"uuid": json.loads(body)["uuid"]}
    return 200, {"status": "active"}


async def main(port_file: Path) -> None:
    """Listen on a free port of the loopback."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=4_000_000)
    port_file.write_text(str(server.sockets[0].getsockname()[1]))
    await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
