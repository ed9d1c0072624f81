import pytest

from scaleledger.observe.failpoints import NAMES, FailpointError, arm, arm_from_environment, reach


@pytest.fixture(autouse=True)
def disarmed():
    yield
    arm("")


def passes(name, count):
    """Which of `count` passes of a point were struck."""
    struck = []
    for number in range(1, count + 1):
        try:
            reach(name)
        except FailpointError:
            struck.append(number)
    return struck


def test_a_point_that_is_not_armed_does_nothing():
    assert [passes(name, 3) for name in NAMES] == [[]] * len(NAMES)


def test_an_armed_point_strikes_and_no_other():
    arm("store.before-commit=error")
    assert passes("store.before-commit", 2) == [1, 2]
    with pytest.raises(FailpointError, match=r"store\.before-commit"):
        reach("store.before-commit")
    assert passes("store.after-commit", 2) == []


def test_the_nth_pass_only():
    arm("store.before-mark=error@3, uplink.after-answer=error@1")
    assert passes("store.before-mark", 6) == [3]
    assert passes("uplink.after-answer", 6) == [1]


def test_a_probability_is_seeded():
    arm("store.after-commit=error%20", seed=7)
    first = passes("store.after-commit", 1000)
    arm("store.after-commit=error%20", seed=7)
    assert passes("store.after-commit", 1000) == first
    assert 150 < len(first) < 250


def test_kill_ends_the_process_as_sigkill_does(monkeypatch):
    killed = []
    monkeypatch.setattr("os.kill", lambda pid, number: killed.append(number.name))
    arm("store.after-commit=kill@2")
    reach("store.after-commit")
    assert killed == []
    with pytest.raises(FailpointError):  # the fake lets us live
        reach("store.after-commit")
    assert killed == ["SIGKILL"]


def test_an_empty_text_disarms():
    arm("store.before-commit=error")
    arm("")
    assert passes("store.before-commit", 1) == []


@pytest.mark.parametrize(
    "text",
    ["store.before-comit=kill", "store.before-commit=explode", "store.before-commit", "store.before-commit=kill@x"],
)
def test_a_typo_is_refused(text):
    with pytest.raises(ValueError):
        arm(text)


def test_the_environment_arms():
    arm_from_environment({"SCALELEDGER_FAILPOINTS": "store.before-commit=error@1", "SCALELEDGER_FAILPOINT_SEED": "3"})
    assert passes("store.before-commit", 3) == [1]
    arm_from_environment({})
    assert passes("store.before-commit", 3) == []
