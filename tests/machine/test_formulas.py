"""Formulas: the same bits for one reading and for columns, and nothing but arithmetic."""

import math
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictive_maintenance.machine.expression import MAX_CHARACTERS, ExpressionError
from predictive_maintenance.machine.formulas import Condition, Formula
from predictive_maintenance.machine.rounding import decimals_of, rounded
from tests.paths import REPOSITORY

NAMES = ("a", "b", "c")
numbers = st.floats(0.001, 1e6).map(lambda number: f"{number:.4g}") | st.integers(0, 1000).map(str) | st.just("pi")


def _composite(inner):
    binary = st.tuples(inner, st.sampled_from(["+", "-", "*", "/"]), inner).map(lambda parts: f"({' '.join(parts)})")
    power = st.tuples(inner, st.sampled_from(["2", "3", "0.5", "-1", "1.7", "-2.5"])).map("({0[0]}) ** {0[1]}".format)
    extreme = st.tuples(st.sampled_from(["min", "max"]), st.lists(inner, min_size=2, max_size=4)).map(
        lambda parts: f"{parts[0]}({', '.join(parts[1])})"
    )
    single = st.tuples(st.sampled_from(["abs", "sqrt", "log", "exp", "-"]), inner).map("{0[0]}({0[1]})".format)
    return binary | power | extreme | single


formulas = st.recursive(st.sampled_from(NAMES) | numbers, _composite, max_leaves=8)
values = st.floats(allow_nan=True, allow_infinity=True) | st.floats(-1000, 1000) | st.sampled_from([0.0, -0.0, 1e308])
readings = st.lists(st.fixed_dictionaries(dict.fromkeys(NAMES, values)), min_size=1, max_size=20)


def bits(array):
    """The bits of floats, with one pattern for NaN, whose sign has no meaning."""
    array = np.asarray(array, dtype=np.float64)
    return np.where(np.isnan(array), np.nan, array).view(np.uint64)


