"""A person at the admin's pages: logs in, fills in forms, presses buttons. Over HTTP, as a browser would."""

import http.client
import re
from http.cookies import SimpleCookie
from urllib.parse import urlencode

TIMEOUT_S = 20
ERRORS = re.compile(r'class="[^"]*errorlist[^"]*".*?</ul>', re.DOTALL)


class Administrator:
    """Keeps cookies; every POST carries the CSRF token that the server gave."""

    def __init__(self, port, name="admin", password="a password of the tests"):
        self.port = port
        self.cookies = {}
        self.get("/admin/login/")
        self.post("/admin/login/", username=name, password=password, next="/admin/")
        assert "sessionid" in self.cookies, "the administrator could not log in"

    def get(self, path):
        """(status, page)"""
        return self._ask("GET", path)

    def post(self, path, **fields):
        """Send a form; (status, page). A form that the server found wrong fails here, with its words."""
        sent = {"csrfmiddlewaretoken": self.cookies.get("csrftoken", ""), **fields}
        status, page = self._ask("POST", path, urlencode(sent, doseq=True))
        assert status in (200, 302), (status, page[:2000])
        wrong = ERRORS.search(page) if status == 200 else None
        assert wrong is None, wrong and re.sub(r"<[^>]+>", " ", wrong[0])
        return status, page

    def _ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if body is not None:
            headers |= {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        page = answer.read().decode()
        for line in answer.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        connection.close()
        return answer.status, page
