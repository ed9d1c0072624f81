"""Sites, edges, scales, cuts and batches in the administration: keys shown once, lists that only show, sums that are exact."""

import csv
import io
import re
from datetime import timedelta

import pytest
from django.utils import timezone

from edge_api import EdgeApi, event, joined, session
from scaleledger_server.devices import services as devices
from scaleledger_server.shifts.models import Edge, Scale, Site
from scaleledger_server.weighing.models import Cut

EVIL = "=cmd|'x'!A1"
CUTS = "/admin/weighing/cut/"
SITES = "/admin/shifts/site/"


@pytest.fixture
def api(db):
    return joined()


def exported(browser, **query):
    content = b"".join(browser.get(f"{CUTS}export/", query).streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(content)))


def test_it_works(administrator):
    """A person makes a site and its key; an edge that shows the key is in use at once."""
    assert administrator.post(f"{SITES}add/", {"site_id": "plant-7", "name": "Plant 7"}).status_code == 302
    chosen = {"action": "make_key", "_selected_action": Site.objects.get().pk}
    assert "until it has the new one" in administrator.post(SITES, chosen).content.decode()
    assert not Site.objects.get().key_digest
    page = administrator.post(SITES, chosen | {"confirmed": "yes"})
    assert "no-store" in page["Cache-Control"]
    [key] = re.findall(r">([\w-]{43})<", page.content.decode())
    api = EdgeApi(key)
    assert api.register()[1]["siteId"] == "plant-7"
    assert key not in administrator.get(SITES).content.decode()
    assert api.deliver(event()) == ["accepted"]


def test_a_key_is_made_for_one_site_at_a_time(administrator, api):
    Site.objects.create(site_id="plant-2")
    rows = list(Site.objects.values_list("pk", flat=True))
    answer = administrator.post(
        SITES, {"action": "make_key", "_selected_action": rows, "confirmed": "yes"}, follow=True
    )
    assert "Choose one site" in answer.content.decode()
    assert api.get("config")[0] == 200


def test_edges_lead_to_their_gateway_where_they_are_put_out_of_use(administrator, api):
    page = administrator.get("/admin/shifts/edge/").content.decode()
    assert f"/admin/devices/gateway/{api.row.gateway_id}/change/" in page
    devices.revoke(api.row.gateway)
    assert "Inactive" in administrator.get("/admin/shifts/edge/").content.decode()


def test_an_edge_is_moved_to_a_site_and_nothing_else_of_it_is_changed(administrator, api):
    other = Site.objects.create(site_id="plant-2")
    where = f"/admin/shifts/edge/{api.edge_id}/change/"
    assert administrator.get(where).status_code == 200
    assert administrator.post(where, {"site": other.pk, "version": "9", "keyed": ""}).status_code == 302
    edge = Edge.objects.get()
    assert (edge.site, edge.version, edge.keyed) == (other, "0.3.0", True)


def test_a_scale_is_named_and_keeps_what_its_edge_said(administrator, api):
    api.deliver(event())
    scale = Scale.objects.get()
    where = f"/admin/shifts/scale/{scale.pk}/change/"
    assert administrator.post(where, {"name": "Table 1", "device_id": "X", "status": "idle"}).status_code == 302
    scale.refresh_from_db()
    assert (scale.name, scale.device_id, scale.status, scale.event_count) == ("Table 1", "SCALE-01", "unknown", 1)
    api.post("devices/status", {"deviceId": "SCALE-01", "status": "online"})
    assert Scale.objects.get().name == "Table 1"


@pytest.mark.parametrize("name", ["weighing/cut", "weighing/offlinebatch"])
def test_what_edges_delivered_is_changed_by_nobody(administrator, api, name):
    api.deliver(event(offlineMode=True, offlineBatchId="0f0f0f0f-0f0f-4f0f-8f0f-0f0f0f0f0f0f"))
    row = Cut.objects.get()
    pk = row.pk if name == "weighing/cut" else row.batch_id
    assert administrator.get(f"/admin/{name}/").status_code == 200
    assert administrator.get(f"/admin/{name}/{pk}/change/").status_code == 200
    for act in (f"{pk}/change/", f"{pk}/delete/", "add/"):
        assert administrator.post(f"/admin/{name}/{act}", {"net_grams": "1", "post": "yes"}).status_code == 403
    assert Cut.objects.get().net_grams == 9676


@pytest.fixture
def filled(api):
    """Two sessions and an orphan: 2, 1 and 1 cuts."""
    now = timezone.now()
    first = session(api.scale(), "TR-1", status="ended", ended_at=now)
    second = session(api.scale("SCALE-02"), "TR-2")
    told = [
        event(cloudSessionId=str(first.pk), operator=EVIL, grossGrams=10000, flags=["2", "N"]),
        event(cloudSessionId=str(first.pk), weightGrams=1, scaleTimestamp=(now - timedelta(days=2)).isoformat()),
        event(cloudSessionId=str(second.pk), deviceId="SCALE-02", weightGrams=-14),
        event(),
    ]
    api.deliver(*told)
    return first, second, told


def test_filters_hold_for_the_list_its_sum_and_the_file(administrator, filled):
    first, second, told = filled
    today = timezone.localdate().isoformat()
    for query, grams in (
        ({}, [9676, 1, -14, 9676]),
        ({"session": str(first.pk)}, [9676, 1]),
        ({"session": "none"}, [9676]),
        ({"session": "any"}, [9676, 1, -14]),
        ({"session": "nonsense"}, [9676, 1, -14, 9676]),
        ({"scale__id__exact": second.scale_id}, [-14]),
        ({"session__animal_tag__icontains": "TR-2"}, [-14]),
        ({"measured_at_from": today, "measured_at_to": today}, [9676, -14, 9676]),
        ({"q": "TR-1"}, [9676, 1]),
        ({"q": told[2]["localEventId"]}, [-14]),
        ({"q": "nobody"}, []),
    ):
        page = administrator.get(CUTS, query)
        listed = sorted(cut.net_grams for cut in page.context["cl"].result_list)
        assert listed == sorted(grams), query
        assert f"{len(grams)} cuts, {sum(grams)} g" in page.content.decode()
        assert sorted(int(row["net_g"]) for row in exported(administrator, **query)) == sorted(grams), query


def test_the_file_holds_all_that_was_told_and_no_formula(administrator, filled):
    first, *_ = filled
    [row] = [row for row in exported(administrator, session=str(first.pk)) if row["net_g"] == "9676"]
    assert (row["operator"], row["gross_g"], row["tare_g"], row["flags"], row["animal"], row["scale"]) == (
        f"'{EVIL}", "10000", "", "2,N", "TR-1", "SCALE-01",
    )  # fmt: skip
