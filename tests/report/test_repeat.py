"""From settings to a command line, and from the command line to the same settings."""

import shlex
from dataclasses import asdict, fields
from typing import Any

import pytest
from typer.main import get_command

from geodesic_cli.cli.app import app
from geodesic_cli.report.repeat import PLACE, VERBS, command_again, differing, verb_of
from geodesic_cli.runs.plain import plain
from geodesic_cli.settings import from_command_line
from geodesic_cli.settings.option import option_of
from geodesic_cli.settings.shared import FolderOptions

RUNS: list[tuple[str, dict[str, Any]]] = [
    ("interpolate", {"images": ("a.png", "b c.png")}),
    ("interpolate", {"images": ("a", "b"), "prompt": ("a 'red' cube", "--x"), "compare": True, "method": "global"}),
    ("interpolate", {"images": ("a", "b"), "bend": 2.0, "tau": 0.35, "seed": 7}),
    ("interpolate", {"images": ("a", "b"), "alpha": 1e-05, "method": "geodesic", "loop": True, "frames": 33}),
    ("interpolate", {"images": ("-a", "b"), "lora": ("x:0.5", "y"), "model": "my model"}),
    ("interpolate", {"images": ("clip.mp4",), "between": 3}),
    ("extrapolate", {"source": ("clip",), "backward": True, "prompt": "x", "frames": 2}),
    ("video-analyze", {"clip": ("clip",), "window": 9}),
    ("invert", {"images": ("a", "b"), "steps": 50}),
    ("latent/slerp", {"pairs": 3, "fit": False}),
    ("latent/direction", {"source": "red", "target": "blue"}),
    ("finetune", {"regulariser": "iso", "max_train_steps": 20}),
    ("isometry", {}),
    ("toy", {"density": "moons", "gif": False, "bend": 8.0, "a": "-1,2"}),
    ("bench/solver", {}),
    ("bench/model", {"batches": (1, 2)}),
]


def parsed(verb: str, command: str) -> dict[str, Any]:
    """The settings that the command line makes of a command."""
    found: Any = get_command(app)
    words = shlex.split(command)
    assert words[: 1 + len(verb.split("/"))] == ["geodesic", *verb.split("/")]
    for word in verb.split("/"):
        found = found.commands[word]
    options = found.make_context(verb, words[1 + len(verb.split("/")) :]).params
    return asdict(from_command_line(VERBS[verb], options))  # type: ignore[type-var]


@pytest.mark.parametrize(("verb", "given"), RUNS, ids=lambda value: value if isinstance(value, str) else "")
def test_the_command_gives_the_same_settings(verb: str, given: dict[str, Any]) -> None:
    stored = plain(asdict(VERBS[verb](**given)))
    command = command_again(verb, stored)
    again = plain(parsed(verb, command))
    assert {k: v for k, v in again.items() if k not in PLACE} == {k: v for k, v in stored.items() if k not in PLACE}
    assert verb_of(stored) == verb
    arguments = {each.name for each in fields(VERBS[verb]) if option_of(each).argument}  # type: ignore[arg-type]
    assert len(differing(verb, stored)) <= len(given.keys() - arguments)


def test_the_default_of_an_option_is_what_it_would_be_beside_the_others() -> None:
    stored = plain(asdict(VERBS["interpolate"](images=("a", "b"), method="geodesic", tau=0.3)))
    shown = {each.name: (each.value, each.default) for each in differing("interpolate", stored)}
    assert shown == {"--method": ("geodesic", "global"), "--tau": ("0.3", "0.4")}


def test_prompts_with_commas_are_kept_apart() -> None:
    stored = plain(asdict(VERBS["interpolate"](images=("a", "b"), prompt=("an apple, 3d", "a pear, 3d"))))
    assert "an apple, 3d; a pear, 3d" in [each.value for each in differing("interpolate", stored)]


def test_every_verb_that_writes_a_folder_is_known() -> None:
    """A new verb is entered in VERBS, so that its page has its name, its settings and its command."""

    def below(kind: type) -> set[type]:
        return {kind}.union(*(below(each) for each in kind.__subclasses__()))

    written = {kind for kind in below(FolderOptions) if not kind.__subclasses__()}
    assert written == set(VERBS.values())


def test_a_run_of_an_older_version_keeps_its_verb_and_settings_of_another_kind_have_none() -> None:
    stored = plain(asdict(VERBS["interpolate"](images=("a", "b"))))
    del stored["noise_bank"], stored["pacing"]
    assert verb_of(stored | {"former": 1}) == "interpolate"
    assert command_again("interpolate", stored) == "geodesic interpolate a b"
    assert verb_of({"x": 1, "seed": 2}) is None and verb_of({}) is None
