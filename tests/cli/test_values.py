"""Options whose value may be missing, and lists of numbers where one is read."""

from pathlib import Path

import pytest

from geodesic_cli.cli.values import with_values
from geodesic_cli.errors import InputError

ALONE, NUMERIC = {"--compare": "lerp,slerp"}, {"--tau", "--bend"}


@pytest.mark.parametrize(
    ("words", "made"),
    [
        ("a.png b.png --compare", "a.png b.png --compare=lerp,slerp"),
        ("--compare a.png b.png", "--compare=lerp,slerp a.png b.png"),
        ("--compare frames/ x", "--compare=lerp,slerp frames/ x"),
        ("--compare there b", "--compare=lerp,slerp there b"),
        ("a b --compare --loop", "a b --compare=lerp,slerp --loop"),
        ("a b --compare blend,local", "a b --compare blend,local"),
        ("a b --compare=blend", "a b --compare=blend"),
        ("a b --compare slrep", "a b --compare slrep"),
        ("a b --tau 0.2,0.4", "a b --sweep tau=0.2,0.4"),
        ("a b --tau=0.2,0.4 --bend 5", "a b --sweep tau=0.2,0.4 --bend 5"),
        ("a b --timing 2,1 --tau 0.2", "a b --timing 2,1 --tau 0.2"),
        ("a b --tau", "a b --tau"),
        ("--tau 1 -- --compare --tau 1,2", "--tau 1 -- --compare --tau 1,2"),
    ],
)
def test_the_words_are_those_that_are_read(
    words: str, made: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    assert with_values(words.split(), ALONE, NUMERIC) == made.split()


def test_a_list_beside_a_single_value_is_refused() -> None:
    with pytest.raises(InputError, match="--tau is given twice, once with a list of values"):
        with_values(["a", "b", "--tau", "0.2,0.4", "--tau", "0.3"], ALONE, NUMERIC)
