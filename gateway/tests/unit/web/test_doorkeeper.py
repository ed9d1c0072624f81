"""Who is let in: the setup code once, passwords, tokens, pauses after wrong guesses that lock nobody out for ever."""

import stat

import pytest

from scaleledger.web.access import Access
from scaleledger.web.attempts import ADDRESSES_MAX, FREE_TRIES, PAUSE_S, STRANGERS_AT_ONCE, Attempts
from scaleledger.web.doorkeeper import SETUP_FILE, SETUP_S, SETUP_TRIES, Doorkeeper, Refused
from scaleledger.web.sessions import IDLE_S, SESSIONS_MAX, Sessions

HERE, OFFICE = "127.0.0.1", "192.168.1.7"
PASSWORD = "correct horse battery"


class Time:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class MemoryShelf:
    """Logins that are gone with the test."""

    def __init__(self):
        self.kept, self.kept_tokens = {}, {}

    async def people(self):
        return list(self.kept.values())

    async def keep_person(self, person):
        self.kept[person.name] = person

    async def drop_person(self, name):
        self.kept.pop(name, None)

    async def tokens(self):
        return list(self.kept_tokens.values())

    async def keep_token(self, token):
        self.kept_tokens[token.name] = token

    async def drop_token(self, name):
        self.kept_tokens.pop(name, None)


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def shelf():
    return MemoryShelf()


@pytest.fixture
async def door(shelf, tmp_path, time):
    found = Doorkeeper(shelf, tmp_path, time)
    await found.open()
    return found


def code(folder):
    return (folder / SETUP_FILE).read_text().strip()


async def set_up(door, folder, name="ayse"):
    return await door.set_up(HERE, code(folder), name, PASSWORD)


async def test_the_setup_code_is_private_works_once_and_is_gone_then(door, tmp_path):
    assert stat.S_IMODE((tmp_path / SETUP_FILE).stat().st_mode) == 0o600
    first = code(tmp_path)
    cookie = await door.set_up(HERE, f" {first.lower().replace('-', ' ')} ", "ayse", PASSWORD)
    assert door.sessions.visitor(cookie).role is Access.ADMIN
    assert not (tmp_path / SETUP_FILE).exists()
    with pytest.raises(Refused, match="set up already"):
        await door.set_up(HERE, first, "mallory", PASSWORD)


async def test_five_wrong_codes_make_another_one(door, tmp_path, time):
    first = code(tmp_path)
    for _ in range(SETUP_TRIES):
        time.now += PAUSE_S[0]
        with pytest.raises(Refused):
            await door.set_up(HERE, "0000-0000-0000", "ayse", PASSWORD)
    assert code(tmp_path) != first
    time.now += PAUSE_S[1]
    with pytest.raises(Refused, match="not the setup code"):
        await door.set_up(HERE, first, "ayse", PASSWORD)


async def test_a_setup_code_is_worthless_after_a_quarter_of_an_hour_and_the_next_one_is_told(door, tmp_path, time):
    first = code(tmp_path)
    time.now += SETUP_S - 1
    assert not door.renew_code()
    time.now += 1
    with pytest.raises(Refused, match="15 minutes"):
        await door.set_up(HERE, first, "ayse", PASSWORD)
    second = code(tmp_path)
    time.now += SETUP_S
    assert door.renew_code(), "who opens the page later finds a fresh one"
    assert len({first, second, code(tmp_path)}) == 3
    assert await set_up(door, tmp_path)
    time.now += SETUP_S
    assert not door.renew_code()
    assert not (tmp_path / SETUP_FILE).exists()


@pytest.mark.parametrize("wrong", ["short", "", "x" * 201])
async def test_a_password_that_is_too_short_or_too_long_makes_no_login(door, shelf, tmp_path, wrong):
    with pytest.raises(Refused, match="password"):
        await door.set_up(HERE, code(tmp_path), "ayse", wrong)
    assert not shelf.kept
    assert door.needs_setup


async def test_only_a_salted_hash_is_kept(door, shelf, tmp_path):
    await set_up(door, tmp_path)
    await door.add("veli", PASSWORD, Access.VIEWER)
    assert PASSWORD not in str(shelf.kept)
    assert shelf.kept["ayse"].password.startswith("scrypt$")
    assert shelf.kept["ayse"].password != shelf.kept["veli"].password


async def test_a_login_survives_a_restart_and_its_session_does_not(door, shelf, tmp_path, time):
    cookie = await set_up(door, tmp_path)
    again = Doorkeeper(shelf, tmp_path, time)
    await again.open()
    assert not (tmp_path / SETUP_FILE).exists()
    assert again.sessions.visitor(cookie) is None
    assert again.sessions.visitor(await again.log_in(HERE, "ayse", PASSWORD)).name == "ayse"


