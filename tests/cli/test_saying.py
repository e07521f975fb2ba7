"""What reaches the terminal is escaped: one function prints all lines that are not JSON."""

import ast
from pathlib import Path

import pytest

import geodesic_cli.cli
from geodesic_cli.cli.saying import say

ROOM = Path(geodesic_cli.cli.__file__).parent
PLAIN = {"to_json", "dumps", "_json", "_rich"}
"""What makes text that holds no control character, or only our own."""


def test_a_name_cannot_move_the_cursor_or_turn_the_writing(capsys: pytest.CaptureFixture[str]) -> None:
    say("evil\x1b[2J\u202e.png\nnext")
    assert capsys.readouterr().out == "evil\\x1b[2J\\u202e.png\nnext\n"


def test_every_other_line_is_json_or_our_own() -> None:
    found = []
    for path in sorted(ROOM.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            echo = isinstance(node, ast.Call) and ast.unparse(node.func) in ("typer.echo", "print", "typer.secho")
            if echo and path.name != "saying.py":
                calls = {ast.unparse(part.func) for part in ast.walk(node) if isinstance(part, ast.Call)}
                names = {name.split(".")[-1] for name in calls}
                if not names & PLAIN and "__version__" not in ast.unparse(node):
                    found.append(f"{path.name}:{node.lineno}: {ast.unparse(node)}")
    assert not found
