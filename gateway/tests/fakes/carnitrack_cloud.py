"""A CarniTrack cloud for tests, written from the contract: what it holds (`CloudBooks`), real servers before it, faults by name.

One set of books is reached over HTTP (`cloud.url("rest")`) and over WebSocket (`cloud.url("ws")`). A fault is set at any
time in `cloud.fault`.
"""

import asyncio
import json
import re
import uuid
from collections import Counter, defaultdict
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from fakes import centre
from fakes.centre import Answers, Centre

KEY = "k-3f9d2c7a51"
SITE = "site-001"
AT = "2026-11-21T02:10:00+00:00"


class MemoryShelf:
    """Where an edge keeps its name, in memory."""

    def __init__(self):
        self.kept = {}

    async def load(self, key):
        return self.kept.get(key, "")

    async def keep(self, key, text):
        self.kept[key] = text

    @property
    def edge_id(self):
        return self.kept.get("carnitrack.edge_id", "")


async def soon(happened, within_s=10.0):
    """Return as soon as it is true; fail when it does not come true."""
    async with asyncio.timeout(within_s):
        while not happened():
            await asyncio.sleep(0.01)


class CloudBooks:
    """The contract, kept. `bare` speaks as the first programs do; `missing` names resources that are not there."""

    def __init__(self, *, bare=False, missing=(), config=None, needs_key=True):
        self.bare, self.missing, self.needs_key = bare, set(missing), needs_key
        self.config = {} if config is None else config
        self.edges = set()
        self.registrations = []
        self.approved = True
        self.events = {}  # local id -> body
        self.accepted = Counter()
        self.arrivals = Counter()
        self.revisions = defaultdict(list)
        self.order = defaultdict(list)  # device -> local ids as first taken
        self.rejects = set()
        self.repeats_in_batch = 0
        self.largest_batch = 0
        self.batches = []
        self.told = []
        self.calls = []
        self.sessions, self.ended = [], []
        self.jobs, self.job_acks = [], []
        self.plu = {"version": "v1", "items": [{"number": "00001", "name": "KIYMA", "barcode": "2000001"}]}
        self.missing_in_batch = []

    def forget_edges(self):
        """As after a restore from an old backup."""
        self.edges.clear()

    def knows(self, headers):
        """Whether the key and the edge in these headers are good."""
        keyed = not self.needs_key or headers.get("authorization") == f"Bearer {KEY}"
        return keyed and headers.get("x-edge-id") in self.edges

    def register(self, said, headers):
        """The answer to a registration; None for a refused one."""
        self.registrations.append(said.get("edgeId"))
        if self.needs_key and headers.get("authorization") != f"Bearer {KEY}":
            return None
        edge_id = said.get("edgeId")
        if edge_id is not None and edge_id not in self.edges:
            return None
        edge_id = edge_id or str(uuid.uuid4())
        self.edges.add(edge_id)
        if self.bare:
            return {"edge_id": edge_id, "site_id": SITE}
        return {"edgeId": edge_id, "siteId": SITE, "siteName": "Main", "config": self.config}

    def take(self, event):
        """accepted, duplicate or failed."""
        local_id = event["localEventId"]
        self.arrivals[local_id] += 1
        if local_id in self.rejects:
            return "failed"
        if event.get("revision"):
            known = event["revision"] in self.revisions[local_id]
            self.revisions[local_id].append(event["revision"])
            return "duplicate" if known else "accepted"
        if local_id in self.events:
            return "duplicate"
        self.events[local_id] = event
        self.accepted[local_id] += 1
        self.order[event["deviceId"]].append(local_id)
        return "accepted"

    def take_all(self, events):
        """One (event, status) per event."""
        ids = [event["localEventId"] for event in events]
        self.repeats_in_batch += len(ids) - len(set(ids))
        self.largest_batch = max(self.largest_batch, len(ids))
        return [(event, self.take(event)) for event in events]

    def entry(self, event, status):
        """What is said of one event."""
        local_id = event["localEventId"]
        said = {"localEventId": local_id, "cloudEventId": f"c-{local_id}", "status": status}
        if status == "failed":
            said["error"] = "no such product"
        if self.bare:
            return {re.sub(r"([A-Z])", r"_\1", key).lower(): value for key, value in said.items()}
        return said

    # REST

    def answer(self, method, path, headers, body):
        """(status, JSON or None, perhaps headers)."""
        path, _, query = path.partition("?")
        stated = json.loads(body) if body else {}
        resource = path.removeprefix("api/v1/")
        self.calls.append((method, resource))
        if resource == "edge/register":
            said = self.register(stated, headers)
            return (200, said) if said else self._unknown()
        if not self.knows(headers):
            return self._unknown()
        if not self.approved:
            return 403, {"error": "not_approved", "code": "not_approved", "detail": "wait"}
        if any(resource.startswith(f"edge/{name}") for name in self.missing):
            return 404, {"detail": "Not Found"}
        kind = resource.removeprefix("edge/").replace("/", "_").replace("-", "_")
        if kind.startswith("print_jobs_") and kind.endswith("_ack"):
            self.job_acks.append((resource.split("/")[2], stated))
            return 200, {"ok": True}
        known = getattr(self, f"_{method.lower()}_{kind}", None)
        return known(stated, query, headers) if known else (404, {"detail": "Not Found"})

    def _unknown(self):
        return 401, {"error": "invalid_edge", "code": "invalid_edge", "detail": "not known here"}

    def _tagged(self, said, headers):
        etag = f'"{hash(json.dumps(said)) & 0xFFFFFFFF:x}"'
        if headers.get("if-none-match") == etag:
            return 304, None, {"ETag": etag}
        return 200, said, {"ETag": etag}

    def _get_config(self, said, query, headers):
        return 200, self.config

    def _get_sessions(self, said, query, headers):
        asked = query.removeprefix("device_ids=").split(",")
        told = {"sessions": [s for s in self.sessions if s["deviceId"] in asked], "ended": self.ended}
        return self._tagged(told, headers)

    def _post_events(self, said, query, headers):
        entry = self.entry(said, self.take(said))
        if self.bare:
            entry.pop("local_event_id")
        return 200, entry

    def _post_events_batch(self, said, query, headers):
        return 200, {"results": [self.entry(*taken) for taken in self.take_all(said["events"])]}

    def _post_offline_batches_ack(self, said, query, headers):
        self.batches.append(said)
        more = {} if self.bare else {"missing": self.missing_in_batch}
        return 200, {"batchId": said["batchId"], "status": "received", "receivedAt": AT} | more

    def _post_devices_status(self, said, query, headers):
        self.told.append(said)
        return 200, {"ok": True}

    def _post_heartbeat(self, said, query, headers):
        self.told.append(said)
        return 200, {"ok": True}

    def _get_print_jobs_pending(self, said, query, headers):
        return self._tagged({"jobs": self.jobs}, headers)

    def _post_printers_inventory(self, said, query, headers):
        named = [
            {"localPrinterId": p["localPrinterId"], "globalPrinterId": f"g-{p['localPrinterId']}"}
            for p in said["printers"]
        ]
        return 200, {"ok": True, "printers": named}

    def _get_plu(self, said, query, headers):
        return self._tagged(self.plu, headers)


