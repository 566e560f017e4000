import itertools

import pytest

from gateway_eval.load.plan import Plan, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("5m", 300), ("1.5h", 5400), ("250ms", 0.25), ("10", 10)]
)
def test_times_are_read_as_people_write_them(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1s", "1d", "1 hour", "1e3"])
def test_what_is_no_time_is_refused_with_the_remedy(text):
    with pytest.raises(ValueError, match="30s, 5m, 1h"):
        parse_duration(text)


def test_calls_are_due_evenly_from_the_start():
    assert list(Plan(rate=4, duration=1).arrivals()) == [0, 0.25, 0.5, 0.75]


@pytest.mark.parametrize(
    "plan",
    [
        Plan(rate=4, duration=1),
        Plan(rate=7, requests=30),
        Plan(rate=100, ramp=2, warm_up=0.5, duration=3),
        Plan(rate=40, ramp=1, requests=5),
    ],
)
def test_as_many_calls_are_foretold_as_are_due(plan):
    assert plan.calls == len(list(plan.arrivals()))


def test_calls_of_a_closed_loop_are_foretold_where_nothing_but_their_number_ends_it():
    assert Plan(concurrency=4, requests=30).calls == 30
    assert Plan(concurrency=4, requests=30, warm_up=1).calls is None
    assert Plan(concurrency=4, duration=30).calls is None


def test_a_number_of_calls_ends_it_too():
    assert list(Plan(rate=10, requests=3).arrivals()) == [0, 0.1, 0.2]


def test_over_a_ramp_the_rate_grows_evenly():
    due = list(Plan(rate=100, ramp=10, duration=1).arrivals())
    first, second, third = (sum(1 for at in due if low <= at < low + 2.5) for low in (0, 2.5, 5))
    assert (first, second, third) == (32, 94, 156) or abs(third - 156) <= 1
    assert sum(1 for at in due if at >= 10) == 100
    assert due == sorted(due)


def test_random_arrivals_keep_the_rate_on_average_and_are_the_same_every_time():
    plan = Plan(rate=100, duration=100, poisson=True)
    due = list(plan.arrivals())
    assert due == list(plan.arrivals())
    assert len(due) == pytest.approx(10_000, rel=0.05)
    gaps = [later - earlier for earlier, later in itertools.pairwise(due)]
    # Of exponential gaps, 1 - 1/e are shorter than their mean; of even ones, none.
    assert sum(gap < 0.01 for gap in gaps) / len(gaps) == pytest.approx(0.632, abs=0.02)


def test_calls_of_the_warm_up_do_not_count_towards_a_number_of_calls():
    due = list(Plan(rate=10, warm_up=1, requests=5).arrivals())
    assert len(due) == 15
    assert sum(at >= 1 for at in due) == 5


def test_callers_come_one_after_the_other_over_a_ramp():
    plan = Plan(concurrency=10, ramp=10, duration=1)
    assert [plan.callers_at(second) for second in (0, 1, 5, 9.5, 10, 11)] == [1, 1, 5, 10, 10, 10]
