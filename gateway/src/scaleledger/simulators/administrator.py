"""A person at the centre's own pages: logs in, reads forms, fills them in and sends them. Over HTTP, as a browser would.

So what the demonstration shows is what an administrator does: no door of its own, no shortcut into the database.
"""

import json
import re
from collections.abc import Mapping
from html import unescape
from html.parser import HTMLParser
from http.client import HTTPResponse
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import (
    HTTPCookieProcessor,
    HTTPErrorProcessor,
    OpenerDirector,
    ProxyHandler,
    Request,
    build_opener,
)

TIMEOUT_S = 30.0
PAGE_BYTES_MAX = 4_000_000
COMPLAINTS = re.compile(r'class="[^"]*errorlist[^"]*".*?</ul>', re.DOTALL)
CHANGED = re.compile(r"/(\d+)/change/")


class AdministratorError(Exception):
    """A page did not take what was sent; the message has the page's own words."""


class _Form(HTMLParser):
    """The fields of a page with the values that they have at first."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._select = self._area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = {name: value or "" for name, value in attrs}
        name = facts.get("name", "")
        kind = facts.get("type", "text")
        if tag == "input" and name and kind in {"checkbox", "radio"}:
            if "checked" in facts:
                self.fields[name] = facts.get("value", "on")
        elif tag == "input" and name and kind not in {"submit", "button", "file"}:
            self.fields[name] = facts.get("value", "")
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and ("selected" in facts or self._select not in self.fields):
            self.fields[self._select] = facts.get("value", "")
        elif tag == "textarea":
            self._area = name
            self.fields[name] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.fields[self._area] += data


class _NoRedirects(HTTPErrorProcessor):
    """Every answer is the answer: where a form leads to is what it tells."""

    def http_response(self, request: Request, response: HTTPResponse) -> HTTPResponse:  # noqa: ARG002 - its signature
        return response

    https_response = http_response


class Administrator:
    """Logged in at `address`. Every method raises AdministratorError when the page refuses, OSError when none answers."""

    def __init__(self, address: str, name: str, password: str) -> None:
        self._address = address
        self._cookies = CookieJar()
        self._way: OpenerDirector = build_opener(ProxyHandler({}), HTTPCookieProcessor(self._cookies), _NoRedirects())
        self.send("/admin/login/", {"username": name, "password": password, "next": "/admin/"})
        if not any(cookie.name == "sessionid" for cookie in self._cookies):
            raise AdministratorError("the login was refused")

    def read(self, path: str) -> str:
        """A page."""
        return self._ask(path)[1]

    def send(self, path: str, fields: Mapping[str, str], form_at: str = "") -> str:
        """Fill in the form of a page (at `form_at` if it is not where it is sent to) and send it; where it leads to."""
        form = _Form()
        form.feed(self.read(form_at or path))
        leads_to, page = self._ask(path, {**form.fields, **fields})
        complaint = COMPLAINTS.search(page)
        if complaint is not None and not leads_to:
            raise AdministratorError(f"{path}: {' '.join(unescape(re.sub(r'<[^>]+>', ' ', complaint[0])).split())}")
        return leads_to

    def add(self, what: str, **fields: str) -> int:
        """Add a row of an app's table ("market/species"); its number."""
        leads_to = self.send(f"/admin/{what}/add/", {**fields, "_continue": "1"})
        found = CHANGED.search(leads_to)
        if found is None:
            raise AdministratorError(f"{what} was not added, and the page does not say why")
        return int(found[1])

    def approve(self, gateway_id: int) -> None:
        """Choose the gateway, press Approve, and confirm on the page that shows the fingerprint."""
        chosen = {"action": "approve", "_selected_action": str(gateway_id), "confirmed": "yes"}
        if not self.send("/admin/devices/gateway/", chosen):
            raise AdministratorError("the approval was not taken")

    def scan_ports(self, gateway_id: int) -> None:
        """Press "Scan ports" on the gateway's page."""
        self.send(f"/admin/devices/gateway/{gateway_id}/scan/", {}, f"/admin/devices/gateway/{gateway_id}/change/")

    def ask_json(self, path: str, value: Mapping[str, Any] | None = None) -> Any:
        """What a page's own script asks: a GET, or a POST of `value` with the page's CSRF token; the JSON that comes back."""
        token = next((cookie.value or "" for cookie in self._cookies if cookie.name == "csrftoken"), "")
        headers = {"Referer": self._address + path, "X-CSRFToken": token, "Content-Type": "application/json"}
        data = None if value is None else json.dumps(value).encode()
        request = Request(self._address + path, data, headers)  # noqa: S310 - the centre's own
        return json.loads(self._read(request, path)[1])

    def _ask(self, path: str, fields: Mapping[str, str] | None = None) -> tuple[str, str]:
        data = None if fields is None else urlencode(fields).encode()
        request = Request(self._address + path, data, {"Referer": self._address + path})  # noqa: S310 - the centre's own
        return self._read(request, path)

    def _read(self, request: Request, path: str) -> tuple[str, str]:
        """Where an answer leads to, and what it says."""
        try:
            with self._way.open(request, timeout=TIMEOUT_S) as answer:
                status, page = answer.status, answer.read(PAGE_BYTES_MAX).decode()
                leads_to = answer.headers.get("Location", "")
        except HTTPError as error:
            raise AdministratorError(f"{path} was answered {error.code}") from error
        if status >= 400:
            raise AdministratorError(f"{path} was answered {status}")
        return leads_to, page
