"""Text from files and registries is shown literally in Markdown."""

import pytest

from predictive_maintenance.reporting.markdown import code, plain, table


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("0.786 is at least 0.7 on 1,582 held-out rows", "0.786 is at least 0.7 on 1,582 held-out rows"),
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
def test_plain_escapes_every_markdown_construct(text, escaped):
    assert plain(text) == escaped


def test_code_replaces_backticks_and_escapes_cell_separators():
    assert code("a`b|c\nd") == "`a'b\\|c d`"
    assert code("") == "` `"


def test_a_table_has_one_line_for_each_row():
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n|---|---|\n| 1 | 2 |"
