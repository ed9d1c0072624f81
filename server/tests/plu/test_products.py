"""Products by hand and as lists: a whole list or nothing; every change is a new version, and edges fetch what is active."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from scaleledger_server.plu import product_lists, queries, services
from scaleledger_server.plu.models import Product

IMPORT, EXPORT = "/admin/plu/product/import/", "/admin/plu/product/export/"
HEADER = "number,name,barcode,price\r\n"


def upload(client, text):
    return client.post(IMPORT, {"file": SimpleUploadedFile("products.csv", text.encode())})


def test_a_list_is_taken_and_written_out_as_it_was(administrator):
    answer = upload(administrator, HEADER + "1,KIYMA,000000000001,1500\r\n00002,=BONFİLE,,90000\r\n")
    assert answer.status_code == 302
    assert list(Product.objects.values_list("number", "name", "price")) == [
        ("00001", "KIYMA", 1500),
        ("00002", "=BONFİLE", 90_000),
    ]
    exported = b"".join(administrator.get(EXPORT).streaming_content)
    assert b"'=BONF" in exported
    before = list(Product.objects.values())
    assert services.import_products(exported).same == 2
    assert list(Product.objects.values()) == before


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("123456,A,,1", "number"),
        ("x,A,,1", "number"),
        ("7,,,1", "name"),
        ("7,A,12a45,1", "barcode"),
        ("7,A,,-1", "price must be a whole number"),
        ("7,A,,1.5", "price must be a whole number"),
        ("7,A,,100000", "price"),
        ("1,B,,2", "names product 00001 again; line 2"),
        ("7,A\0,,2", "holds a character that cannot be stored"),
        ("7,A", "has 2 cells"),
    ],
)
def test_one_bad_line_and_nothing_is_kept(administrator, bad, reason):
    answer = upload(administrator, f"{HEADER}1,KIYMA,,1500\r\n{bad}\r\n")
    assert answer.status_code == 422
    assert f"Line 3: {reason}"[:8] in answer.text
    assert reason in answer.text
    assert not Product.objects.exists()


def test_every_change_is_a_new_version_and_is_told_after_it(administrator, monkeypatch):
    told = []
    monkeypatch.setattr(services, "tell_every_edge", lambda type_, payload: told.append((type_, payload["version"])))
    versions = [queries.version()]
    services.save(Product(number="1", name="Mince", label_name="KIYMA"))
    versions.append(queries.version())
    product = Product.objects.get()
    fields = {"number": "1", "name": "Mince", "label_name": "KIYMA", "price": 10, "unit": "kg", "tare_grams": 0}
    change = reverse("admin:plu_product_change", args=[product.pk])
    answer = administrator.post(change, {**fields, "shelf_life_days": 0})
    assert answer.status_code == 302, answer.text
    versions.append(queries.version())
    services.import_products((HEADER + "2,X,,1\n").encode())
    versions.append(queries.version())
    administrator.post(reverse("admin:plu_product_delete", args=[product.pk]), {"post": "yes"})
    versions.append(queries.version())
    assert len(set(versions)) == 5
    assert told == [("plu_updated", version) for version in versions[1:]]


def test_edges_get_the_active_ones_in_order_of_their_numbers(db):
    services.import_products(b"number,name,is_active\n30,C,yes\n2,A,no\n1,B,\n")
    assert [(item["number"], item["name"]) for item in queries.items()] == [("00001", "B"), ("00030", "C")]


def test_a_list_costs_the_same_statements_with_more_rows(db, django_assert_max_num_queries):
    lines = "".join(f"{n},product {n},,1\n" for n in range(1, 400))
    with django_assert_max_num_queries(12):
        services.import_products((HEADER + lines).encode())
    with django_assert_max_num_queries(2):
        assert len(queries.items()) == 399


@given(st.binary(max_size=300))
def test_any_file_is_read_or_refused(content):
    reading = product_lists.read(content)
    assert all(number >= 0 and reason for number, reason in reading.bad)
