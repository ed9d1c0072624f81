"""What a gateway with a key delivers is signed by it: a stolen token alone writes nothing."""

import pytest

from gateway_ledgers import LedgerOf
from scaleledger_server.devices.identity import check_body_signature
from scaleledger_server.errors import Refusal
from server_api import join, sign_body

BODY = b'{"records": []}'


def test_it_works(joined, ledger):
    gateway, _ = joined
    check_body_signature(gateway, sign_body(ledger, BODY), BODY)


@pytest.mark.parametrize("header", ["0" * 128, "0" * 127, "x" * 128, " ", "é"])
def test_a_wrong_one_is_refused(joined, header):
    gateway, _ = joined
    with pytest.raises(Refusal) as refused:
        check_body_signature(gateway, header, BODY)
    assert (refused.value.status, refused.value.code) == (403, "signature_wrong")


def test_none_is_refused_for_a_gateway_with_a_key_only(joined):
    gateway, _ = joined
    with pytest.raises(Refusal) as refused:
        check_body_signature(gateway, "", BODY)
    assert (refused.value.status, refused.value.code) == (403, "signature_missing")
    plain, _ = join(LedgerOf("02:00:00:00:00:02"))
    check_body_signature(plain, "", BODY)


def test_it_is_over_this_body_by_this_gateway(joined, ledger):
    gateway, _ = joined
    other = LedgerOf("02:00:00:00:00:02", signed=True)
    elsewhere, _ = join(other)
    for who, header, body in (
        (gateway, sign_body(ledger, BODY), BODY + b" "),
        (gateway, sign_body(other, BODY), BODY),
        (elsewhere, sign_body(ledger, BODY), BODY),
    ):
        with pytest.raises(Refusal, match="not this gateway"):
            check_body_signature(who, header, body)
