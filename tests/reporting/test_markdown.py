"""Text from files and registries, where Markdown is read, stays text."""

import pytest

from predictive_maintenance.reporting.markdown import code, plain, table


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("0.786 is enough on 1,582 held-out rows", "0.786 is enough on 1,582 held-out rows"),
        ("![x](http://d) [a](b)", r"!\[x\](http\://d) \[a\](b)"),
        ("*b* _i_ `c` ~s~ $m$ :red[x] :smile:", r"\*b\* \_i\_ \`c\` \~s\~ \$m\$ \:red\[x\] \:smile\:"),
        ("<img src=x> &lt;", r"\<img src=x\> \&lt;"),
        ("a | b", r"a \| b"),
        ("# h", r"\# h"),
        ("- item\n- item", r"\- item - item"),
        ("12. item", r"12\. item"),
        ("> q", r"\> q"),
        ("\\", "\\\\"),
    ],
)
def test_nothing_of_a_text_is_taken_for_markdown(text, written):
    assert plain(text) == written


def test_code_holds_what_would_end_it_and_what_would_end_a_cell():
    assert code("a`b|c\nd") == "`a'b\\|c d`"
    assert code("") == "` `"


def test_a_table_has_a_line_a_row():
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n|---|---|\n| 1 | 2 |"
