import pytest

from tabular import Alignment, TableError, markdown


def test_columns_are_as_wide_as_their_widest_cell():
    assert markdown([["name", "n"], ["a", "1000"]]) == (
        "| name | n    |\n"
        "| ---- | ---- |\n"
        "| a    | 1000 |\n"
    )


@pytest.mark.parametrize(
    ("alignment", "rule", "cell"),
    [
        (Alignment.LEFT, "-----", "7    "),
        (Alignment.RIGHT, "----:", "    7"),
        (Alignment.CENTER, ":---:", "  7  "),
    ],
)
def test_alignment(alignment, rule, cell):
    table = markdown([["count"], ["7"]], {"count": alignment})
    assert table.splitlines()[1:] == [f"| {rule} |", f"| {cell} |"]


def test_short_rows_are_filled():
    assert markdown([["a", "b"], ["1"]]).splitlines()[-1] == "| 1   |     |"


def test_wide_characters_take_two_columns():
    lines = markdown([["fruit"], ["西瓜"], ["pear"]]).splitlines()
    assert lines[2] == "| 西瓜  |"
    assert lines[3] == "| pear  |"


def test_what_would_end_a_cell_is_escaped():
    assert "| a\\|b c |" in markdown([["x"], ["a|b\nc"]])


@pytest.mark.parametrize(
    ("rows", "alignments", "message"),
    [
        ([], {}, "there is no header row"),
        ([["a"], ["1", "2"]], {}, "row 2 has 2 cells, the header 1"),
        ([["a"]], {"b": Alignment.LEFT}, "no column is named b"),
    ],
)
def test_refused(rows, alignments, message):
    with pytest.raises(TableError, match=message):
        markdown(rows, alignments)
