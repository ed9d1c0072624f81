"""A person's phone at a real server: logged in, asking the page's API, and following a session's stream."""

import http.client
import json
from http.cookies import SimpleCookie
from urllib.parse import urlencode

from edge_lines import PlantCentre
from live_sockets import PATIENCE_S


class PhoneLine:
    """Keeps cookies; every POST carries the CSRF token that the server gave."""

    def __init__(self, port, name=PlantCentre.NAME, password=PlantCentre.PASSWORD):
        self.port, self.cookies = port, {}
        self._ask("GET", "/shifts/login/")
        form = {"username": name, "password": password, "next": "/shifts/", "csrfmiddlewaretoken": self.csrf()}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        self._ask("POST", "/shifts/login/", urlencode(form), headers)
        assert "sessionid" in self.cookies, "the person could not log in"

    def csrf(self):
        return self.cookies.get("csrftoken", "")

    def _headers(self):
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}

    def _ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        connection.request(method, path, body, {**self._headers(), **(headers or {})})
        answer = connection.getresponse()
        text = answer.read()
        for line in answer.headers.get_all("Set-Cookie", []):
            self.cookies.update({name: morsel.value for name, morsel in SimpleCookie(line).items()})
        connection.close()
        return answer.status, text

    def get(self, path):
        status, text = self._ask("GET", f"/shifts/api/{path}")
        return status, json.loads(text)

    def post(self, path, body):
        headers = {"Content-Type": "application/json", "X-CSRFToken": self.csrf()}
        status, text = self._ask("POST", f"/shifts/api/{path}", json.dumps(body), headers)
        return status, json.loads(text)

    def scale(self, device_id):
        """The number of a scale on the list."""
        return next(one["id"] for one in self.get("scales/")[1]["scales"] if one["device_id"] == device_id)

    def start(self, device_id, tag, session_id):
        body = {"session_id": session_id, "scale": self.scale(device_id), "animal_tag": tag}
        status, session = self.post("sessions/", body)
        assert status == 200, session
        return session

    def stream(self, session_id, last=None, **headers):
        return Stream(self.port, session_id, {**self._headers(), **headers}, last)


class Stream:
    """A stream of cuts. `hear` gives the next event that is no beat: (id, data)."""

    def __init__(self, port, session_id, headers, last=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        sent = {**headers, "Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
        self.connection.request("GET", f"/shifts/stream/{session_id}/", headers=sent)
        self.answer = self.connection.getresponse()
        self.status = self.answer.status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.answer.close()
        self.connection.close()

    def fields(self):
        """The next event's fields; {} at the end of the stream."""
        found = {}
        while line := self.answer.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                found[name] = value
            elif found:
                return found
        return {}

    def hear(self):
        while found := self.fields():
            if found.get("event") == "cuts":
                return found["id"], json.loads(found["data"])
        raise AssertionError("the stream ended")

    def hear_until(self, wanted):
        """The data up to and with the first for which `wanted` is true, and that one's id."""
        heard = []
        while True:
            place, told = self.hear()
            heard.append(told)
            if wanted(told):
                return place, heard
