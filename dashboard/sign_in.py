"""Optional sign-in by OpenID Connect, which Streamlit does (docs/how-to/sign-in.md)."""

import logging
from collections.abc import Collection

import streamlit as st

from app.schemas.audit import RefusalReason
from dashboard import shared
from dashboard.api_client import ApiError
from dashboard.page_end import end_page
from predictive_maintenance.reporting.markdown import plain

_FEWEST_OF_SECRET = 32
_MOST_CHARACTERS = 200
_MOST_OF_IDENTITY = _MOST_CHARACTERS - len(" <>")
_REFUSED: dict[RefusalReason, str] = {
    "not allowed": "{person} **may not use this dashboard.** Its administrator lists who may (`PDM_DASHBOARD_ALLOWED_EMAILS`). "
    "If you have another account, sign out and use that one.",
    "e-mail address not verified": "**The e-mail address of** {person} **is not verified**, and this dashboard lets people in by "
    "their addresses. Verify it where you signed in, then sign out and in again. If that is not possible, ask the administrator.",
}
_NOTED = "refusal that the audit log has"

_log = logging.getLogger(__name__)


def require() -> None:
    """Show who is signed in. Without a signed-in person who may, if PDM_DASHBOARD_SIGN_IN is set, say so and end the page."""
    if not shared.settings().dashboard_sign_in:
        return
    if not st.secrets.load_if_toml_exists() or "auth" not in st.secrets:
        st.error(
            "**Sign-in is not set up.** `PDM_DASHBOARD_SIGN_IN` is set, and no `.streamlit/secrets.toml` has a section `[auth]`: "
            "see `docs/how-to/sign-in.md`.",
            icon="🚫",
        )
        end_page()
    if len(str(st.secrets["auth"].get("cookie_secret", ""))) < _FEWEST_OF_SECRET:
        st.error(
            f"**Sign-in is not safe.** `cookie_secret` in `[auth]` has fewer than {_FEWEST_OF_SECRET} characters: somebody "
            "who guesses it can sign in under any name. Set it to what `openssl rand -hex 32` prints, and restart the dashboard.",
            icon="🚫",
        )
        end_page()
    if not st.user.is_logged_in:
        st.title("Predictive maintenance", anchor=False)
        st.button("Sign in", on_click=st.login, type="primary")
        end_page()
    if reason := refusal(shared.settings().dashboard_allowed_emails):
        _refuse(reason)
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
        st.caption(f"Signed in as {plain(person() or '')}", width="content")
        st.button("Sign out", on_click=st.logout, type="tertiary")


def person() -> str | None:
    """Who is signed in: a name, with the e-mail address or else the subject at the provider; None without sign-in."""
    if not shared.settings().dashboard_sign_in:
        return None
    # People choose their names: only what follows says who it is. It is never cut off, and no name looks like it.
    name = _claim("name").translate({ord("<"): None, ord(">"): None}).strip()
    email = "" if st.user.get("email_verified") is False else _claim("email")
    identity = (email or _claim("sub"))[:_MOST_OF_IDENTITY]
    if not name or name == identity:
        return identity
    return f"{name[: _MOST_OF_IDENTITY - len(identity)]} <{identity}>".strip() if identity else name[:_MOST_CHARACTERS]


def refusal(allowed: Collection[str] | None) -> RefusalReason | None:
    """Why the person who is signed in may not use the dashboard; None if they may.

    `allowed` are e-mail addresses, and domains with @ in front, in lower case. None allows everybody.
    """
    if allowed is None:
        return None
    email = str(st.user.get("email") or "")
    if not email or st.user.get("email_verified") not in (True, "true"):
        return "e-mail address not verified"
    _, at, domain = email.lower().rpartition("@")
    is_allowed = email.lower() in allowed or f"{at}{domain}" in allowed
    return None if is_allowed and email.isascii() else "not allowed"


def _refuse(reason: RefusalReason) -> None:
    """End the page for a person who may not use it, and note it in the audit log, once in a session."""
    shown = person() or ""
    st.title("Predictive maintenance", anchor=False)
    st.error(_REFUSED[reason].format(person=plain(shown)), icon="🚫")
    st.button("Sign out", on_click=st.logout)
    if st.session_state.get(_NOTED) != shown:
        try:
            shared.api().note_refused_person(shown, reason)
        except ApiError as error:
            _log.warning("the audit log does not have the refused sign-in of %s: %s", shown, error)
        st.session_state[_NOTED] = shown
    end_page()


def _claim(name: str) -> str:
    """A claim of the provider as a text, without characters that cannot be seen."""
    return "".join(filter(str.isprintable, str(st.user.get(name) or ""))).strip()
