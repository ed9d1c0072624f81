"""Writes what follows from the contract and the code: the server's copy of the messages, and the descriptions of both APIs.

`python tools/dev.py python tools/contracts.py`. Tests compare both with what this file would write now.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
COPY = ROOT / "server/src/scaleledger_server/contract.json"
DESCRIBE = (
    "import django; django.setup(); from {module} import api; import json; print(json.dumps(api.get_openapi_schema()))"
)
DESCRIBED = {
    ROOT / "contracts/openapi.json": "scaleledger_server.urls",
    ROOT / "contracts/openapi-shifts.json": "scaleledger_server.shifts.api",
}


def as_text(value: Any) -> str:
    """JSON as it is committed."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def referring_inside(schema: Any) -> Any:
    """A schema that refers to other messages by OpenAPI's paths, and names no dialect of its own."""
    if isinstance(schema, list):
        return [referring_inside(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    read = {name: referring_inside(entry) for name, entry in schema.items() if name != "$schema"}
    if isinstance(read.get("$ref"), str):
        read["$ref"] = "#/components/schemas/" + read["$ref"].removesuffix(".schema.json")
    return read


def copied() -> str:
    """The text of the server's copy."""
    files = sorted((ROOT / "contracts").glob("*.schema.json"))
    messages = {path.name.removesuffix(".schema.json"): json.loads(path.read_text(encoding="utf-8")) for path in files}
    return as_text(referring_inside(messages))


def main() -> int:
    """Write them."""
    COPY.write_text(copied(), encoding="utf-8")
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "scaleledger_server.settings"}
    for path, module in DESCRIBED.items():
        words = [sys.executable, "-c", DESCRIBE.format(module=module)]
        said = subprocess.run(words, env=environment, check=True, capture_output=True, text=True)
        path.write_text(as_text(json.loads(said.stdout)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
