"""The laws of the house that are not about imports: sizes, names, doors, dead code, and where tests stand."""

import ast
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "geodesic_cli"
FILES = sorted(SOURCE.rglob("*.py"))
MOST_LINES, MOST_OF_A_FUNCTION, MOST_PARAMETERS = 300, 60, 8
EXCEPTIONS = {"geometry/solvers/ivp.py:solve_ivp": "public since the first version; all but three are keywords"}
"""`file` or `file:function` -> why it may be larger. This list may only shrink."""
PROTOCOL = {"run", "dry_run", "stem"}
"""Names that every verb has: how it is run, and what its folder is called."""


def named(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


@pytest.mark.parametrize("path", FILES, ids=named)
def test_files_functions_and_signatures_are_short(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= MOST_LINES or named(path) in EXCEPTIONS
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef) or f"{named(path)}:{node.name}" in EXCEPTIONS:
            continue
        assert node.end_lineno is not None
        assert node.end_lineno - node.lineno < MOST_OF_A_FUNCTION, f"{node.name} is long"
        words = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        assert len([word for word in words if word not in ("self", "cls")]) <= MOST_PARAMETERS, (
            f"{node.name} takes many"
        )


def test_an_exception_is_still_needed() -> None:
    for name in EXCEPTIONS:
        path, _, function = name.partition(":")
        text = (SOURCE / path).read_text("utf-8")
        if not function:
            assert text.count("\n") > MOST_LINES
            continue
        (node,) = (n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef) and n.name == function)
        long = (node.end_lineno or 0) - node.lineno >= MOST_OF_A_FUNCTION
        assert long or len(node.args.args) + len(node.args.kwonlyargs) > MOST_PARAMETERS


def definitions(path: Path) -> list[str]:
    """The public names at the top of a file."""
    found = []
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.append(node.name)
        elif isinstance(node, ast.Assign):
            found += [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.append(node.target.id)
    return [name for name in found if not name.startswith("_")]


def test_a_public_name_stands_for_one_thing() -> None:
    places = defaultdict(list)
    for path in FILES:
        if named(path).startswith("cli/"):  # a command bears the name of what it calls
            continue
        for name in definitions(path):
            places[name].append(named(path))
    double = {name: where for name, where in places.items() if len(where) > 1 and name not in PROTOCOL}
    assert not double


def test_every_public_definition_is_used() -> None:
    """By the package or the examples, or it stands on the face of its room: no code lives for its own test."""
    texts = [path.read_text("utf-8") for folder in (SOURCE, ROOT / "examples") for path in folder.rglob("*.py")]
    code = [re.sub(r'"""(?:.|\n)*?"""', "", text) for text in texts]
    words = Counter(word for text in code for word in re.findall(r"\b\w+\b", text))
    faces = {
        name
        for text in texts
        for block in re.findall(r"__all__ \+?= \[(.*?)\]", text, re.DOTALL)
        for name in re.findall(r'"(\w+)"', block)
    }
    unused = {
        f"{named(path)}:{name}" for path in FILES for name in definitions(path) if words[name] < 2 and name not in faces
    }
    assert not unused


def test_no_room_hides_a_public_function() -> None:
    import geodesic_cli

    rooms = {path.name for path in SOURCE.iterdir() if path.is_dir()} | {path.stem for path in SOURCE.glob("*.py")}
    assert not rooms & set(geodesic_cli.__all__)


@pytest.mark.parametrize(
    ("call", "rooms"),
    [
        # finetune opens the model of its own process, and bench opens one for each kind of numbers.
        ("open_model(", {"runs/opening.py", "runs/job.py", "verbs/finetune/run.py", "verbs/bench/model.py"}),
        ("RunDirectory.open(", {"runs/job.py", "runs/result.py"}),
        ("save_file(", {"runs/tensors.py", "diffusion/loading/lora.py"}),
    ],
)
def test_a_door_is_in_one_place(call: str, rooms: set[str]) -> None:
    assert {named(path) for path in FILES if call in path.read_text("utf-8")} == rooms


def test_the_tests_stand_where_what_they_test_stands() -> None:
    rooms = {path.parent.relative_to(SOURCE) for path in FILES}
    for path in (ROOT / "tests").rglob("test_*.py"):
        assert path.parent.relative_to(ROOT / "tests") in rooms, f"{path} mirrors no room"
