"""The memory that a process can use is that of the machine, or of its container."""

import psutil
import pytest

from predictive_maintenance.training import memory


@pytest.fixture
def limited(monkeypatch, tmp_path):
    """A function that gives this process a control group with a limit and a use, as text."""

    def limit(maximum, used):
        (tmp_path / "memory.max").write_text(f"{maximum}\n")
        (tmp_path / "memory.current").write_text(f"{used}\n")
        monkeypatch.setattr(memory, "_CGROUP", tmp_path)

    return limit


def test_a_container_s_limit_counts_if_it_is_lower(limited):
    limited(200_000_000, 150_000_000)
    assert memory.available_memory() == 50_000_000


def test_without_a_limit_the_memory_is_the_machine_s(limited):
    limited("max", 150_000_000)
    assert 0 < memory.available_memory() <= psutil.virtual_memory().total
