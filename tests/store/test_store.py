"""The store on SQLite and on PostgreSQL: what is kept, what the windows of a reading read, and what is removed."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictive_maintenance.store.lookback import Lookback
from predictive_maintenance.store.rows import Alarm, Event, MachineState, Reading, Score
from predictive_maintenance.store.store import Store
from predictive_maintenance.store.times import as_keys, as_times
from tests.fixtures.run_to_failure import engine
from tests.paths import REPOSITORY

SCORE = Score(0.25, False, "1")


@pytest.fixture
def store(empty_store_url):
    store = Store.open(empty_store_url, timeout_seconds=0.3)
    yield store
    store.close()


def reading(time, received=1_000, score=SCORE, **sensors):
    return Reading(time=time, received=received, sensors=sensors or {"heat": float(time)}, score=score)


def add(store, machine_id, *readings, model="engine"):
    with store.writing() as transaction:
        machine = transaction.machines(model, [machine_id])[machine_id]
        transaction.add([(machine, reading) for reading in readings])


def window(store, lookback, first, last=None, machine_id="E1", beginning=None):
    with store.writing() as transaction:
        machine = transaction.machines("engine", [machine_id])[machine_id]
        found = transaction.window(
            machine,
            lookback,
            first=first,
            beginning=first - int(lookback.length) if beginning is None else beginning,
            last=first if last is None else last,
        )
        return list(found)


def test_a_reading_is_kept_with_all_digits_and_its_score(store):
    add(store, "E1", reading(7, heat=0.1 + 0.2, ratio=-1e-300, mode="größer"))
    state, (found,) = store.machine("engine", "E1", most=10)
    assert state == MachineState(machine_id="E1", readings=1, time=7, received=1_000, score=SCORE)
    assert found == reading(7, heat=0.1 + 0.2, ratio=-1e-300, mode="größer")


def test_a_reading_without_score_is_kept(store):
    add(store, "E1", reading(7, score=None))
    state, (found,) = store.machine("engine", "E1", most=10)
    assert state.score is None
    assert found.score is None


def test_the_latest_reading_is_the_state_of_its_machine_whatever_came_last(store):
    add(store, "E1", reading(7, score=Score(0.7, True, "2")))
    add(store, "E1", reading(5), reading(6))
    state, found = store.machine("engine", "E1", most=2)
    assert (state.time, state.readings, state.score) == (7, 3, Score(0.7, True, "2"))
    assert [one.time for one in found] == [7, 6]
    assert [one.time for one in store.machine("engine", "E1", before=6, most=2)[1]] == [5]


def test_machines_come_in_pages_in_the_order_of_their_ids(store):
    for name in ("b", "B", "a", "ä", "Z9"):
        add(store, name, reading(1))
    add(store, "c", reading(1), model="another model")
    assert [machine.machine_id for machine in store.machines("engine", most=3)] == ["B", "Z9", "a"]
    assert [machine.machine_id for machine in store.machines("engine", after="a", most=3)] == ["b", "ä"]
    assert store.machine("another model", "a", most=1) is None


@pytest.mark.parametrize(
    ("lookback", "expected"),
    [
        (Lookback(length=20), [70, 80, 90]),  # and the one before, which shows that the window is complete
        (Lookback(length=25), [60, 70, 80, 90]),
        (Lookback(readings=3), [60, 70, 80, 90]),
        (Lookback(length=15, readings=4), [50, 60, 70, 80, 90]),
        (Lookback(length=45, readings=1), [40, 50, 60, 70, 80, 90]),
        (Lookback(length=500, readings=500), [10, 20, 30, 40, 50, 60, 70, 80, 90]),
        (Lookback(), [90]),
    ],
)
def test_only_what_the_windows_need_is_read(store, lookback, expected):
    add(store, "E1", *(reading(time) for time in range(10, 200, 10)))
    add(store, "E2", reading(85))
    assert window(store, lookback, first=90) == expected


def test_the_readings_of_several_windows_are_read_together(store):
    add(store, "E1", *(reading(time) for time in range(10, 200, 10)))
    assert window(store, Lookback(length=10), first=90, last=120) == [80, 90, 100, 110, 120]
    assert window(store, Lookback(length=10), first=90, machine_id="never seen") == []


def test_an_error_undoes_the_whole_transaction(store):
    add(store, "E1", reading(1))

    def fail_in_the_middle():
        with store.writing() as transaction:
            found = transaction.machines("engine", ["E1", "E2"])
            transaction.add([(machine, reading(2)) for machine in found.values()])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_in_the_middle()
    assert [(machine.machine_id, machine.readings) for machine in store.machines("engine", most=9)] == [("E1", 1)]


def test_a_machine_whose_readings_are_all_late_is_known_until_one_is_not(store):
    def late():
        (machine,) = store.machines("engine", most=9)
        return machine.late_since, machine.late_received, machine.arrived

    add(store, "E1", reading(10, received=100))
    assert late() == (None, None, 100)
    add(store, "E1", reading(1, received=200))
    add(store, "E1", reading(3, received=300), reading(2, received=300))
    assert late() == (200, 300, 300)
    add(store, "E1", reading(4, received=400), reading(11, received=400))
    assert late() == (None, None, 400)


def test_scored_readings_of_an_interval_have_its_beginning_and_not_its_end(store):
    add(store, "E1", *(reading(time, received=time) for time in (99, 100, 150, 200)))
    add(store, "E2", reading(7, received=100), reading(8, received=199), reading(9, received=200))
    pages = store.scored_readings("engine", "1", since=100, until=200)
    found = [(name, time) for page in pages for name, time, *_ in page]
    assert found == [("E1", 100), ("E2", 7), ("E1", 150), ("E2", 8)]


def test_a_machine_without_readings_is_not_listed(store):
    with store.writing() as transaction:
        transaction.machines("engine", ["E1"])
    assert store.machines("engine", most=9) == []
    assert store.machine("engine", "E1", most=9) is None


def test_what_was_received_long_ago_is_removed_with_machines_that_are_empty_then(store):
    add(store, "E1", reading(1, received=100), reading(2, received=200))
    add(store, "E2", reading(1, received=100))
    with store.writing() as transaction:
        assert not transaction.remove_received_before("engine", 200)[1]
    assert [(machine.machine_id, machine.readings) for machine in store.machines("engine", most=9)] == [("E1", 1)]
    assert [one.time for one in store.machine("engine", "E1", most=9)[1]] == [2]


def test_removal_goes_on_later_if_there_is_much_to_remove(store):
    add(store, "E1", *(reading(time, received=time) for time in range(6_000)))
    with store.writing() as transaction:
        place, is_more = transaction.remove_received_before("engine", 5_900)
        assert is_more
    with store.writing() as transaction:
        assert not transaction.remove_received_before("engine", 5_900, place)[1]
    assert store.machine("engine", "E1", most=1)[0].readings == 100


def test_only_what_is_of_the_model_is_removed(store):
    for model, received in (("pump", 100), ("engine", 100), ("pump", 150), ("engine", 300)):
        with store.writing() as transaction:
            machine = transaction.machines(model, ["E1"])["E1"]
            transaction.add([(machine, reading(received, received=received))])
            happened = [Event("errors", received, "x")]
            transaction.add_events({machine: happened}, received=received)
    with store.writing() as transaction:
        transaction.machines("pump", ["has no reading yet"])
        place, is_more = transaction.remove_received_before("engine", 200)
    assert not is_more
    assert store.machine("engine", "E1", most=9)[0].readings == 1
    assert [one.time for one in store.past("engine", "E1", beginning=0, most=9)[1]] == [300]
    assert store.machine("pump", "E1", most=9)[0].readings == 2
    assert len(store.past("pump", "E1", beginning=0, most=9)[1]) == 2
    with store.writing() as transaction:
        transaction.remove_received_before("engine", 400, place)  # goes on where it ended
    assert store.machine("engine", "E1", most=9) is None
    assert store.machine("pump", "E1", most=9)[0].readings == 2


def test_readings_are_kept_while_others_of_their_machines_are_removed(empty_store_url):
    """The machine with the last name came first: in the order of their keys, the machines would be locked the other way."""
    names = [f"E{number:02}" for number in range(64)]
    with (
        closing(Store.open(empty_store_url, timeout_seconds=10)) as store,
        closing(Store.open(empty_store_url, timeout_seconds=10)) as another,
        ThreadPoolExecutor(1) as pool,
    ):
        for name in reversed(names):
            add(store, name, *(reading(time, received=time) for time in range(10)))

        def remove():
            for received in range(1, 10):
                with another.writing() as transaction:
                    transaction.remove_received_before("engine", received)

        removal = pool.submit(remove)
        kept = 0
        while not removal.done():
            with store.writing() as transaction:
                locked = transaction.machines("engine", names)
                transaction.add([(locked[name], reading(100 + kept, received=100)) for name in names])
            kept += 1
        removal.result()
        assert {machine.readings for machine in store.machines("engine", most=99)} == {1 + kept}


def test_two_processes_that_remove_at_once_count_right(store, empty_store_url):
    add(store, "E1", *(reading(time, received=time) for time in range(10)))
    with closing(Store.open(empty_store_url, timeout_seconds=5)) as another, ThreadPoolExecutor(1) as pool:

        def remove():
            with another.writing() as transaction:
                transaction.remove_received_before("engine", 4)

        with store.writing() as transaction:
            transaction.remove_received_before("engine", 4)
            other = pool.submit(remove)
            wait([other], timeout=0.3)
        other.result()
    assert store.machine("engine", "E1", most=9)[0].readings == 6


def test_two_processes_that_write_at_once_lose_nothing(store, empty_store_url):
    code = f"""
