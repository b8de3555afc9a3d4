"""A store that two monitors share."""

import pytest


@pytest.fixture
def store(stores):
    return stores[0]
