"""A page that ends early leaves nothing of the page before that refreshes itself: in a browser, that would break the page."""

from dashboard import sign_in

from .test_sign_in import ANA, SignedIn, open_as, sign_in_is_on

__all__ = ["open_as", "sign_in_is_on"]


def refreshed(page):
    """How many parts of the page refresh themselves."""
    return len(page._fragment_storage._fragments)


def test_after_signing_out_nothing_refreshes_itself(open_as, monkeypatch):
    page = open_as(ANA)
    assert refreshed(page) > 0
    signed_out = SignedIn({})
    signed_out.user.is_logged_in = False
    monkeypatch.setattr(sign_in, "st", signed_out)
    page.run()
    assert [button.label for button in page.button] == ["Sign in"]
    assert refreshed(page) == 0
