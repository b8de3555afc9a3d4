"""System Status shows a production version that the service cannot read, and the version that it serves on with."""

from .test_status_page import page_text


def test_a_version_of_a_newer_release_is_named_with_the_reason_while_the_old_one_is_served(
    open_page, transport, full_registry, small
):
    page = open_page("status")
    full_registry.versions["9"], full_registry.alias = small.files | {"machine.json": b'{"format": 2}'}, "9"
    transport.poll_registry()
    text = page_text(page.run())
    assert "Version 1 is served, with a warning" in text
    assert "version 9 is refused: machine.json has format 2, this program reads up to 1: update the program" in text
