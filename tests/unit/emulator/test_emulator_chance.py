import random
import statistics

import pytest

from gateway_eval.emulator.chance import Delay, Fault, strikes


def drawn(text, number=20_000):
    chance = random.Random(7)
    delay = Delay.read(text, 60_000)
    return [delay.draw(chance) for _ in range(number)]


def test_a_number_is_always_the_same():
    assert set(drawn("12.5", 10)) == {12.5}
    assert Delay.read("12.5", 60_000).draw_sum(4, random.Random(7)) == 50


def test_a_range_is_spread_evenly_between_its_ends():
    times = drawn("100-300")
    assert min(times) >= 100
    assert max(times) <= 300
    quarters = statistics.quantiles(times, n=4)
    assert quarters == pytest.approx([150, 200, 250], rel=0.03)


def test_normal_times_have_their_mean_and_deviation():
    times = drawn("normal:200,50")
    assert statistics.fmean(times) == pytest.approx(200, rel=0.02)
    assert statistics.stdev(times) == pytest.approx(50, rel=0.03)


def test_lognormal_times_have_their_median_and_a_long_tail():
    times = drawn("lognormal:200,0.5")
    assert statistics.median(times) == pytest.approx(200, rel=0.03)
    # exp(0.5 * 2.326), the 99th percentile of the normal distribution
    assert statistics.quantiles(times, n=100)[98] == pytest.approx(640, rel=0.1)


def test_exponential_times_have_their_mean():
    assert statistics.fmean(drawn("exponential:200")) == pytest.approx(200, rel=0.03)


@pytest.mark.parametrize("text", ["normal:10,1000", "lognormal:50000,3", "exponential:0", "0"])
def test_no_time_is_below_nothing_or_above_the_longest(text):
    times = drawn(text)
    assert 0 <= min(times) <= max(times) <= 60_000


@pytest.mark.parametrize("text", ["", "soon", "-5", "300-100", "normal:5", "uniform:1,2", "99999999", "nan"])
def test_what_is_no_delay_is_refused(text):
    with pytest.raises(
        ValueError, match=r"is no delay; write 200, 100-300|smaller number first|longer than the longest"
    ):
        Delay.read(text, 60_000)


def test_faults_strike_as_often_as_asked_and_exclude_each_other():
    faults = (Fault.read("0.25:rate_limit=7"), Fault.read("0.5:cut_stream"))
    chance = random.Random(7)
    struck = [strikes(faults, chance) for _ in range(20_000)]
    assert struck.count("rate_limit=7") == pytest.approx(5_000, rel=0.05)
    assert struck.count("cut_stream") == pytest.approx(10_000, rel=0.05)
    assert struck.count(None) == pytest.approx(5_000, rel=0.05)


@pytest.mark.parametrize("text", ["", "rate_limit", "2:rate_limit", "0.5:", "0.5:explode", "-1:quota"])
def test_what_is_no_fault_is_refused(text):
    with pytest.raises(ValueError, match=r"write SHARE:DIRECTIVE|unknown emulator directive"):
        Fault.read(text)
