"""Components wear with load and running time, are replaced when they fail or as planned, and mostly warn before."""

import numpy as np
import pytest

from machines.fleet.components import COMPONENTS, InstalledComponent, Life, Stop, Wear, simulate_service

YEAR_H = 365 * 24
BEARING = COMPONENTS[0]


def life(**changes):
    values = {
        "component": BEARING,
        "installed_h": 0.0,
        "fails_h": 1000.0,
        "removed_h": np.inf,
        "warning_h": 200.0,
        "severity": 1.2,
        "growth": 1.0,
    }
    return Life(**(values | changes))


def service_at(load, seed, years=20):
    """The service of a machine that runs at a constant load."""
    wears = {component.name: Wear(np.full(years * YEAR_H, load), component, 1.0, 0.0) for component in COMPONENTS}
    return simulate_service(wears, 5 * YEAR_H, 0.0, float(years * YEAR_H), np.random.default_rng(seed))


@pytest.fixture(scope="module")
def service():
    """The service of a machine over 200 years at nominal load."""
    return service_at(1.0, seed=3, years=200)


def test_signs_of_wear_grow_from_the_warning_to_the_severity_at_the_failure():
    hours = np.array([0.0, 799.0, 900.0, 950.0, 999.999, 1000.0, 1100.0])
    np.testing.assert_allclose(life().signs(hours), [0, 0, 0.6, 0.9, 1.2, 0, 0], atol=1e-4)


def test_signs_of_wear_end_when_the_component_is_removed_before_it_fails():
    np.testing.assert_allclose(life(removed_h=920.0).signs(np.array([900.0, 920.0, 950.0])), [0.6, 0, 0])


def test_a_sudden_failure_has_no_signs():
    assert not life(severity=0.0).signs(np.arange(1200.0)).any()


def test_signs_of_wear_do_not_begin_before_the_component_is_installed():
    wear = Wear(np.ones(2000), BEARING, 1.0, 0.0)
    short = InstalledComponent(BEARING, wear, 100.0, 48.0, np.random.default_rng(1)).life(removed_h=np.inf)
    assert short.fails_h == 148
    assert short.warning_h == 48


def test_the_hour_of_a_wear_is_the_inverse_of_the_wear_at_an_hour():
    wear = Wear(np.random.default_rng(1).uniform(0.5, 1.2, 500), BEARING, 1.3, 10.0)
    for hour in (-300.0, 10.0, 11.5, 250.25, 510.0, 900.0):
        assert wear.hour_of(wear.at(hour)) == pytest.approx(hour)


def test_load_accelerates_wear():
    light, heavy = (Wear(np.full(1000, load), BEARING, 1.0, 0.0) for load in (0.8, 1.1))
    assert heavy.at(500) > 1.5 * light.at(500)


def test_failures_increase_with_load():
    failures = [sum(stop.failed for stop in service_at(load, seed=4).stops) for load in (0.7, 1.3)]
    assert failures[1] > 1.5 * failures[0]


def test_stops_are_in_order_and_do_not_overlap(service):
    assert all(before.to_h < after.from_h for before, after in zip(service.stops, service.stops[1:], strict=False))
    assert all(stop.from_h < stop.to_h for stop in service.stops)


def test_the_stopped_component_is_replaced_at_the_end_of_the_stop(service):
    for component in COMPONENTS:
        lives = [life for life in service.lives if life.component is component]
        stops = [stop for stop in service.stops if stop.component == component.name]
        assert [life.installed_h for life in lives[1:]] == [stop.to_h for stop in stops]
        assert [life.removed_h for life in lives[:-1]] == [stop.from_h for stop in stops]
        assert all((life.fails_h == stop.from_h) == stop.failed for life, stop in zip(lives, stops, strict=False))


def test_planned_replacements_come_before_the_end_of_some_lives_and_after_that_of_others(service):
    for component in COMPONENTS:
        stops = [stop for stop in service.stops if stop.component == component.name]
        assert 0.3 < np.mean([stop.failed for stop in stops]) < 0.8


def test_about_an_eighth_of_the_failures_are_sudden(service):
    failed = [life for life in service.lives if life.fails_h == life.removed_h]
    assert len(failed) > 400
    assert np.mean([life.severity == 0 for life in failed]) == pytest.approx(0.12, abs=0.04)


@pytest.fixture
def bearing():
    """A bearing at nominal load that fails after 1000 h, before its planned replacement."""
    wear = Wear(np.ones(2000), BEARING, 1.0, 0.0)
    return InstalledComponent(BEARING, wear, 0.0, 1000.0, np.random.default_rng(1))


def test_time_when_the_machine_stands_still_does_not_wear_a_component(bearing):
    assert bearing.fails_h == 1000
    bearing.stand_still(Stop(component="seal", from_h=500.0, to_h=520.0, failed=True), next_work_h=600.0)
    assert bearing.fails_h == 1020


def test_planned_work_that_falls_into_a_standstill_is_done_after_it(bearing):
    planned_h = bearing.planned_h
    bearing.stand_still(Stop(component="seal", from_h=500.0, to_h=520.0, failed=True), next_work_h=600.0)
    assert bearing.planned_h == planned_h
    stop = Stop(component="seal", from_h=planned_h - 1, to_h=planned_h + 9, failed=True)
    bearing.stand_still(stop, next_work_h=planned_h + 40)
    assert bearing.planned_h == planned_h + 40