async def test_a_wrong_name_and_a_wrong_password_are_told_in_the_same_words(door, tmp_path):
    await set_up(door, tmp_path)
    said = []
    for name in ("ayse", "nobody"):
        with pytest.raises(Refused) as refused:
            await door.log_in(HERE, name, "wrong password")
        said.append(str(refused.value))
    assert said[0] == said[1]


async def test_a_guesser_waits_longer_and_longer_and_never_for_ever(door, tmp_path, time):
    await set_up(door, tmp_path)
    waits = []
    for _ in range(FREE_TRIES + 12):
        with pytest.raises(Refused) as refused:
            await door.log_in(OFFICE, "ayse", "wrong password")
        if refused.value.wait_s:
            waits.append(refused.value.wait_s)
            time.now += refused.value.wait_s
    assert waits == sorted(waits)
    assert max(waits) <= PAUSE_S[1]
    time.now += PAUSE_S[1]
    assert await door.log_in(OFFICE, "ayse", PASSWORD)


async def test_a_crowd_of_strangers_slows_neither_this_machine_nor_a_known_address(time):
    attempts = Attempts(time)
    attempts.succeeded(OFFICE)
    refused = sum(1 for n in range(500) if attempts.pause_s(f"10.0.{n // 250}.{n % 250}") > 0)
    assert refused == 500 - STRANGERS_AT_ONCE
    assert attempts.pause_s(OFFICE) == 0
    assert attempts.pause_s(HERE) == 0
    time.now += 10
    assert attempts.pause_s("10.9.9.9") == 0


async def test_the_table_of_addresses_does_not_grow_and_keeps_known_ones(time):
    attempts = Attempts(time)
    attempts.succeeded(OFFICE)
    for n in range(3 * ADDRESSES_MAX):
        attempts.failed(f"10.{n // 65536}.{n // 256 % 256}.{n % 256}")
    assert len(attempts._addresses) <= ADDRESSES_MAX
    assert attempts._addresses[OFFICE].known


async def test_a_session_ends_when_idle_after_its_time_and_at_a_change_of_the_password(door, tmp_path, time):
    cookie = await set_up(door, tmp_path)
    other = await door.log_in(HERE, "ayse", PASSWORD)
    await door.change_password(HERE, "ayse", PASSWORD, "another good one")
    assert door.sessions.visitor(cookie) is None
    assert door.sessions.visitor(other) is None
    cookie = await door.log_in(HERE, "ayse", "another good one")
    time.now += IDLE_S + 1
    assert door.sessions.visitor(cookie) is None
    cookie = await door.log_in(HERE, "ayse", "another good one")
    for _ in range(12):
        time.now += 3600.0
        used = door.sessions.visitor(cookie)
    assert used is None


def test_sessions_are_bounded_and_the_least_used_goes_first(time):
    sessions = Sessions(time, 1e9)
    kept = sessions.begin("ayse", Access.ADMIN)
    for _ in range(SESSIONS_MAX + 5):
        time.now += 1
        sessions.begin("veli", Access.VIEWER)
        assert sessions.visitor(kept) is not None
    assert len(sessions._sessions) <= SESSIONS_MAX


async def test_the_last_admin_can_neither_be_removed_nor_made_a_viewer(door, tmp_path):
    await set_up(door, tmp_path)
    for change in (door.remove("ayse"), door.add("ayse", PASSWORD, Access.VIEWER)):
        with pytest.raises(Refused, match="last admin"):
            await change
    await door.add("fatma", PASSWORD, Access.ADMIN)
    await door.remove("ayse")
    assert [person.name for person in door.people] == ["fatma"]


async def test_removing_a_login_ends_it_where_it_is_in_use(door, tmp_path):
    await set_up(door, tmp_path)
    await door.add("veli", PASSWORD, Access.VIEWER)
    cookie = await door.log_in(HERE, "veli", PASSWORD)
    await door.remove("veli")
    assert door.sessions.visitor(cookie) is None


async def test_a_token_is_told_once_kept_hashed_and_good_until_removed(door, shelf, tmp_path, time):
    secret = await door.make_token("label program", Access.ADMIN)
    assert secret not in str(shelf.kept_tokens)
    assert door.bearer(secret).name == "label program"
    assert door.bearer(secret + "x") is None
    with pytest.raises(Refused):
        await door.make_token("label program", Access.ADMIN)
    again = Doorkeeper(shelf, tmp_path, time)
    await again.open()
    assert again.bearer(secret) is not None
    await again.remove_token("label program")
    assert again.bearer(secret) is None