class BrokenOff(Exception):
    """The cloud ended the line: what lies in its buffers is not looked at."""


class Sound:
    """No fault."""

    http = Answers()

    def handshake(self, connection, request):
        return None

    async def events(self, cloud, link, events):
        await cloud.answer_events(link, events)


class Silent(Sound):
    """Takes connections, and never says a word."""

    http = centre.Silent()

    async def events(self, cloud, link, events):
        await link.wait_closed()


class Slow(Sound):
    """Takes its time for every delivery, one after the other."""

    def __init__(self, wait_s=6.0):
        self.wait_s = wait_s
        self.http = self

    async def serve(self, books, request, writer):
        if "/events" in request[1]:
            await asyncio.sleep(self.wait_s)
        await Answers.serve(self, books, request, writer)

    send = Answers.send

    async def events(self, cloud, link, events):
        await asyncio.sleep(self.wait_s)
        await cloud.answer_events(link, events)


class Portal(Sound):
    """A captive portal: a page for everything."""

    def __init__(self, status=200):
        self.status = status
        self.http = centre.AnswersHtml(status)

    def handshake(self, connection, request):
        return connection.respond(HTTPStatus(self.status), "<html>Please log in</html>")


class DropsReply(Sound):
    """Takes the events, then breaks the connection off, so many times."""

    def __init__(self, times=1):
        self.left = times
        self.http = self

    send = Answers.send

    async def serve(self, books, request, writer):
        if self.left and "/events" in request[1]:
            self.left -= 1
            books.answer(*request)
            writer.transport.abort()
            return
        await Answers.serve(self, books, request, writer)

    async def events(self, cloud, link, events):
        if self.left:
            self.left -= 1
            cloud.books.take_all(events)
            link.transport.abort()
            raise BrokenOff
        await cloud.answer_events(link, events)


class DropsAtRandom(DropsReply):
    """As DropsReply, now and then, before or after taking."""

    def __init__(self, rng, share):
        super().__init__(0)
        self.rng, self.share = rng, share

    async def serve(self, books, request, writer):
        if "/events" in request[1]:
            self.left = int(self.rng.random() < self.share)
            if self.left and self.rng.random() < 0.5:
                writer.transport.abort()
                return
        await super().serve(books, request, writer)

    async def events(self, cloud, link, events):
        self.left = int(self.rng.random() < self.share)
        if self.left and self.rng.random() < 0.5:
            link.transport.abort()
            raise BrokenOff
        await super().events(cloud, link, events)


class AnswersHalf(Sound):
    """Takes every event and answers only every second one of a batch."""

    def __init__(self):
        self.http = self

    send = Answers.send

    async def serve(self, books, request, writer):
        if not request[1].endswith("events/batch"):
            await Answers.serve(self, books, request, writer)
            return
        status, said = books.answer(*request)
        await self.send(writer, status, json.dumps({"results": said["results"][::2]}).encode())

    async def events(self, cloud, link, events):
        for event, status in cloud.books.take_all(events)[::2]:
            await cloud.say_event(link, event, status)


