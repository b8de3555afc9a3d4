"""A store that two monitors share."""

import pytest

from predictive_maintenance.store.store import Store


@pytest.fixture
def stores(empty_store_url):
    """Two connections, as two monitors have."""
    stores = [Store.open(empty_store_url, timeout_seconds=5) for _ in range(2)]
    yield stores
    for store in stores:
        store.close()


@pytest.fixture
def store(stores):
    return stores[0]