from tests.store.test_store import add, reading
from predictive_maintenance.store.store import Store
import sys
store = Store.open({empty_store_url!r}, timeout_seconds=30)
for number in range(100):
    add(store, f"E{{number % 3}}", reading(2 * number + int(sys.argv[1])))
"""
    writers = [subprocess.Popen([sys.executable, "-c", code, str(number)], cwd=REPOSITORY) for number in range(2)]
    assert [writer.wait(120) for writer in writers] == [0, 0]
    assert [machine.readings for machine in store.machines("engine", most=9)] == [68, 66, 66]
    times = [one.time for number in range(3) for one in store.machine("engine", f"E{number}", most=999)[1]]
    assert sorted(times) == list(range(200))


def test_threads_that_meet_a_new_machine_together_create_it_once(store):
    barrier = threading.Barrier(4)

    def run(number):
        barrier.wait()
        for _ in range(20):
            try:
                add(store, "E1", reading(number))
                return
            except Exception as error:  # noqa: BLE001  a lock that was not free in time
                last = error
        raise last

    threads = [threading.Thread(target=run, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(machine.machine_id, machine.readings) for machine in store.machines("engine", most=9)] == [("E1", 4)]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_counters_become_keys_in_the_same_order_and_back(values):
    times = np.array(values) + 0.0
    keys = as_keys(times)
    assert np.array_equal(np.argsort(keys, kind="stable"), np.argsort(times, kind="stable"))

    class Counter:
        time_is_counter = True

    assert as_times(keys, Counter).tobytes() == times.tobytes()


def test_zero_has_one_key():
    assert as_keys(np.array([-0.0])) == as_keys(np.array([0.0]))


def test_the_lookback_is_the_longest_window_of_each_kind():
    assert Lookback.of(engine()) == Lookback(length=12 * 3_600e6, readings=2)


def test_events_of_machines_are_those_since_a_time_and_the_last_of_each_type_before(store):
    with store.writing() as transaction:
        machines = transaction.machines("pump", ["a", "b"])
        happened = [Event("errors", time, kind) for time in (1, 2, 5, 9) for kind in ("x", "y")]
        transaction.add_events({machines["a"]: happened}, received=1)
        transaction.add_events({machines["a"]: happened[:2]}, received=2)
        transaction.add_events({machines["b"]: [Event("service", 3, "x")]}, received=1)
        found = transaction.events(machines.values(), ["errors"], beginning=3, last=8)
    own = {(event.time, event.type) for event in found[machines["a"].key]}
    assert own == {(2, "x"), (2, "y"), (5, "x"), (5, "y")}
    assert found[machines["b"].key] == []


def test_alarms_are_saved_closed_and_listed(store):
    with store.writing() as transaction:
        machines = transaction.machines("pump", ["a", "b"])
        for number, name in enumerate("ab"):
            transaction.save_alarm(machines[name], Alarm(opened=number, probability=0.9, version="1"))
        assert set(transaction.open_alarms(machines.values())) == {machines["a"].key, machines["b"].key}
        closed = Alarm(opened=0, probability=0.9, version="1", closed=7, closed_by="failure")
        transaction.save_alarm(machines["a"], closed)
    assert [name for name, _ in store.alarms("pump", only_open=True, most=9)] == ["b"]
    assert store.alarms("pump", only_open=False, most=9)[1] == ("a", closed)
    assert store.alarms("pump", only_open=False, before=1, after="b", most=9) == [("a", closed)]
    assert store.past("pump", "a", beginning=0, most=9) == ([closed], [])
    assert store.past("pump", "c", beginning=0, most=9) == ([], [])


def test_the_last_event_of_each_type_stays_with_the_readings_of_its_machine(store):
    add(store, "E1", reading(1, received=300))
    add(store, "E2", reading(1, received=100))
    happened = [Event("errors", 1, "x"), Event("errors", 2, "x"), Event("errors", 1, "y"), Event("service", 1, "x")]
    with store.writing() as transaction:
        machines = transaction.machines("engine", ["E1", "E2"])
        for machine in machines.values():
            transaction.add_events({machine: happened}, received=100)
    with store.writing() as transaction:
        transaction.remove_received_before("engine", 200)
    kept = store.past("engine", "E1", beginning=0, most=9)[1]
    assert set(kept) == {*happened[1:]}
    assert store.machine("engine", "E2", most=9) is None
    assert store.past("engine", "E2", beginning=0, most=9)[1] == []


def test_a_machine_with_events_alone_is_not_removed(store):
    happened = Event("errors", 1, "x")
    with store.writing() as transaction:
        transaction.add_events({transaction.machines("pump", ["a"])["a"]: [happened]}, received=100)
    add(store, "b", reading(1, received=10), model="pump")
    with store.writing() as transaction:
        transaction.remove_received_before("pump", 50)
    assert store.machine("pump", "b", most=9) is None
    assert store.events("pump") == [("a", happened)]


def test_events_that_were_received_lately_stay_although_there_are_later_ones(store):
    happened = [Event("errors", time, "x") for time in (1, 2)]
    with store.writing() as transaction:
        transaction.add_events({transaction.machines("pump", ["a"])["a"]: happened}, received=100)
    with store.writing() as transaction:
        transaction.remove_received_before("pump", 100)
    assert store.events("pump") == [("a", event) for event in happened]
