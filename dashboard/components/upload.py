"""The upload of a CSV file: what was kept, and the other rows with their reasons."""

import streamlit as st

from dashboard.uploads import Kind, Uploaded, UploadError, read_rows, upload
from predictive_maintenance.reporting.markdown import code, plain
from predictive_maintenance.reporting.spreadsheet import spreadsheet_csv

_RESULT = "result of the upload"
_MOST_SHOWN = 1_000


def csv_upload(kind: Kind, name: str) -> None:
    """Offer the upload of a file. Nothing is sent before the user presses the button."""
    required = ", ".join(map(code, kind.required))
    optional = ", ".join(code(column) for column in kind.columns if column not in kind.required)
    st.markdown(f"Required columns: {required}." + (f" Optional columns: {optional}." if optional else ""))
    file = st.file_uploader("CSV file", "csv", key=f"upload of {name}")
    if file is None:
        st.session_state.pop(_RESULT, None)
        return
    try:
        frame = read_rows(file.getvalue(), kind)
    except UploadError as error:
        st.error(plain(str(error)), icon="🚫")
        return
    if st.button(f"Send {_rows(len(frame))}", type="primary", icon="📤"):
        with st.spinner("Waiting for the service …"):
            st.session_state[_RESULT] = file.file_id, upload(frame, kind)
    sent, result = st.session_state.get(_RESULT, (None, None))
    if sent == file.file_id:
        _show(result)


def _show(result: Uploaded) -> None:
    if result.kept:
        st.success(f"The service has kept {_rows(result.kept)}.", icon="✅")
    if result.refused.empty:
        return
    st.error(f"{_rows(len(result.refused))} not kept. Download, correct, and upload again.", icon="🚫")
    shown = result.refused.head(_MOST_SHOWN)
    st.dataframe(shown.set_index(shown.index + 1).rename_axis("row"))
    st.download_button(
        "Download these rows as CSV", spreadsheet_csv(result.refused), "refused.csv", "text/csv", on_click="ignore"
    )


def _rows(number: int) -> str:
    return f"{number:,} row{'' if number == 1 else 's'}"
