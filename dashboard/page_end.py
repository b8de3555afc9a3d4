"""The end of a page before its last element."""

from contextlib import AbstractContextManager, suppress
from typing import NoReturn


class _PageEndError(Exception):
    """Leaves the page."""


def end_page() -> NoReturn:
    """Show nothing more on this page.

    In place of `st.stop()`, after which Streamlit keeps what refreshes itself on the page before: a refresh that was requested
    just before signing out, for example, would then be drawn on the page to sign in, and break it.
    """
    raise _PageEndError


def until_page_ends() -> AbstractContextManager[None]:
    """Run a page until its last element or `end_page`."""
    return suppress(_PageEndError)
