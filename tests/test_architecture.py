"""The import law: arrows only go down, and the command line answers before torch is imported."""

import ast
import resource
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "geodesic_cli"
WINGS = {"geometry": ("solvers", "kernel", "graph", "clips", "sets", "zoo"), "diffusion": ("loading", "tuning")}
"""Folders of a room that are rooms of their own; the files beside them are the core of the room."""

# Room -> (rooms that it may import, third-party packages that it may import). Every room may import itself, `errors`,
# `version` and `filing`, and the standard library. The face of a room, its __init__.py, may also import the wings of
# the room.
FLOORS: dict[str, tuple[str, str]] = {
    "__init__": ("verbs", ""),  # inside a function: importing the package costs nothing
    "__main__": ("cli", ""),
    "errors": ("", ""),
    "version": ("", ""),
    "filing": ("", ""),
    "settings": ("", ""),
    "geometry": ("", "torch jaxtyping"),
    "geometry/kernel": ("geometry", "torch jaxtyping"),
    "geometry/graph": ("geometry", "torch jaxtyping scipy"),  # scipy inside functions
    "geometry/zoo": ("geometry", "torch jaxtyping"),
    "geometry/solvers": ("geometry geometry/kernel", "torch jaxtyping"),  # the kernel solver is the default
    "geometry/clips": ("geometry geometry/solvers", "torch jaxtyping"),
    "geometry/sets": ("geometry geometry/kernel geometry/solvers", "torch jaxtyping"),
    "distortion": ("geometry", "torch jaxtyping"),  # of geometry linalg alone, which another test holds
    "diffusion": ("geometry", "torch diffusers transformers psutil"),
    "diffusion/loading": ("diffusion", "torch diffusers transformers peft safetensors huggingface_hub"),
    "diffusion/tuning": ("diffusion diffusion/loading distortion", "torch diffusers peft"),
    "scenes": ("", "torch"),
    "media": ("", "torch numpy PIL av pillow_heif"),
    "plots": ("", "numpy matplotlib"),
    "layouts": ("settings media", ""),
    "evaluation": ("", "torch numpy scipy torchvision pyiqa"),
    "report": ("settings media", "jinja2 PIL"),
    # `steps` keeps a solver's state, so it knows the classes of the two solvers that have one.
    "runs": (
        "settings report diffusion diffusion/loading media geometry geometry/kernel geometry/solvers",
        "torch safetensors psutil rich PIL",  # rich inside a function
    ),
    "frames": ("runs settings diffusion diffusion/tuning geometry media evaluation", "torch scipy"),  # inside functions
    "search": ("frames runs diffusion geometry geometry/graph geometry/solvers", "torch"),
    # Many runs of a verb, and what is measured of them: above the verbs, which know nothing of one another.
    "many": ("verbs/interpolate verbs/evaluate runs settings layouts media plots scenes evaluation diffusion", "torch"),
    "cli": ("verbs many runs settings media", "typer rich"),
}
LEAVES = "distortion geometry diffusion scenes media plots layouts evaluation settings runs frames search"
VERB = (f"{LEAVES} {' '.join(f'{room}/{wing}' for room, wings in WINGS.items() for wing in wings)}", "torch")
MORE = {"bench": "scipy", "finetune": "accelerate bitsandbytes datasets", "toy": "numpy"}
VERBS = sorted(path.name for path in (SOURCE / "verbs").iterdir() if (path / "__init__.py").is_file())
FLOORS |= {f"verbs/{verb}": (VERB[0], f"{VERB[1]} {MORE.get(verb, '')}") for verb in VERBS}
FLOORS["verbs"] = ("", "")

FILES = sorted(SOURCE.rglob("*.py"))
MODULES = {
    ".".join(("geodesic_cli", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in FILES
}


@cache
def imports(path: Path) -> frozenset[str]:
    """The modules that a file imports, also inside functions: the file itself where it is one of the package."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} uses a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in MODULES else str(node.module) for name in names}
    return frozenset(found)


def room_of(module: str) -> str:
    """The room that a module of the package stands in."""
    first, *rest = module.split(".")[1:] or ["__init__"]
    wing = rest[0] if rest and (first == "verbs" or rest[0] in WINGS.get(first, ())) else ""
    return f"{first}/{wing}" if wing else first


@pytest.mark.parametrize("module", MODULES)
def test_a_file_imports_only_from_its_own_room_and_below(module: str) -> None:
    path, room = MODULES[module], room_of(module)
    rooms, packages = (set(names.split()) for names in FLOORS[room])
    rooms |= {room, "errors", "version", "filing"}
    if path.name == "__init__.py":
        rooms |= {f"{room}/{wing}" for wing in WINGS.get(room, ())}
    if room == "cli":
        rooms |= {f"verbs/{verb}" for verb in VERBS}
    if room == "__init__":
        rooms |= {f"verbs/{verb}" for verb in VERBS}
    for other in imports(path):
        package = other.partition(".")[0]
        if package == "geodesic_cli":
            assert room_of(other) in rooms or other == "geodesic_cli", f"{room} must not import {other}"
        elif package not in sys.stdlib_module_names:
            assert package in packages, f"{room} must not import {package}"


def test_no_files_import_each_other_in_a_circle() -> None:
    below: dict[str, set[str]] = {
        name: {other for other in imports(path) if other in MODULES and other != name} for name, path in MODULES.items()
    }
    while free := [name for name, others in below.items() if not others]:
        below = {name: others - set(free) for name, others in below.items() if name not in free}
    assert not below, f"a circle goes through {sorted(below)}"


def test_geometry_and_distortion_meet_in_linear_algebra_only() -> None:
    for module, path in MODULES.items():
        if room_of(module) == "distortion":
            met = {other for other in imports(path) if other.startswith("geodesic_cli.geometry")}
            assert met <= {"geodesic_cli.geometry.linalg"}, f"{module} imports {met}"


def test_the_method_can_be_read_in_seven_files_that_need_no_others() -> None:
    reading = ("space", "density", "curve", "metric", "solution", "solvers.bvp", "analysis")
    names = [f"geodesic_cli.geometry.{name}" for name in reading]
    for name in names:
        others = {other for other in imports(MODULES[name]) if other.startswith("geodesic_cli")}
        allowed = {*names, "geodesic_cli.geometry.linalg", "geodesic_cli.errors"}
        # The loop of the path solvers names its default, and that alone.
        allowed |= {"geodesic_cli.geometry.kernel.surrogate"} if name.endswith("bvp") else set()
        assert others <= allowed, f"{name} needs {others - allowed}"


def test_the_table_of_rooms_names_every_room() -> None:
    assert {room_of(module) for module in MODULES} == set(FLOORS)


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
