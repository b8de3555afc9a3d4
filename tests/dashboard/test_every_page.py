"""All pages with a service that works, is not reachable, is slow, or has no model."""

from collections import Counter

import httpx
import pytest
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue

from dashboard.navigation import PAGES as NAVIGATION
from tests.paths import REPOSITORY

from .conftest import page_text

PAGES = [page.name for page in NAVIGATION]
TIMEOUT = httpx.ReadTimeout("read timed out")
NOT_REACHABLE = httpx.ConnectError("[Errno 111] Connection refused")


def test_every_file_of_a_page_is_in_the_navigation():
    files = {path.stem for path in (REPOSITORY / "dashboard" / "app_pages").glob("*.py")} - {"__init__"}
    assert sorted(files) == sorted(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_every_page_shows_the_served_version(open_page, name):
    assert "Version 1 is served.** It is the version in production" in page_text(open_page(name))


@pytest.mark.parametrize("name", PAGES)
def test_every_page_shows_that_the_service_is_not_reachable_and_how_to_fix_it(open_page, transport, name):
    transport.fault = NOT_REACHABLE
    text = page_text(open_page(name))
    assert "The service is not reachable" in text
    assert "http://plant:8000 is not reachable: Connection refused" in text
    assert "No data was received yet" in text
    assert "make serve" in text
    assert "is served.**" not in text


@pytest.mark.parametrize("name", PAGES)
def test_every_page_reports_a_timeout_with_the_setting(open_page, transport, name):
    transport.fault = TIMEOUT
    assert "http://plant:8000 timed out (PDM_API_TIMEOUT_SECONDS)" in page_text(open_page(name))


@pytest.mark.parametrize("name", PAGES)
def test_every_page_shows_how_to_train_a_model_if_there_is_none(open_page, full_registry, name):
    full_registry.versions, full_registry.alias, full_registry.runs = {}, None, []
    text = page_text(open_page(name))
    assert "No model is served" in text
    assert "`python flows/train_flow.py run`" in text


@pytest.mark.parametrize("name", PAGES)
def test_commands_are_for_the_machine_of_the_service(open_page, full_registry, monkeypatch, name):
    monkeypatch.setenv("PDM_MACHINE", "fleet")
    full_registry.versions, full_registry.alias, full_registry.runs = {}, None, []
    assert "`python flows/train_flow.py run --machine fleet`" in page_text(open_page(name))


@pytest.mark.parametrize("name", PAGES)
def test_in_containers_every_page_shows_what_to_do_there(open_page, transport, full_registry, monkeypatch, name):
    monkeypatch.setenv("PDM_COMMAND_PREFIX", "docker compose run --rm train")
    full_registry.versions, full_registry.alias, full_registry.runs = {}, None, []
    assert "`docker compose run --rm train python flows/train_flow.py run`" in page_text(open_page(name))
    transport.fault = NOT_REACHABLE
    text = page_text(open_page(name))
    assert ("Check the container of the service" in text, "make serve" in text) == (True, False)


def test_text_from_the_registry_is_not_rendered_as_markdown(open_page, full_registry):
    full_registry.tags["1"]["verdict"] = full_registry.runs[0].__dict__["verdict"] = "![x](http://evil/x.png) # big"
    page = open_page("models")
    markdown = "\n".join(element.value for element in page.markdown)
    assert "![x]" not in markdown
    assert "![x](http://evil/x.png) # big" in page_text(page)


@pytest.fixture
def sent(monkeypatch):
    """What a page sends to the browser, in order."""
    messages = []
    monkeypatch.setattr(ForwardMsgQueue, "_before_enqueue_msg", messages.append)
    return messages


@pytest.mark.parametrize("name", PAGES)
def test_the_browser_can_place_every_element_if_a_refresh_begins_before_the_first_one_was_sent(open_page, sent, name):
    page = open_page(name)
    sent.clear()
    page.run()
    drawn = [message for message in sent if message.HasField("delta")]
    refreshing = {message.delta.fragment_id for message in drawn} - {""}
    assert refreshing
    for fragment in refreshing:
        queue = ForwardMsgQueue()
        for message in drawn:
            queue.enqueue(message)
        queue.clear(retain_lifecycle_msgs=True, fragment_ids_this_run=[fragment])
        assert_places_follow_each_other(queue.flush())


def assert_places_follow_each_other(messages):
    """The browser refuses an element at place n of a block that has fewer than n elements."""
    elements = Counter()
    for message in messages:
        *block, place = message.metadata.delta_path
        assert place <= elements[*block], f"{list(message.metadata.delta_path)} in a block of {elements[*block]}"
        elements[*block] = max(elements[*block], place + 1)