@given(formulas, readings, st.none() | st.integers(0, 4))
@settings(max_examples=400, deadline=None)
def test_numbers_arrays_and_series_give_the_same_bits_without_a_warning(text, rows, decimals):
    try:
        formula = Formula(text, decimals)
    except ExpressionError:  # without columns, or a part that is too large
        return
    frame = pd.DataFrame(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one_by_one = [formula(row) for row in rows]
        array = formula({name: frame[name].to_numpy() for name in NAMES})
        series = formula(frame)
    assert all(type(value) is float for value in one_by_one)
    np.testing.assert_array_equal(bits(array), bits(one_by_one))
    assert isinstance(series, pd.Series)
    np.testing.assert_array_equal(bits(series), bits(array))


@pytest.mark.parametrize("text", ["exp(a / 1000)", "log(abs(a))", "abs(a) ** 1.7", "abs(a) ** -3", "a ** 7"])
def test_long_columns_give_the_same_bits_as_single_numbers_with_any_stride(text):
    formula, column = Formula(text), np.random.default_rng(3).normal(0, 1000, 2 * 1023)
    one_by_one = [formula({"a": number}) for number in column.tolist()]
    np.testing.assert_array_equal(bits(formula({"a": column})), bits(one_by_one))
    np.testing.assert_array_equal(bits(formula({"a": column[::2]})), bits(one_by_one[::2]))
    np.testing.assert_array_equal(bits(formula({"a": column[5:]})), bits(one_by_one[5:]))


@given(st.lists(st.floats(-1e6, 1e6) | values, min_size=1), st.integers(0, 6))
def test_rounding_is_numpys_half_to_even_for_numbers_and_arrays(column, decimals):
    with np.errstate(all="ignore"):
        expected = np.round(np.array(column), decimals) + 0.0
        np.testing.assert_array_equal(bits(rounded(np.array(column), decimals)), bits(expected))
    np.testing.assert_array_equal(bits([rounded(number, decimals) for number in column]), bits(expected))


@pytest.mark.parametrize(
    ("text", "reading", "value"),
    [
        ("a + b * 2", {"a": 1, "b": 3}, 7.0),
        ("-a ** 2", {"a": 3}, -9.0),
        ("a / b", {"a": 1, "b": 0}, math.inf),
        ("a / b", {"a": -1, "b": 0}, -math.inf),
        ("exp(a)", {"a": 1000}, math.inf),
        ("a * 1e30 ** 1", {"a": 1e300}, math.inf),
        ("min(a, b, 4)", {"a": 7, "b": 9}, 4.0),
        ("max(abs(a), sqrt(b)) / pi", {"a": -math.pi, "b": 1}, 1.0),
        ("log(a)", {"a": 0}, -math.inf),
        ("2 ** a", {"a": 10}, 1024.0),
    ],
)
def test_a_formula_is_evaluated_as_in_arithmetic(text, reading, value):
    assert Formula(text)(reading) == value


@pytest.mark.parametrize("text", ["log(a)", "sqrt(a)", "a ** 0.5", "a ** 1.5", "min(a, 1 / 0.5)", "max(2, a)"])
def test_nan_stays_nan(text):
    assert math.isnan(Formula(text)({"a": math.nan}))


HOSTILE = [
    ("__import__('os').system('id')", '"\'" at character 12 is not allowed in a formula'),
    ("__import__(os)", "'__import__(os)' is not allowed; the functions are min, max, abs, sqrt, log, exp"),
    ("a.real", "'a.real' is not arithmetic: use numbers, pi, column names, + - * / ** and functions"),
    ("a.__class__", "'a.__class__' is not arithmetic: use numbers, pi, column names, + - * / ** and functions"),
    ("(a).b(c)", "'a.b(c)' is not allowed; the functions are min, max, abs, sqrt, log, exp"),
    ("min(a, b).c", "'min(a, b).c' is not arithmetic: use numbers, pi, column names, + - * / ** and functions"),
    ("[a for a in b]", "'[' at character 1 is not allowed in a formula"),
    ("(a for a in b)", "'(a for a in b)' is not arithmetic: use numbers, pi, column names, + - * / ** and functions"),
    ("(lambda: a)()", "':' at character 8 is not allowed in a formula"),
    ("a[0]", "'[' at character 2 is not allowed in a formula"),
    ("'a' * 9", '"\'" at character 1 is not allowed in a formula'),
    ("(a := 3)", "':' at character 4 is not allowed in a formula"),
    ("a if b else c", "'a if b else c' is not arithmetic: use numbers, pi, column names, + - * / ** and functions"),
    ("a and b", "'a and b' is a condition: a formula gives a number"),
    ("a < b", "'a < b' is a condition: a formula gives a number"),
    ("True", "'True' is a condition: a formula gives a number"),
    ("None", "'None' is not arithmetic: use numbers, pi, column names, + - * / ** and functions"),
    ("1j", "'1j' is not arithmetic: use numbers, pi, column names, + - * / ** and functions"),
    ("eval(a)", "'eval(a)' is not allowed; the functions are min, max, abs, sqrt, log, exp"),
    ("abs(*a)", "'*a' is not arithmetic: use numbers, pi, column names, + - * / ** and functions"),
    ("max(a, key=b)", "'max(a, key=b)' is not allowed; the functions are min, max, abs, sqrt, log, exp"),
    ("max(a)", "max takes 2 to 8 arguments, not 1"),
    ("abs(a, b)", "abs takes 1 argument, not 2"),
    ("abs + a", "abs is a function: write abs(...)"),
    ("9 ** 9 ** 9", "the exponent 3.8742e+08 is beyond 64"),
    ("a ** 65", "the exponent 65 is beyond 64"),
    ("9 ** 60", "a part without columns has the value 1.79701e+57; the largest allowed is 1e+30"),
    ("a + 1e31", "a number is larger than 1e+30"),
    ("a / 0 + 1 / 0", "a part without columns has the value inf; the largest allowed is 1e+30"),
    ("9" * 400, "a number is larger than 1e+30"),
    ("a // b", "'a // b' is not arithmetic: use numbers, pi, column names, + - * / ** and functions"),
    ("a @ b", "'@' at character 3 is not allowed in a formula"),
    ("~a", "'~' at character 1 is not allowed in a formula"),
    ("a; b", "';' at character 2 is not allowed in a formula"),
    ("a # b", "'#' at character 3 is not allowed in a formula"),
    ("temperatür", "'ü' at character 9 is not allowed in a formula"),
    ("a +", "not valid arithmetic: invalid syntax"),
    ("", "not valid arithmetic: invalid syntax"),
    ("2 * pi", "it uses no column"),
    ("-" * 60 + "a", "nested deeper than 40 levels: split it into several features"),
    ("(" * 240 + "a" + ")" * 240, "not valid arithmetic: too many nested parentheses"),
    ("a+" * 300 + "a", f"601 characters are more than {MAX_CHARACTERS}: split it into several features"),
]


@pytest.mark.parametrize(("text", "message"), HOSTILE, ids=[text[:20] for text, _ in HOSTILE])
def test_anything_but_arithmetic_is_refused_with_the_reason(text, message):
    with pytest.raises(ExpressionError) as refused:
        Formula(text)
    assert str(refused.value) == message


_pieces = st.sampled_from(
    ["__import__", "os", "system", "(", ")", ".", ",", "a", "b", "1", "**", "+", " if ", " else ", " for ", " in ",
     "lambda ", "<", " and ", "not ", "_", "exec", "open", "e9", "=", "min", "pi", " is ", "await ", "yield "]
)  # fmt: skip


@given(st.lists(_pieces, max_size=14).map("".join) | st.text(max_size=60))
@settings(max_examples=600, deadline=None)
def test_any_text_is_arithmetic_of_names_or_refused(text):
    for kind in (Formula, Condition):
        try:
            accepted = kind(text)
        except ExpressionError:
            continue
        result = accepted.number(dict.fromkeys(accepted.names, 1.5))
        assert type(result) is (float if kind is Formula else bool)


def test_a_condition_is_the_same_for_a_reading_and_for_columns():
    condition = Condition("0 < a < 10 and not (b > 2 or c <= 1)")
    rows = [{"a": a, "b": b, "c": c} for a in (-1.0, 5.0, math.nan) for b in (1.0, 3.0) for c in (1.0, 2.0, math.nan)]
    frame = pd.DataFrame(rows)
    one_by_one = [condition.number(row) for row in rows]
    assert condition.column(frame).tolist() == one_by_one
    assert one_by_one.count(True) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "'a' is not a condition: compare two values, for example speed_rpm < 1380"),
        ("a == 1", "'a == 1': compare with <, <=, > or >="),
        ("a in b", "'a in b': compare with <, <=, > or >="),
        ("a < 1 and b", "'b' is not a condition: compare two values, for example speed_rpm < 1380"),
        ("(a < 1) + 1 > 0", "'a < 1' is a condition: a formula gives a number"),
        ("1 < 2", "it uses no column"),
    ],
)
def test_a_condition_is_refused_with_the_reason(text, message):
    with pytest.raises(ExpressionError) as refused:
        Condition(text)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("resolution", "decimals"), [(0.1, 1), (0.25, 2), (1.0, 0), (10.0, 0), (0.5, 1), (1e-4, 4), (2e-6, 6), (1e6, 0)]
)
def test_decimals_come_from_the_resolution(resolution, decimals):
    assert decimals_of(resolution) == decimals


_IN_THREADS = """
import gc, sys, threading
from predictive_maintenance.machine.formulas import Formula

class Garbage:  # its end lets other threads run while a tree is built
    def __init__(self):
        self.itself = self

    def __del__(self):
        for _ in range(50):
            pass

def parse():
    for _ in range(3000):
        Garbage()
        try:
            Formula("torque_nm * rotational_speed_rpm * (2 * pi / 60)", None)
        except SystemError as error:
            errors.append(error)

errors = []
sys.setswitchinterval(1e-6)
gc.set_threshold(20, 2, 2)
threads = [threading.Thread(target=parse) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
sys.exit(str(errors) if errors else 0)
"""


def test_threads_may_parse_formulas_at_the_same_time():
    """Two services in one process that load a model, or two sessions of the dashboard."""
    done = subprocess.run(
        [sys.executable, "-c", _IN_THREADS], cwd=REPOSITORY, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
