"""How often somebody may ask: per token, per address behind the proxy, and never at the cost of the work."""

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.test import AsyncClient
from redis.exceptions import ConnectionError as RedisAway
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from scaleledger_server import rates
from scaleledger_server.errors import Refusal

CHALLENGE = "/devices/api/gateways/challenge/"


def test_it_works():
    for _ in range(2):
        rates.spend("x", "a", 2)
    rates.spend("x", "b", 2)
    with pytest.raises(Refusal) as refused:
        rates.spend("x", "a", 2)
    assert (refused.value.status, refused.value.code, refused.value.retry_after_s) == (429, "rate_limited", 60)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("", "unix:/run/x", True),
    ],
)
def test_an_address_is_counted_as_its_network(one, other, same):
    assert (rates.network_of(one) == rates.network_of(other)) == same


def test_a_cache_that_is_away_turns_nobody_away_and_is_left_alone_for_a_while(monkeypatch):
    asked = []

    def away(key):
        asked.append(key)
        raise RedisAway("refused")

    monkeypatch.setattr(rates, "_counted", away)
    monkeypatch.setattr(rates, "_away_until_s", {"cache": 0.0})
    for _ in range(5):
        rates.spend("x", "a", 1)
    assert len(asked) == 1


class Behind:
    """The application behind uvicorn's reading of X-Forwarded-For, as `serve` runs it with TLS_PROXY."""

    def __init__(self, trusted):
        self.application = ProxyHeadersMiddleware(ASGIHandler(), trusted_hosts=trusted)

    async def challenge(self, forwarded_for):
        client = AsyncClient()
        client.handler = Through(self.application, client.handler)
        return (
            await client.post(CHALLENGE, {}, "application/json", headers={"X-Forwarded-For": forwarded_for})
        ).status_code


class Through:
    """Lets the middleware change the scope before the test client's own entry sees it."""

    def __init__(self, application, entry):
        self.application, self.entry = application, entry

    async def __call__(self, scope):
        seen = {}

        async def keep(changed, _receive, _send):
            seen.update(changed)

        self.application.app = keep
        await self.application({"client": ["127.0.0.1", 5], **scope, "type": "http"}, None, None)
        return await self.entry(seen)


@pytest.mark.django_db
async def test_behind_the_proxy_each_client_is_counted_by_its_own_address(settings):
    settings.REGISTRATIONS_PER_MINUTE = 1
    proxy = Behind("127.0.0.1")
    assert [await proxy.challenge("192.0.2.7"), await proxy.challenge("192.0.2.7")] == [200, 429]
    assert await proxy.challenge("192.0.2.8") == 200


@pytest.mark.django_db
async def test_what_a_client_claims_of_itself_is_not_believed(settings):
    settings.REGISTRATIONS_PER_MINUTE = 1
    direct = Behind("10.0.0.1")
    assert [await direct.challenge("192.0.2.7"), await direct.challenge("192.0.2.8")] == [200, 429]
