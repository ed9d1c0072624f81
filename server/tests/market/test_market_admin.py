"""Cards by hand and as lists: a whole list or nothing, and what was written is read back."""

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from scaleledger_server import spreadsheets
from scaleledger_server.market import card_lists, models, queries, services
from scaleledger_server.market.models import Producer, RfidCard, Species

EVIL = "<script>alert(1)</script>"
IMPORT, EXPORT = "/admin/market/rfidcard/import/", "/admin/market/rfidcard/export/"
HEADER = "uid,producer,species\r\n"


@pytest.fixture
def goods(db):
    for row in (Species(name="Squid"), Producer(name="North boat"), Producer(name="=1+1")):
        services.save(row)
    return Species.objects.get(), Producer.objects.get(name="North boat")


def upload(client, content):
    file = SimpleUploadedFile("cards.csv", content if isinstance(content, bytes) else content.encode())
    return client.post(IMPORT, {"file": file})


def test_it_works(administrator, goods):
    answer = upload(administrator, HEADER + "00345678,North boat,Squid\r\nA1B2,=1+1,Squid\r\n")
    assert answer.status_code == 302
    assert list(RfidCard.objects.values_list("uid", "producer__name")) == [("00345678", "North boat"), ("A1B2", "=1+1")]
    exported = b"".join(administrator.get(EXPORT).streaming_content)
    assert b"'=1+1" in exported
    before = list(RfidCard.objects.values())
    assert services.import_cards(exported).same == 2
    assert list(RfidCard.objects.values()) == before


def test_a_known_card_is_changed_and_others_stay(goods):
    services.import_cards((HEADER + "1,North boat,Squid\n2,North boat,Squid\n").encode())
    done = services.import_cards(b"uid;producer;species;is_active\n2;=1+1;Squid;0\n3;North boat;Squid;\n")
    assert (done.new, done.changed, done.same, done.bad) == (1, 1, 0, ())
    rows = RfidCard.objects.values_list("uid", "producer__name", "is_active")
    assert list(rows) == [("1", "North boat", True), ("2", "=1+1", False), ("3", "North boat", True)]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("7,Nobody,Squid", "Line 3: there is no producer Nobody"),
        ("7,North boat,Herring", "Line 3: there is no species Herring"),
        ("1,North boat,Squid", "Line 3: the card 1 stands in line 2 already"),
        (",North boat,Squid", "Line 3: uid is empty"),
        ("7,North boat", "Line 3: has 2 cells"),
        (f"{'7' * 51},North boat,Squid", "Line 3: the uid is longer"),
        (f"7,{EVIL},Squid", "Line 3: there is no producer &lt;script&gt;"),
        ("7,twin,Squid", "Line 3: 2 producers are named twin"),
        ("7,a\0b,Squid", "Line 3: "),
    ],
)
def test_one_bad_line_keeps_the_whole_list_out(administrator, goods, bad, reason):
    for _ in range(2):
        services.save(Producer(name="twin"))
    version = queries.version()
    answer = upload(administrator, f"{HEADER}1,North boat,Squid\r\n{bad}\r\n2,North boat,Squid\r\n")
    assert answer.status_code == 422
    assert reason in answer.content.decode()
    assert EVIL not in answer.content.decode()
    assert not RfidCard.objects.exists()
    assert queries.version() == version


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "must name the columns"),
        (b"card,producer\n", "must name the columns"),
        (HEADER.encode() + b"1,\xb0\xed,Squid\n", "Line 2: is not UTF-8"),
        (HEADER.encode() + b'1,"' + b"x" * 200_000, "is no CSV"),
    ],
)
def test_a_file_of_another_kind_is_told_in_words(administrator, goods, content, reason):
    assert reason in upload(administrator, content).content.decode()


def test_no_more_cards_than_gateways_take(goods, monkeypatch):
    monkeypatch.setattr(services, "CARDS_MAX", 1)
    assert services.import_cards((HEADER + "1,North boat,Squid\n2,North boat,Squid\n").encode()).bad
    monkeypatch.setattr(models.Species, "rows_max", 1)
    with pytest.raises(ValidationError, match="at most 1"):
        services.save(Species(name="Herring"))


def test_a_person_adds_changes_and_deletes(administrator, goods):
    squid, boat = goods
    fields = {"uid": " 77 ", "producer": boat.pk, "species": squid.pk, "is_active": "on"}
    moment = {"issued_at_0": "2026-11-21", "issued_at_1": "02:10:00"}
    versions = {queries.version()}
    administrator.post(reverse("admin:market_rfidcard_add"), {**fields, **moment})
    versions.add(queries.version())
    card = RfidCard.objects.get(uid="77")
    administrator.post(reverse("admin:market_rfidcard_change", args=[card.pk]), {**fields, **moment, "is_active": ""})
    versions.add(queries.version())
    card.refresh_from_db()
    assert not card.is_active
    administrator.post(reverse("admin:market_rfidcard_delete", args=[card.pk]), {"post": "yes"})
    versions.add(queries.version())
    assert not RfidCard.objects.exists()
    assert len(versions) == 4


def test_what_a_card_stands_for_is_not_deleted(administrator, goods):
    services.import_cards((HEADER + "1,North boat,Squid\n").encode())
    administrator.post(reverse("admin:market_species_delete", args=[goods[0].pk]), {"post": "yes"})
    assert Species.objects.exists()


@pytest.mark.parametrize("count", [10, 100])
@pytest.mark.parametrize("model", ["species", "producer", "rfidcard"])
def test_the_lists_cost_the_same_with_more_rows(administrator, goods, django_assert_max_num_queries, count, model):
    for n in range(count):
        services.save(Species(name=f"kind {n}"))
    lines = "".join(f"{n},North boat,kind {n}\n" for n in range(count))
    services.import_cards((HEADER + lines).encode())
    with django_assert_max_num_queries(9):
        page = administrator.get(
            reverse(f"admin:market_{model}_changelist"), {"q": "kind" if model == "species" else ""}
        )
    assert page.status_code == 200


def test_producers_are_found_by_a_few_letters(administrator, goods):
    field = {"app_label": "market", "model_name": "rfidcard", "field_name": "producer", "term": "nor"}
    found = administrator.get(reverse("admin:autocomplete"), field).json()["results"]
    assert [row["text"] for row in found] == ["North boat"]


@pytest.mark.parametrize("path", [IMPORT, EXPORT])
def test_lists_are_for_those_who_may(db, path):
    client = Client()
    assert client.get(path).status_code == 302
    client.force_login(User.objects.create_user("clerk", is_staff=True))
    assert client.get(path).status_code == 403


@given(st.text())
def test_no_cell_is_a_formula_and_all_are_read_back(text):
    cell = spreadsheets.safe(text)
    assert not cell.startswith(spreadsheets.STARTS_A_FORMULA)
    assert spreadsheets.plain(cell) == text


@given(st.binary(max_size=300))
def test_any_file_is_read_or_refused(content):
    reading = card_lists.read(content)
    assert all(number >= 0 and reason for number, reason in reading.bad)
