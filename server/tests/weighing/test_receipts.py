"""A receipt tells what is committed and proved, signed with the server's key, and nothing more."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import connection

from databases import append_only_lifted
from gateway_ledgers import LedgerOf
from scaleledger_server.signing import server_key
from scaleledger_server.weighing.models import LedgerState, SignedHead
from scaleledger_server.weighing.receipts import receipt
from server_api import as_contract, join


def proved(ledger, given):
    message = f"scaleledger-receipt-v1\n{ledger.mac}\n{given['upto_seq']}\n{given['hash']}\n{given['at']}"
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(server_key()))
    key.verify(bytes.fromhex(given["signature"]), message.encode())
    return given["upto_seq"], given["hash"]


def test_it_works(joined, ledger):
    gateway, api = joined
    assert proved(ledger, receipt(gateway)) == (0, "0" * 64)
    _, body = api.deliver_batch(ledger.batch(3))
    assert proved(ledger, body["receipt"]) == (3, ledger.hash)
    status, answer = api.post("/devices/api/gateways/heartbeat/")
    assert (status, proved(ledger, as_contract(answer, "heartbeat_answer")["receipt"])) == (200, (3, ledger.hash))
    state = LedgerState.objects.get()
    assert (state.held_seq, state.receipt_seq, state.receipt_signature) == (3, 3, body["receipt"]["signature"])


def test_a_gap_ends_the_receipt_until_it_is_filled(joined, ledger):
    _, api = joined
    first, second, third = (ledger.batch(2) for _ in range(3))
    assert proved(ledger, api.deliver_batch(third)[1]["receipt"]) == (0, "0" * 64)
    assert proved(ledger, api.deliver_batch(first)[1]["receipt"])[0] == 2
    assert proved(ledger, api.deliver_batch(second)[1]["receipt"]) == (6, ledger.hash)


@pytest.mark.parametrize("order", [(2, 1, 0), (1, 0, 2), (2, 0, 1)])
def test_batches_that_overtake_each_other_end_in_the_same_receipt(joined, ledger, order):
    _, api = joined
    batches = [ledger.batch(4) for _ in order]
    for place in order:
        _, body = api.deliver_batch(batches[place])
    assert proved(ledger, body["receipt"]) == (12, ledger.hash)


def test_a_long_tail_that_waited_is_walked_at_once(joined, ledger):
    _, api = joined
    first = ledger.batch(1)
    for _ in range(3):
        api.deliver_batch(ledger.batch(500))
    assert proved(ledger, api.deliver_batch(first)[1]["receipt"]) == (1501, ledger.hash)


def test_a_refused_record_is_not_in_the_receipt(joined, ledger):
    _, api = joined
    batch = ledger.batch(3)
    batch["records"][1]["measured_at"] = "soon"
    assert proved(ledger, api.deliver_batch(batch)[1]["receipt"])[0] == 1


def test_a_record_that_does_not_follow_ends_the_receipt(joined, ledger):
    _, api = joined
    ledger.record()
    api.deliver_batch(ledger.batch(2))
    other_first = LedgerOf(ledger.mac).record(weight="1.00")
    assert api.deliver(other_first)[0] == 201
    _, body = api.post("/devices/api/gateways/heartbeat/")
    assert body["receipt"]["upto_seq"] == 1


def test_repeated_deliveries_are_counted_and_change_nothing(joined, ledger):
    _, api = joined
    batch = ledger.batch(3)
    for _ in range(3):
        _, body = api.deliver_batch(batch)
        assert body["receipt"]["upto_seq"] == 3
    assert LedgerState.objects.get().absorbed == 6


def test_a_server_restored_from_a_backup_tells_the_older_number(joined, ledger):
    """What a backup holds is rows; all that came later is gone, keys and state alike."""
    gateway, api = joined
    api.deliver_batch(ledger.batch(3))
    kept = LedgerState.objects.values().get()
    later = ledger.batch(2)
    assert api.deliver_batch(later)[1]["receipt"]["upto_seq"] == 5
    with append_only_lifted(connection), connection.cursor() as cursor:
        for table in ("weighing_weighingrecord", "weighing_recordkey"):
            cursor.execute(f"DELETE FROM {table} WHERE seq > 3")
    LedgerState.objects.update(**kept)
    gateway.refresh_from_db()
    gateway.__class__.objects.update(anchor_seq=3, anchor_hash=kept["held_hash"])
    assert proved(ledger, receipt(gateway)) == (3, kept["held_hash"])
    outcomes, body = api.deliver_batch(later)
    assert (outcomes, body["receipt"]["upto_seq"]) == (["created", "created"], 5)


def test_a_server_that_lost_every_record_says_so_until_it_has_them_again(joined, ledger):
    """Restored to before the first delivery; the gateway goes on with its newest records, as it knows no better yet."""
    gateway, api = joined
    first, later = ledger.batch(3), ledger.batch(2)
    given = api.deliver_batch(first)[1]["receipt"]
    with append_only_lifted(connection), connection.cursor() as cursor:
        for table in ("weighing_weighingrecord", "weighing_recordkey", "weighing_signedhead"):
            cursor.execute(f"DELETE FROM {table}")
    LedgerState.objects.all().delete()
    gateway.__class__.objects.update(anchor_seq=0, anchor_hash="", anchor_signature="")
    _, answer = api.post("/devices/api/gateways/heartbeat/")
    lost = as_contract(answer, "heartbeat_answer")["receipt"]
    assert (proved(ledger, lost), lost["at"] > given["at"]) == ((0, "0" * 64), True)
    outcomes, body = api.deliver_batch(later)
    assert (outcomes, proved(ledger, body["receipt"])[0]) == (["created"] * 2, 0)
    _, answer = api.post("/devices/api/gateways/heartbeat/")
    assert proved(ledger, answer["receipt"])[0] == 0
    outcomes, body = api.deliver_batch(first)
    assert (outcomes, proved(ledger, body["receipt"])) == (["created"] * 3, (5, ledger.hash))
    assert LedgerState.objects.get().receipt_seq == 5


def test_a_client_without_a_key_is_told_nothing_of_nothing(db):
    gateway, api = join(LedgerOf())
    assert receipt(gateway) is None
    _, answer = api.post("/devices/api/gateways/heartbeat/")
    assert as_contract(answer, "heartbeat_answer")["receipt"] is None


def test_each_believed_head_is_kept_once_as_evidence(joined, ledger):
    _, api = joined
    first, second = ledger.batch(2), ledger.batch(2)
    forged = {**second, "head": {**second["head"], "signature": "ab" * 64}}
    for batch in (first, second, first, forged):
        api.deliver_batch(batch)
    heads = SignedHead.objects.order_by("seq").values_list("seq", "hash", "signature")
    assert list(heads) == [tuple(batch["head"].values()) for batch in (first, second)]
