"""The documents: a README that one reads, links that lead somewhere, commands whose options exist."""

import re
import shlex
from itertools import chain
from pathlib import Path

import pytest
import typer

from geodesic_cli.cli.app import app
from geodesic_cli.cli.pasted import translated

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    [ROOT / "README.md", *(ROOT / "examples").rglob("*.md"), *(ROOT / "src/geodesic_cli/assets").rglob("*.md")]
)
NUMBERED = sorted((ROOT / "examples").glob("0*.py"))
COMMAND = typer.main.get_command(app)


def fences(text: str) -> list[str]:
    return re.findall(r"^```(?:bash|sh)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def without_fences(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(text: str) -> set[str]:
    """GitHub's names of the headings: lower case, no punctuation, spaces as hyphens."""
    heads = re.findall(r"^#+ (.*)$", without_fences(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "", head).lower()).replace(" ", "-") for head in heads}


def commands(text: str) -> list[list[str]]:
    """The words after `geodesic` of every command line, in a fence or within a sentence."""
    found = []
    inline = re.findall(r"`(geodesic [^`\n]+)`", without_fences(text))
    for line in chain(inline, *(block.replace("\\\n", " ").splitlines() for block in fences(text))):
        for part in re.split(r"&&|\|", line):
            words = shlex.split(part, comments=True)
            starts = [k for k, word in enumerate(words) if Path(word).name in ("geodesic", "geodesic_cli")]
            if starts:
                found.append(words[starts[0] + 1 :])
    return found


def unknown(words: list[str]) -> list[str]:
    """The options of a command line that its verb does not have."""
    command, rest = COMMAND, words
    while rest and (children := getattr(command, "commands", {})).get(rest[0]):
        command, rest = children[rest[0]], rest[1:]
    if command is COMMAND:
        return words[:1]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    rest = translated(str(command.name), rest, sorted(known))  # a line of diffusers' scripts, too
    return [word for word in rest if word.startswith("--") and word.partition("=")[0] not in known | {"--help"}]


def test_the_readme_is_read_in_five_minutes() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= 200
    assert len(text.encode()) <= 14_000


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_pictures_lead_somewhere(path: Path) -> None:
    text = without_fences(path.read_text("utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (path.parent / place).resolve() if place else path
        assert target.exists(), f"{link} is not there"
        assert not anchor or anchor in anchors(target.read_text("utf-8")), f"{link}: no such heading"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_scripts_named_in_documents_exist(path: Path) -> None:
    for script in re.findall(r"examples/[\w/-]+\.py|tests/[\w/-]+\.py", path.read_text("utf-8")):
        assert (ROOT / script).is_file(), f"{script} is not there"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_have_only_options_that_exist(path: Path) -> None:
    for words in commands(path.read_text("utf-8")):
        assert not unknown(words), f"geodesic {shlex.join(words)}: {unknown(words)}"


def test_the_check_of_commands_finds_what_is_wrong() -> None:
    assert unknown(["interpolate", "a.png", "b.png", "--frame", "3"]) == ["--frame"]
    assert unknown(["extrapulate", "a.png"]) == ["extrapulate"]
    assert unknown(["latent", "slerp", "--pairs", "8"]) == []
    assert commands("```bash\nx && geodesic toy ring \\\n    --rays 3  # geodesics\n```") == [
        ["toy", "ring", "--rays", "3"]
    ]


@pytest.mark.parametrize("path", NUMBERED, ids=lambda path: path.stem)
def test_numbered_examples_fit_a_screen_and_use_public_names(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 60
    modules = re.findall(r"^(?:from|import) (geodesic_cli\S*)", text, re.MULTILINE)
    public = {"", "diffusion", "geometry", "media", "plots", "scenes", "evaluation", "geometry.toys", "distortion.loss"}
    assert {module.removeprefix("geodesic_cli").lstrip(".") for module in modules} <= public
