"""The import law: arrows only go down, and the command line answers before torch is imported."""

import ast
import resource
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "geodesic_cli"

# Room -> (rooms of the package it may import, third-party packages it may import). Standard library: everybody.
FLOORS: dict[str, tuple[set[str], set[str]]] = {
    "__init__": ({"verbs"}, set()),  # inside a function: the next tests hold that importing the package costs nothing
    "__main__": ({"errors", "cli"}, set()),
    "errors": (set(), set()),
    "settings": ({"settings", "errors"}, set()),
    "geometry": (
        {"geometry", "errors"},
        {"torch", "jaxtyping", "scipy"},
    ),  # scipy inside functions: shortest paths over a graph
    "distortion": ({"distortion", "geometry", "errors"}, {"torch", "jaxtyping"}),
    "diffusion": (
        {"diffusion", "geometry", "distortion", "errors"},
        {"torch", "diffusers", "transformers", "peft", "safetensors", "huggingface_hub"},
    ),
    "scenes": ({"scenes", "errors"}, {"torch"}),
    "media": ({"media", "errors"}, {"torch", "numpy", "PIL", "av"}),
    "plots": ({"plots", "errors"}, {"numpy", "matplotlib"}),
    "evaluation": ({"evaluation", "errors"}, {"torch", "numpy", "scipy", "torchvision", "lpips", "pyiqa", "sklearn"}),
    "runs": ({"runs", "settings", "diffusion", "geometry", "media", "errors"}, {"torch", "safetensors"}),
    "frames": (
        {"frames", "runs", "settings", "diffusion", "geometry", "media", "evaluation", "errors", "search"},
        {"torch", "safetensors"},
    ),
    "search": (
        {"search", "frames", "runs", "settings", "diffusion", "geometry", "media", "errors"},
        {"torch", "safetensors"},
    ),
    "verbs": (
        {"verbs", "search", "frames", "runs", "distortion", "geometry", "diffusion", "scenes", "media", "plots"}
        | {"evaluation", "settings", "errors"},
        {"torch", "safetensors", "scipy", "accelerate", "numpy", "sklearn"},
    ),
    "cli": ({"cli", "verbs", "runs", "settings", "errors", "media"}, {"typer", "rich"}),
}


def imports(path: Path) -> set[tuple[str, str]]:
    """(package, room) for every import of a file; room is empty for other packages."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} uses a relative import"
            module = node.module or ""
            names = [f"{module}.{a.name}" for a in node.names] if module == "geodesic_cli" else [module]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            found.add((package, rest.partition(".")[0]))
    return found


FILES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_imports_only_from_its_own_floor_and_below(path: Path) -> None:
    room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    rooms, packages = FLOORS[room]
    for package, other in imports(path):
        if package == "geodesic_cli":
            # The version is the package's own and belongs to no room.
            assert other in rooms | {"__version__"}, f"{room} must not import geodesic_cli.{other}"
        elif package not in sys.stdlib_module_names:
            assert package in packages, f"{room} must not import {package}"


def test_the_architecture_table_names_every_room() -> None:
    rooms = {path.relative_to(SOURCE).parts[0].removesuffix(".py") for path in FILES}
    assert rooms == set(FLOORS)


def test_nothing_in_the_library_prints() -> None:
    for path in FILES:
        calls = [
            node
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
        ]
        assert not calls, f"{path} prints"


@pytest.mark.parametrize("arguments", [["--help"], ["interpolate", "--help"], ["toy", "--help"], ["--version"]])
def test_help_imports_no_torch(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        f"sys.argv = ['geodesic', *{arguments!r}]\n"
        "from geodesic_cli.__main__ import main\n"
        "try:\n    main()\n"
        "except SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'numpy', 'PIL', 'matplotlib', 'av', 'sklearn'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_is_instant_and_brings_nothing_along() -> None:
    code = "import sys, geodesic_cli; assert not {'torch', 'typer', 'diffusers'} & set(sys.modules)"
    subprocess.run(
        [sys.executable, "-S", "-c", f"sys = __import__('sys'); sys.path[:0] = {sys.path!r}; {code}"], check=True
    )


def test_help_answers_in_the_time_of_a_bare_interpreter_plus_three_tenths_of_a_second() -> None:
    def seconds(code: str) -> float:
        best = float("inf")
        for _ in range(3):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        return best

    program = "import sys; sys.argv = ['geodesic', '--help']; from geodesic_cli.__main__ import main\n"
    # Processor time, the best of three, and relative to an empty program: test machines are shared and noisy.
    assert seconds(program + "try:\n    main()\nexcept SystemExit:\n    pass") < seconds("pass") + 0.3


def test_the_verbs_are_attributes_of_the_package_and_others_are_not() -> None:
    import geodesic_cli
    from geodesic_cli.verbs.interpolate.run import interpolate
    from geodesic_cli.verbs.toy.run import toy

    assert geodesic_cli.interpolate is interpolate
    assert geodesic_cli.toy is toy
    with pytest.raises(AttributeError, match="extrapulate"):
        geodesic_cli.extrapulate  # noqa: B018
