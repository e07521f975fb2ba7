"""Names and captions from elsewhere are shown, and do nothing to the terminal."""

import pytest
from typer.testing import CliRunner

from geodesic_cli.cli.app import app
from geodesic_cli.errors import GeodesicError, InputError, escaped


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("\x9b31m", r"\x9b31m"),
        ("a\r\nb\tc\x00", r"a\r\nb\tc\x00"),
        ("photo\u202egnp.exe", r"photo\u202egnp.exe"),
        ("\u2066x\u2069", r"\u2066x\u2069"),
        ("a\u2028b", r"a\u2028b"),
        ("caf\udce9.png", r"caf\udce9.png"),
    ],
)
def test_what_would_move_the_cursor_or_turn_the_writing_is_an_escape(text: str, written: str) -> None:
    assert escaped(text) == written
    error = GeodesicError(f"{text} does not exist.", "Check the path.")
    assert str(error) == f"{written} does not exist. Check the path."
    assert error.message == f"{written} does not exist."


@pytest.mark.parametrize("text", ["Größe 5 × 3", "猫.png", "a\u00a0b", "👩\u200d🚀", "cafe\u0301", "שלום", "مرحبا"])
def test_letters_of_any_language_stay(text: str) -> None:
    assert escaped(text) == text


def test_a_hostile_file_name_is_escaped_on_the_command_line() -> None:
    done = CliRunner().invoke(app, ["interpolate", "evil\x1b]0;owned\x07\u202e.png", "b.png", "--out", "nowhere"])
    assert isinstance(done.exception, InputError)
    for letter in "\x1b\x07\u202e":
        assert letter not in str(done.exception) + done.output
