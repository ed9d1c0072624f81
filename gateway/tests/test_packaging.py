"""What is shipped to run the server fits together: containers, proxy, environment and unit name the same things."""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from django.core.management import load_command_class

from scaleledger_server.limits import HEALTH_PATH

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / "packaging" / "server"
SECRET = "a-secret-of-the-tests-" * 4


def text_of(name):
    return (SERVER / name).read_text(encoding="utf-8")


def compose():
    return yaml.safe_load(text_of("compose.yaml"))


def workers():
    return {name: found for name, found in compose()["services"].items() if found.get("image") == "scaleledger-server"}


def example():
    """The environment of the example with its secrets filled in, and each variable put where another names it."""
    filled = {}
    for line in text_of("server.env.example").splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            filled[name] = re.sub(r"\$\{(\w+)\}", lambda found: filled[found[1]], value) or SECRET
    return filled


def serve(words):
    """The options of a command line that begins with the server's program."""
    assert [Path(words[0]).name, words[1]] == ["scaleledger-server", "serve"]
    return load_command_class("scaleledger_server.devices", "serve").create_parser("x", "serve").parse_args(words[2:])


def image_command():
    [line] = [line for line in text_of("Containerfile").splitlines() if line.startswith("CMD ")]
    return serve(yaml.safe_load(line.removeprefix("CMD ")))


def test_the_proxy_leads_to_every_worker_at_the_port_it_listens_on():
    upstreams = re.search(r"reverse_proxy (.*) \{", text_of("Caddyfile"))[1].split()
    assert len(upstreams) > 1
    assert set(upstreams) == {f"{name}:{image_command().port}" for name in workers()}
    assert f"EXPOSE {image_command().port}\n" in text_of("Containerfile")
    assert set(compose()["services"]["proxy"]["depends_on"]) == set(workers())


def test_the_proxy_and_the_image_ask_where_the_server_tells_its_health():
    assert f"health_uri {HEALTH_PATH}\n" in text_of("Caddyfile")
    assert f"http://127.0.0.1:{image_command().port}{HEALTH_PATH}" in text_of("Containerfile")


def test_only_the_proxy_is_reached_from_outside():
    published = {name for name, service in compose()["services"].items() if service.get("ports")}
    assert published == {"proxy"}


def test_database_and_redis_are_the_services_that_are_started():
    services, filled = compose()["services"], example()
    url = urlsplit(filled["DATABASE_URL"])
    made = services[url.hostname]["environment"]
    assert (url.username, url.path[1:]) == (made["POSTGRES_USER"], made["POSTGRES_DB"])
    assert url.password == filled[re.match(r"\$\{(\w+)", made["POSTGRES_PASSWORD"])[1]]
    redis = urlsplit(filled["REDIS_URL"])
    assert services[redis.hostname]["image"].startswith("valkey/")
    for worker in workers().values():
        assert set(worker["depends_on"]) == {url.hostname, redis.hostname}


def test_every_variable_that_is_asked_for_is_in_the_example():
    asked = set(re.findall(r"\$\{(\w+)", text_of("compose.yaml"))) | set(re.findall(r"\{\$(\w+)", text_of("Caddyfile")))
    assert asked
    assert asked <= set(example())


def test_every_worker_and_the_proxy_read_the_environment_and_every_volume_is_declared():
    found = compose()
    for service in [*workers().values(), found["services"]["proxy"]]:
        assert service["env_file"] == "server.env"
    mounted = {mount.split(":")[0] for service in found["services"].values() for mount in service.get("volumes", [])}
    assert {name for name in mounted if not name.startswith("./")} == set(found["volumes"])
    assert all((SERVER / name).exists() for name in mounted if name.startswith("./"))


def test_what_the_image_is_built_from_is_there():
    copied = re.findall(r"^COPY (\S+) ", text_of("Containerfile"), re.MULTILINE)
    assert copied
    assert [path for path in copied if not (ROOT / path).exists()] == []
    for worker in workers().values():
        build = worker["build"]
        assert (SERVER / build["context"]).resolve() == ROOT
        assert (ROOT / build["dockerfile"]).exists()


def test_the_filled_example_is_one_that_a_server_takes_and_finds_nothing_to_warn_of(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "scaleledger_server.manage", "check", "--deploy", "--fail-level", "WARNING"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "SCALELEDGER_SERVER_DATA_DIR": str(tmp_path), **example()},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == [], "a worker keeps nothing of its own"


def test_the_unit_runs_the_server_with_the_port_of_its_instance():
    unit = text_of("scaleledger-server@.service")
    command = re.search(r"^ExecStart=(.*)$", unit, re.MULTILINE)[1].replace("%i", "8001").split()
    assert serve(command).port == 8001
    page = (ROOT / "docs" / "how-to" / "scale-out.md").read_text(encoding="utf-8")
    for place in (re.search(r"^EnvironmentFile=(.*)$", unit, re.MULTILINE)[1], Path(command[0]).parents[1].as_posix()):
        assert f"`{place}`" in page
