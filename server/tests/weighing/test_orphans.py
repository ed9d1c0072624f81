"""Cuts without a session: found in spans, assigned by a person with a reason; the records and the cuts' facts stay."""

import uuid
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from edge_api import event, joined, session
from scaleledger_server.errors import Refusal
from scaleledger_server.shifts.models import SessionChange, WorkSession
from scaleledger_server.weighing import cuts, orphans
from scaleledger_server.weighing.models import Cut, CutChange, OfflineBatch, WeighingRecord

EVIL = "<script>alert(1)</script>"
LIST = "/admin/weighing/orphans/"
NOW = timezone.now().replace(microsecond=0)


@pytest.fixture
def api(db):
    return joined()


def weighed(api, minutes, batch=None, **fields):
    """Deliver one cut per entry of `minutes` ago; their ids, as uuids."""
    told = [
        event(
            scaleTimestamp=(NOW - timedelta(minutes=ago)).isoformat(),
            offlineMode=batch is not None,
            offlineBatchId=batch,
            **fields,
        )
        for ago in minutes
    ]
    assert set(api.deliver(*told)) == {"accepted"}
    return [uuid.UUID(one["localEventId"]) for one in told]


def assign_page(browser, place=0):
    """Where the span at this place of the list is assigned."""
    page = browser.get(LIST)
    span = page.context["spans"][place]
    start = page.content.decode().split(f'href="{reverse("orphans-assign", args=[span.scale.pk])}')[1].split('"')[0]
    return f"{reverse('orphans-assign', args=[span.scale.pk])}{start}".replace("&amp;", "&")


def assign(browser, where, **said):
    return browser.post(
        where, {"which": "all", "session": "new", "animal_tag": "TR-9", "reason": "phone was empty"} | said
    )


def facts():
    """All that must stay as it is, whoever assigns."""
    fields = [field.attname for field in Cut._meta.concrete_fields if field.attname not in {"session_id", "revision"}]
    return list(WeighingRecord.objects.order_by("pk").values()), list(Cut.objects.order_by("pk").values(*fields))


def test_it_works(api, administrator):
    """What was weighed without contact is one animal's: a person writes it down, and its sum is exact."""
    batch = str(uuid.uuid4())
    told = weighed(api, [20, 19, 18], batch)
    api.post(
        "offline-batches/ack", {"batchId": batch, "deviceId": "SCALE-01", "eventCount": 3, "totalWeightGrams": 29028}
    )
    before = facts()
    where = assign_page(administrator)
    answer = assign(administrator, where, count="3", animal_species="cattle")
    assert answer.status_code == 302
    made = WorkSession.objects.get()
    assert (made.animal_tag, made.animal_species, made.status, made.end_reason) == (
        "TR-9",
        "cattle",
        "ended",
        "completed",
    )
    assert (made.started_at, made.ended_at) == (NOW - timedelta(minutes=20), NOW - timedelta(minutes=18))
    assert [change.status for change in SessionChange.objects.all()] == ["active", "ended"]
    assert cuts.totals([made.pk])[made.pk] == (3, 29028)
    assert {(change.cut_id, change.reason, change.user) for change in CutChange.objects.all()} == {
        (cut, "phone was empty", administrator.user) for cut in told
    }
    row = OfflineBatch.objects.get()
    assert (row.resolved_by, row.resolved_at is not None) == (administrator.user, True)
    page = administrator.get(answer["Location"]).content.decode()
    assert "3 cuts, 29028 g" in page
    assert "Every cut belongs to a session." in page
    assert facts() == before


def test_a_long_pause_divides_one_scales_cuts_into_spans(api):
    weighed(api, [100, 95, 90, 30, 25])
    weighed(api, [92], deviceId="SCALE-02")
    found = [(span.scale.device_id, span.cuts, span.grams) for span in orphans.spans()]
    assert found == [("SCALE-01", 2, 2 * 9676), ("SCALE-01", 3, 3 * 9676), ("SCALE-02", 1, 9676)]


def test_only_those_that_are_ticked_may_go_to_a_session_that_was_there(api, administrator):
    began = session(api.scale(), "TR-3", status="ended", ended_at=NOW - timedelta(minutes=5))
    told = weighed(api, [20, 19, 18])
    where = assign_page(administrator)
    answer = assign(administrator, where, which="chosen", cut=[str(told[0]), str(told[2])], session=str(began.pk))
    assert answer.status_code == 302
    assert set(began.cuts.values_list("pk", flat=True)) == {told[0], told[2]}
    assert Cut.objects.get(session__isnull=True).pk == told[1]


