"""The read-only look at the database: what tries to change, to hide or to take long is refused, and leaves no trace."""

import asyncio
import hashlib
import mmap
import time
from contextlib import closing
from pathlib import Path

import pytest

from fakes.weighings import draft, open_store
from scaleledger.domain.logins import Person, Token
from scaleledger.store.browse import ROWS_MAX, Browser, QueryRefused

SECRET = "s3cr3t-hash"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("browsed")

    async def fill():
        store = await open_store(found)
        for number in range(3):
            await store.ledger.append(draft(number))
        await store.logins.keep_person(Person("ayse", SECRET, "admin"))
        await store.logins.keep_token(Token("printer", SECRET, "admin"))
        await store.identity.keep_token("a-token", "active")
        await store.close()

    asyncio.run(fill())
    return found


@pytest.fixture
def browser(folder):
    with closing(Browser(folder / "scaleledger.db")) as found:
        yield found


def attacks(folder):
    return [
        "insert into weighing_records (seq) values (9)",
        f"attach '{folder}/new.db' as n",
        f"vacuum into '{folder}/copy.db'",
        "pragma journal_mode=delete",
        "pragma user_version=7",
        "pragma writable_schema=1",
        "pragma query_only=0",
        "create temp table z(x)",
        "delete from weighing_records",
        "select * from logins",
        "pragma wal_checkpoint(truncate)",
        "select load_extension('x')",
        f"select writefile('{folder}/w','x')",
        "pragma temp_store_directory='/etc'",
        "begin exclusive",
        "explain insert into weighing_records (seq) values (1)",
        "select zeroblob(900000000)",
        "with recursive c(x) as (select 1 union all select x+1 from c) select count(*) from c",
    ]


@pytest.mark.parametrize("number", range(18))
async def test_each_known_attack_is_refused_and_leaves_nothing_behind(browser, folder, number):
    before = sorted(path.name for path in folder.iterdir())
    began = time.monotonic()
    with pytest.raises(QueryRefused) as refused:
        await browser.ask(attacks(folder)[number])
    assert time.monotonic() - began < 10  # one second of its own; the machine may be busy
    assert SECRET not in str(refused.value)
    assert sorted(path.name for path in folder.iterdir()) == before
    assert (await browser.ask("SELECT count(*) FROM weighing_records")).rows == (("3",),)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT password FROM logins",
        'SELECT "password" FROM "LOGINS"',
        "SELECT * FROM main.logins",
        "SELECT (SELECT password FROM logins)",
        "WITH l AS (SELECT * FROM logins) SELECT * FROM l",
        "SELECT * FROM api_tokens",
        "SELECT * FROM settings",
        "SELECT count(*) FROM logins",
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM logins WHERE password LIKE 's%')",
        "SELECT seq FROM weighing_records UNION SELECT password FROM logins",
    ],
)
async def test_tables_with_secrets_cannot_be_reached_by_any_way_round(browser, sql):
    with pytest.raises(QueryRefused):
        await browser.ask(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT instr(hex(zeroblob(499999)), hex(zeroblob(249999)) || '1')",
        "SELECT replace(hex(zeroblob(499999)), hex(zeroblob(249999)) || '1', '')",
        "SELECT trim(hex(zeroblob(40000)), replace(hex(zeroblob(40000)), '0', '1') || '0')",
        "SELECT json_patch('{}', '{}')",
        "SELECT randomblob(10)",
    ],
)
async def test_no_function_is_known_that_could_work_for_long_within_one_call(browser, sql):
    began = time.monotonic()
    with pytest.raises(QueryRefused, match="not authorized"):
        await browser.ask(sql)
    assert time.monotonic() - began < 5


async def test_the_functions_that_one_needs_are_there(browser):
    sql = (
        "SELECT count(*), sum(seq), max(lower(station)), group_concat(seq, '+'), strftime('%Y', 0, 'unixepoch'),"
        " json_extract('{\"a\": 1}', '$.a'), substr('abc', 2), station LIKE 'x%', round(1.25, 1) FROM weighing_records"
    )
    assert (await browser.ask(sql)).rows[0][:2] == ("3", "6")


async def test_a_question_takes_no_memory_that_the_line_needs(browser):
    def held():
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE

    before, most = held(), 0

    async def watch():
        nonlocal most
        while True:
            most = max(most, held() - before)
            await asyncio.sleep(0.005)

    watching = asyncio.ensure_future(watch())
    large = (
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c LIMIT 90000) SELECT zeroblob(20000) z, x FROM c"
    )
    with pytest.raises(QueryRefused, match="memory"):
        await browser.ask(f"{large} ORDER BY z, x DESC")
    watching.cancel()
    assert most < 128_000_000


async def test_the_access_token_reads_as_null_even_in_a_condition(browser):
    assert (await browser.ask("SELECT access_token FROM gateway")).rows == ((None,),)
    guess = await browser.ask("SELECT count(*) FROM gateway WHERE access_token IS NOT NULL OR length(access_token) > 0")
    assert guess.rows == (("0",),)


async def test_the_list_of_tables_leaves_out_those_that_cannot_be_read(browser):
    tables = await browser.tables()
    assert {"weighing_records", "devices"} <= set(tables)
    assert not {"logins", "api_tokens", "settings"} & set(tables)
    with pytest.raises(QueryRefused):
        await browser.table("logins", None, 10)
    with pytest.raises(QueryRefused):
        await browser.table('weighing_records"; DROP TABLE weighing_records; --', None, 10)


async def test_a_table_is_paged_from_the_newest_row(browser):
    first = await browser.table("weighing_records", None, 2)
    assert [row[0] for row in first.rows] == ["3", "2"]
    assert [row[0] for row in (await browser.table("weighing_records", 2, 2)).rows] == ["1"]


async def test_many_rows_and_long_cells_are_cut_and_said_to_be(browser):
    many = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x < 5000) SELECT x FROM c"
    answer = await browser.ask(many)
    assert (len(answer.rows), answer.cut) == (ROWS_MAX, True)
    long = await browser.ask("SELECT hex(zeroblob(100000))")
    assert len(long.rows[0][0]) < 3000
    wide = f"SELECT hex(zeroblob(1000)) FROM ({many})"
    assert (await browser.ask(wide)).cut


async def test_two_statements_and_what_is_no_question_are_refused_in_words(browser):
    for sql in ("SELECT 1; SELECT 2", "", "hello", "SELECT * FROM nowhere", "SELECT ?", "x" * 30_000):
        with pytest.raises(QueryRefused) as refused:
            await browser.ask(sql)
        assert str(refused.value)


async def test_the_database_is_the_same_bytes_after_questions(browser, folder):
    def digest():
        return hashlib.sha256((folder / "scaleledger.db").read_bytes()).hexdigest()

    before = digest()
    await browser.ask("SELECT * FROM weighing_records")
    assert digest() == before
