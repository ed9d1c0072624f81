"""The phone page in the language of the phone: every word of it is there, and no other page changes."""

import ast
import gettext
import re
from pathlib import Path

import pytest
from django.test import Client

from plants import CALF, LAMB, Phone, Plant, operator_browser
from scaleledger_server import people, shifts
from scaleledger_server.shifts.models import OfferedSpecies, WorkSession

APP = Path(shifts.__file__).parent
TURKISH = APP / "locale/tr/LC_MESSAGES"
ENTRY = re.compile(r"""{% (?:translate|blocktranslate)(?: "([^"]+)"| '([^']+)'|[^%]*%}(.*?){% endblocktranslate)""")
FIELD = re.compile(r"%?[({]\w+[)}]s?")


def said_in_code():
    for path in (*APP.glob("*.py"), Path(people.__file__).parent / "lockout.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
                yield node.args[0].value


def said_in_pages():
    for path in APP.glob("templates/**/*.html"):
        for quoted, other, block in ENTRY.findall(path.read_text()):
            yield quoted or other or re.sub(r"{{ (\w+) }}", r"%(\1)s", block)


def as_compiled(path):
    with path.open("rb") as file:
        return gettext.GNUTranslations(file)._catalog


def as_written(path):
    text = path.read_text()
    return {
        ast.literal_eval(one): ast.literal_eval(two) for one, two in re.findall(r'msgid (".+")\nmsgstr (".+")', text)
    }


def test_every_word_is_translated_with_its_fields_and_compiled():
    written, compiled = as_written(TURKISH / "django.po"), as_compiled(TURKISH / "django.mo")
    said = {*said_in_code(), *said_in_pages()}
    assert len(said) > 70
    assert said - written.keys() == set()
    assert {key: compiled.get(key) for key in written} == written, "run msgfmt again"
    for english, turkish in written.items():
        assert sorted(FIELD.findall(turkish)) == sorted(FIELD.findall(english)), english


@pytest.fixture
def plant(db):
    return Plant()


def test_a_turkish_phone_reads_turkish_and_refusals_too(plant):
    client, scale = operator_browser(), plant.scale()
    turkish = {"headers": {"Accept-Language": "tr-TR,tr;q=0.9,en;q=0.5"}}
    page = client.get("/shifts/", **turkish)
    text = page.content.decode()
    assert '<html lang="tr">' in text
    assert "<h1>Teraziler</h1>" in text
    assert (page["Content-Language"], "Accept-Language" in page["Vary"]) == ("tr", True)
    phone = Phone(client)
    phone.start(scale, "TR-12", CALF, species="Calf")
    status, body = phone.post(
        "sessions/", {"session_id": str(LAMB), "scale": scale.pk, "animal_tag": "TR-13"}, **{"Accept-Language": "tr"}
    )
    assert (status, body["code"]) == (409, "session_under_way")
    assert "Önce o oturumu bitirin" in body["detail"]
    text = client.get(f"/shifts/sessions/{CALF}/", **turkish).content.decode()
    assert '<span class="species">Dana</span>' in text
    assert WorkSession.objects.get().animal_species == "Calf", "what is kept has no language"
    login = Client().post("/shifts/login/", {"username": "x", "password": "y"}, **turkish).content.decode()
    assert "Giriş yap" in login
    assert "Please enter" not in login


def test_other_pages_and_other_phones_read_english(plant):
    client = operator_browser()
    assert "<h1>Scales</h1>" in client.get("/shifts/", headers={"Accept-Language": "de"}).content.decode()
    client.get("/shifts/", headers={"Accept-Language": "tr"})
    assert 'lang="en"' in client.get("/", headers={"Accept-Language": "tr"}).content.decode()


def test_a_plant_says_which_species_are_offered(plant):
    client, scale = operator_browser(), plant.scale()
    path = f"/shifts/scales/{scale.pk}/"
    assert 'value="Cattle"' in client.get(path).content.decode()
    for place, name in ((2, "Manda <b>"), (1, "Sığır")):
        OfferedSpecies.objects.create(place=place, name=name)
    text = client.get(path).content.decode()
    assert text.index('value="Sığır"') < text.index('value="Manda &lt;b&gt;"')
    assert 'value="Cattle"' not in text


def test_the_overview_leads_those_who_may_operate_to_the_scales(plant, settings):
    assert 'href="/shifts/"' in operator_browser().get("/").content.decode()
    settings.OPEN_PAGES = True
    assert 'href="/shifts/"' not in Client().get("/").content.decode()
