"""Workers as processes: killed in the middle of a task, told to stop, two at once. Every seed comes out once."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from kombu import Connection

from playground import bell
from tests.conformance.live_rabbitmq import Node
from tests.faults.services import PostgreSQL, Redis, running
from tests.playground.runs.conftest import House, wait_until

PATIENCE_S = 300
"""A worker is nicer than what else the machine does: beside busy tests it gets a twentieth of a core."""


def kill_while_it_works(house: House) -> None:
    """`kill -9` while a lease is held and something is stored: in the middle of a task."""
    worker = house.workers[-1]
    wait_until(lambda: house.results() > 0 and house.leased(), PATIENCE_S, "no task was seen")
    worker.send_signal(signal.SIGKILL)
    worker.wait()


def all_came_out_once(house: House, count: int) -> None:
    wait_until(lambda: house.state() != "running", PATIENCE_S,
               lambda: f"{house.results()} of {count} came out{house.said()}")  # fmt: skip
    assert house.state() == "done"
    assert house.number("select count(distinct seed) from runs_result") == count
    assert house.results() == count
    assert house.number("select min(seed) from runs_result") == 1
    assert house.number("select max(seed) from runs_result") == count


def killed_three_times(house: House) -> None:
    house.start_worker()
    house.begin(slug="traffic-spike", count=1_000)
    for _ in range(3):
        kill_while_it_works(house)
        assert house.results() < 1_000, "the kill came too late to show anything"
        house.start_worker()
    all_came_out_once(house, 1_000)


def test_kill_9_in_the_middle_of_a_task_loses_and_doubles_nothing(house: House) -> None:
    killed_three_times(house)


@pytest.mark.needs("rabbitmq")
def test_kill_9_in_the_middle_of_a_task_with_a_real_rabbitmq(tmp_path: Path) -> None:
    node = Node()
    house = House(tmp_path, MAILROOM_BROKER=f"amqp://guest:guest@127.0.0.1:{node.port}//")
    try:
        killed_three_times(house)
        assert not (tmp_path / "bell").exists(), "the bell hangs in RabbitMQ"
    finally:
        house.close()
        node.stop()


@pytest.mark.needs("postgresql")
@pytest.mark.needs("redis")
def test_kill_9_in_the_middle_of_a_task_with_postgresql_and_redis(tmp_path: Path) -> None:
    with running(PostgreSQL()) as database, running(Redis()) as redis:
        house = House(tmp_path, MAILROOM_DATABASE=database.url, MAILROOM_BROKER=redis.url)
        try:
            killed_three_times(house)
        finally:
            house.close()


def test_two_workers_share_a_job(house: House) -> None:
    house.start_worker()
    house.start_worker()
    house.begin(slug="traffic-spike", count=600)
    seen: set[str] = set()

    def both_seen() -> bool:
        seen.update(
            row[0].partition("-")[0]
            for row in house.ask("select worker from runs_portion where worker <> ''")
        )
        return len(seen) == 2

    wait_until(both_seen, PATIENCE_S, f"only {seen} worked")
    all_came_out_once(house, 600)


def test_a_job_begun_while_the_worker_was_away_and_the_bell_is_lost_is_found(house: House) -> None:
    house.begin(count=30)
    for message in (house.folder / "bell" / "messages").iterdir():
        message.unlink()
    house.start_worker()
    all_came_out_once(house, 30)


def test_a_message_stands_under_its_name_only_when_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker looks whenever it likes: half a message would end it."""
    folder = {"data_folder_in": str(tmp_path), "data_folder_out": str(tmp_path),
              "control_folder": str(tmp_path / "control"), "polling_interval": 0.01}  # fmt: skip
    (tmp_path / "control").mkdir()
    found: list[str] = []
    real = bell.os.replace

    def looked_for_before(source: Path, target: Path) -> None:
        found.extend(path.name for path in tmp_path.glob("*.msg"))
        assert json.loads(source.read_text())["body"]
        real(source, target)

    monkeypatch.setattr(bell.os, "replace", looked_for_before)
    with Connection("filesystem://", transport=bell.NAME, transport_options=folder) as connection:
        queue = connection.SimpleQueue("bells")
        queue.put({"rings": "once"})
        assert found == []
        message = queue.get(timeout=1)
        assert message.payload == {"rings": "once"}
        message.ack()
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


def test_a_worker_that_is_told_to_stop_hands_back_what_it_had_and_says_nothing(house: House) -> None:
    worker = house.start_worker()
    house.begin(slug="traffic-spike", count=1_000)
    wait_until(lambda: house.results() > 0 and house.leased(), PATIENCE_S, "no task was seen")
    begun = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0
    assert time.monotonic() - begun < 10
    assert not house.leased(), "the next worker need not wait for the lease"
    assert (house.folder / "worker0.log").read_text() == ""
    stored = house.results()
    assert 0 < stored < 1_000
    house.start_worker()
    all_came_out_once(house, 1_000)


def test_a_worker_without_work_stops_at_once(house: House) -> None:
    worker = house.start_worker()
    house.begin(count=1)
    all_came_out_once(house, 1)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0
    assert (house.folder / "worker0.log").read_text() == ""
