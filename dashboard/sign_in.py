"""Optional sign-in by OpenID Connect, which Streamlit does (docs/how-to/sign-in.md)."""

import streamlit as st

from dashboard import shared
from predictive_maintenance.reporting.markdown import plain

_MOST_CHARACTERS = 200


def require() -> None:
    """Show who is signed in. Without a signed-in person, if PDM_DASHBOARD_SIGN_IN is set, show a button and end the page."""
    if not shared.settings().dashboard_sign_in:
        return
    if not st.secrets.load_if_toml_exists() or "auth" not in st.secrets:
        st.error(
            "**Sign-in is not set up.** `PDM_DASHBOARD_SIGN_IN` is set, and no `.streamlit/secrets.toml` has a section `[auth]`: "
            "see `docs/how-to/sign-in.md`.",
            icon="🚫",
        )
        st.stop()
    if not st.user.is_logged_in:
        st.title("Predictive maintenance", anchor=False)
        st.button("Sign in", on_click=st.login, type="primary")
        st.stop()
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
        st.caption(f"Signed in as {plain(person() or '')}", width="content")
        st.button("Sign out", on_click=st.logout, type="tertiary")


def person() -> str | None:
    """Who is signed in, with the e-mail address if the provider gives one; None without sign-in."""
    if not shared.settings().dashboard_sign_in:
        return None
    claims = {name: str(st.user.get(name) or "").strip() for name in ("name", "email", "sub")}
    name, email = claims["name"], claims["email"]
    shown = f"{name} <{email}>" if name and email and name != email else name or email or claims["sub"]
    return "".join(filter(str.isprintable, shown))[:_MOST_CHARACTERS]