def test_a_session_of_another_scale_is_not_offered_nor_taken(api, administrator):
    other = session(api.scale("SCALE-02"))
    weighed(api, [20])
    where = assign_page(administrator)
    assert str(other.pk) not in administrator.get(where).content.decode()
    assert assign(administrator, where, session=str(other.pk), count="1").status_code == 200
    with pytest.raises(Refusal, match="another scale"):
        cuts.assign([Cut.objects.get().pk], other, "x", administrator.user, NOW)
    assert not Cut.objects.filter(session__isnull=False).exists()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"count": "7"}, "came or went meanwhile"),
        ({"which": "chosen"}, "No cut was chosen"),
        ({"which": "chosen", "cut": [str(uuid.uuid4())]}, "not held here"),
        ({"which": "chosen", "cut": ["nonsense"]}, "No cut was chosen"),
        ({"animal_tag": " "}, "needs the animal"),
        ({"reason": ""}, "required"),
        ({"session": "nonsense"}, "valid choice"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_left_of_it(api, administrator, said, words):
    weighed(api, [20, 19])
    answer = assign(administrator, assign_page(administrator), **{"count": "2"} | said)
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert not WorkSession.objects.exists()
    assert not CutChange.objects.exists()


def test_of_two_people_who_assign_the_same_cut_the_second_is_told(api, administrator):
    [told] = weighed(api, [20])
    first, second = (session(api.scale(), tag, status="ended", ended_at=NOW) for tag in ("A", "B"))
    assert cuts.assign([told], first, "seen", administrator.user, NOW) == 1
    assert cuts.assign([told], first, "seen", administrator.user, NOW) == 0
    with pytest.raises(Refusal, match="meanwhile"):
        cuts.assign([told], second, "seen", administrator.user, NOW)
    assert Cut.objects.get().session == first


def test_batches_whose_counts_differ_are_shown(api, administrator):
    whole, short = str(uuid.uuid4()), str(uuid.uuid4())
    began = session(api.scale())
    weighed(api, [20], whole, cloudSessionId=str(began.pk))
    weighed(api, [19], short)
    for batch, count in ((whole, 1), (short, 2)):
        api.post("offline-batches/ack", {"batchId": batch, "deviceId": "SCALE-01", "eventCount": count})
    page = administrator.get(LIST)
    [row] = page.context["batches"]
    assert (str(row.batch.pk), row.received, row.orphans, row.differs) == (short, 1, 1, True)
    assert "counts differ" in page.content.decode()


def test_hostile_text_is_shown_as_text(api, administrator):
    weighed(api, [20], deviceId="S<b>", productName=EVIL, operator=EVIL, cloudSessionId=EVIL)
    where = assign_page(administrator)
    for page in (
        administrator.get(LIST),
        administrator.get(where),
        assign(administrator, where, animal_tag=EVIL, reason=""),
    ):
        text = page.content.decode()
        assert page.status_code == 200
        assert EVIL not in text
        assert "S<b>" not in text


def test_only_people_with_the_right_see_and_assign(api, administrator):
    weighed(api, [20])
    where = assign_page(administrator)
    person = User.objects.create_user("looker", is_staff=True)
    browser = Client()
    assert browser.get(LIST).status_code == 302
    browser.force_login(person)
    assert browser.get(LIST).status_code == 403
    person.user_permissions.add(Permission.objects.get(codename="view_cut"))
    assert browser.get(LIST).status_code == 200
    assert "Assign" not in browser.get(LIST).content.decode()
    assert assign(browser, where, count="1").status_code == 403
    person.user_permissions.add(Permission.objects.get(codename="change_cut"))
    assert assign(browser, where, count="1").status_code == 302


@pytest.mark.parametrize("query", ["", "?from=x&to=y", "?from=2026-11-21T10:00:00&to=2026-11-21T11:00:00"])
def test_an_address_that_names_no_span_is_not_there(api, administrator, query):
    assert administrator.get(f"{reverse('orphans-assign', args=[api.scale().pk])}{query}").status_code == 404


def test_the_address_of_a_span_holds_its_times_exactly(api, administrator):
    weighed(api, [20, 19])
    asked = parse_qs(urlsplit(assign_page(administrator)).query)
    assert asked == {
        "from": [(NOW - timedelta(minutes=20)).isoformat()],
        "to": [(NOW - timedelta(minutes=19)).isoformat()],
    }
