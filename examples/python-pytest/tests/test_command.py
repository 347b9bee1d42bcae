import io
import pathlib

import pytest

from tabular.command import main


@pytest.fixture
def stdin(monkeypatch):
    def give(text):
        monkeypatch.setattr("sys.stdin", io.StringIO(text))

    return give


def test_fruit(stdin, capsys):
    stdin((pathlib.Path(__file__).parent / "fruit.csv").read_text(encoding="utf-8"))
    assert main(["--align", "right", "price"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert lines[2].split("|")[2] == "  0.35 "
    assert "not a fruit \\" in lines[4]


def test_other_delimiter(stdin, capsys):
    stdin("a;b\n1;2\n")
    assert main(["--delimiter", ";"]) == 0
    assert capsys.readouterr().out.count("|") == 9


def test_mistakes_end_with_1_and_a_reason(stdin, capsys):
    stdin("")
    assert main([]) == 1
    assert capsys.readouterr().err == "tabular: there is no header row\n"
