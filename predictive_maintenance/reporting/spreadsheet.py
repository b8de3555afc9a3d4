"""CSV for people, who open it in a spreadsheet: no cell is evaluated as a formula.

CSV for programs is written without this: an apostrophe in front of an id would change the id.
"""

import re

import pandas as pd

_FORMULA = "=+\\-@\uff1d\uff0b\uff0d\uff20"  # with the full-width forms, which spreadsheets read as the plain ones
# Also behind a separator: a spreadsheet whose separator differs from the file's starts a new cell there.
_FORMULA_START = re.compile(rf"(?:^\s*|[,;\t\r\n|])(?=[{_FORMULA}])|^(?=[\t\r\n])")
_ESCAPED = re.compile(rf"((?:^\s*|[,;\t\r\n|]))'(?=[{_FORMULA}])|^'(?=[\t\r\n])")
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?([eE][+-]?[0-9]+)?")


def spreadsheet_csv(frame: pd.DataFrame, header: bool = True) -> bytes:
    """`frame` as CSV in UTF-8, without its index. An apostrophe makes a text that starts like a formula a plain text."""
    escaped = frame.copy(deep=False)
    for position, dtype in enumerate(frame.dtypes):
        if not pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_datetime64_any_dtype(dtype):
            escaped.isetitem(position, frame.iloc[:, position].astype(object).map(_escape, na_action="ignore"))
    escaped.columns = pd.Index([_escape(name) for name in frame.columns])
    # RFC 4180's line end. With "\\n", pandas would not quote a cell with a carriage return, which then starts a new row.
    return escaped.to_csv(index=False, header=header, lineterminator="\r\n").encode()


def without_apostrophe(cell: str) -> str:
    """The text that `spreadsheet_csv` wrote as `cell`."""
    return _ESCAPED.sub(lambda match: match[1] or "", cell)


def _escape(cell: object) -> object:
    if not isinstance(cell, str) or _NUMBER.fullmatch(cell):
        return cell
    return _FORMULA_START.sub(lambda match: f"{match[0]}'", cell)