class FailsEvents(Sound):
    """500 for one event, whatever comes with it; over WebSocket the line is closed with "try later"."""

    def __init__(self, local_id):
        self.local_id = local_id
        self.http = self

    send = Answers.send

    async def serve(self, books, request, writer):
        if self.local_id.encode() in request[3]:
            await self.send(writer, 500, b"oops", "text/plain")
        else:
            await Answers.serve(self, books, request, writer)

    async def events(self, cloud, link, events):
        if any(event["localEventId"] == self.local_id for event in events):
            await link.close(1013)
            raise BrokenOff
        await cloud.answer_events(link, events)


class AsksPatience(Sound):
    """429 for the first so many requests for a resource."""

    def __init__(self, times, resource, retry_after="0"):
        self.left, self.resource, self.retry_after = times, resource, retry_after
        self.http = self

    send = Answers.send

    async def serve(self, books, request, writer):
        if self.left and self.resource in request[1]:
            self.left -= 1
            await self.send(writer, 429, b"{}", extra=f"Retry-After: {self.retry_after}\r\n")
        else:
            await Answers.serve(self, books, request, writer)


class CarnitrackCloud:
    """The two servers. `links` are the WebSocket lines in order; `messages` what came on them; `last_headers` of a handshake."""

    def __init__(self, books=None):
        self.books = books or CloudBooks()
        self._fault = Sound()
        self._http = Centre(self.books, self._fault.http)
        self.links, self.messages = [], []
        self.last_headers = {}
        self.close_codes = []
        self.pongs = True
        self.port = 0
        self._server = None

    @property
    def fault(self):
        return self._fault

    @fault.setter
    def fault(self, fault):
        self._fault = fault
        self._http.fault = fault.http
        if isinstance(fault, Portal):  # it came between: what was open is cut
            for link in self.links:
                link.transport.abort()

    @property
    def rest_url(self):
        return f"http://127.0.0.1:{self._http.port}/api/v1"

    def url(self, way):
        return self.rest_url if way == "rest" else f"ws://127.0.0.1:{self.port}/edge/ws"

    async def come_back(self):
        await self._http.come_back()
        self._server = await serve(
            self._serve, "127.0.0.1", self.port, process_request=self._handshake, compression=None, ping_interval=None
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def go_away(self):
        await self._http.go_away()
        self._server.close()
        await self._server.wait_closed()

    def _handshake(self, connection, request):
        self.last_headers = {name.lower(): value for name, value in request.headers.raw_items()}
        return self._fault.handshake(connection, request)

    async def say(self, link, kind, payload):
        await link.send(json.dumps({"type": kind, "payload": payload, "timestamp": AT, "messageId": "c-1"}))

    async def push(self, kind, payload):
        """Say something on the newest line."""
        await self.say(self.links[-1], kind, payload)

    async def _serve(self, link):
        headers = self.last_headers
        with suppress(ConnectionClosed, BrokenOff):
            first = json.loads(await link.recv())
            self.messages.append(first)
            if first["type"] != "register":
                await link.close(4400)
                return
            said = self.books.register(first["payload"], headers)
            if said is None or not self.books.approved:
                await link.close(4401 if said is None else 4403)
                return
            self.links.append(link)
            if not isinstance(self._fault, Silent):
                await self.say(link, "config_update" if self.books.bare else "edge_registered", said)
                if not self.books.bare:
                    await self.say(link, "session_list", {"sessions": self.books.sessions, "ended": self.books.ended})
            async for text in link:
                await self._take(link, json.loads(text))
        self.close_codes.append(link.close_code)

    async def _take(self, link, message):
        kind, payload = message["type"], message["payload"]
        self.messages.append(message)
        if kind == "ping":
            if self.pongs:
                await self.say(link, "pong", {})
        elif kind == "event":
            await self._fault.events(self, link, [payload])
        elif kind == "event_batch":
            await self._fault.events(self, link, payload["events"])
        elif kind == "offline_batch_end":
            self.books.batches.append(payload)
            if not self.books.bare:
                said = {"batchId": payload["batchId"], "status": "received", "missing": self.books.missing_in_batch}
                await self.say(link, "offline_batch_ack", said)
        else:
            self.books.told.append(payload)

    async def answer_events(self, link, events):
        for event, status in self.books.take_all(events):
            await self.say_event(link, event, status)

    async def say_event(self, link, event, status):
        if status == "failed":
            local_id = {"localEventId": event["localEventId"], "reason": "no such product"}
            await self.say(link, "event_rejected", local_id)
        else:
            await self.say(link, "event_ack", self.books.entry(event, status))


@asynccontextmanager
async def carnitrack_cloud(books=None):
    cloud = CarnitrackCloud(books)
    await cloud.come_back()
    try:
        yield cloud
    finally:
        await cloud.go_away()
