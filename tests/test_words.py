"""The words on the screen and in the documents: those of the glossary, and none that only the authors know."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from geodesic_cli.settings.vocabulary import PATH_NAMES

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "geodesic_cli"
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "examples" / "README.md", *(ROOT / "examples" / "guides").glob("*.md")])
COMMANDS = sorted((SOURCE / "cli").glob("*.py"))

PRIVATE = {
    r"next to slerp": "the local path, from the great circle",
    r"path over samples": "the path found among samples of the model",
    r"\bgain(s|ed)?\b": "log p above the line between the ends, or say what grows",
    r"\bonward": "after the last frame",
    r"\blegs?\b": "from image to image",
    r"\bpools?\b": "samples of the model",
    r"\b[sS]lerp\b": "the great circle",
    r"\blerp\b": "the straight line",
    r"\bridge\b": "the high ground of the density",
    r"\bway-points?\b": "points between",
    r"\bwalls? of\b": "where the density falls",
    r"\bsaddle\b": "a path beside which a shorter one lies",
    r"needs no solving": "say what the path does not do",
}
"""Words that only the authors know, and what to say in their place."""


def plain(text: str) -> str:
    """A text without what is code in it: fences, back-ticks, options with their values, names of verbs and files."""
    text = re.sub(r"^\s*```.*?^\s*```$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"`[^`]*`|\]\([^)]*\)|\S+\.(?:py|md|png)\b", "", text)
    text = re.sub(r"--[\w-]+(?: [\w.,-]+)?", "", text)
    return re.sub(r"geodesic latent slerp.*|^latent slerp$", "", text)


def private(text: str) -> list[str]:
    """The private words in a text."""
    return [match.group() for word in PRIVATE for match in re.finditer(word, plain(text))]


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every string of a file that a person may read: of several words, and no docstring."""
    tree = ast.parse(path.read_text("utf-8"))
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    notes = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in notes or id(node) in parts:
            continue
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if " " in text.strip():
            yield node.lineno, text


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_private_word_is_shown(path: Path) -> None:
    found = [f"line {line}: {words} in {text!r}" for line, text in strings(path) if (words := private(text))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_no_private_word_is_in_the_help_of_a_verb(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            assert not private(ast.get_docstring(node) or ""), node.name


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_no_private_word_is_in_a_document(path: Path) -> None:
    lines = plain(path.read_text("utf-8")).splitlines()
    assert not [line for line in lines if private(line)]


def test_the_check_finds_private_words_and_lets_code_be() -> None:
    assert private("The path next to slerp is the shorter one.") == ["next to slerp", "slerp"]
    assert private("frames of leg 2, mean gain") == ["gain", "leg"]
    assert not private("Pass --method slerp, or `lerp`; geodesic latent slerp a.png; (--pool-size)")
    assert not private("again and again, legend")


def test_the_glossary_of_the_readme_has_the_words_of_the_program() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for method, name in PATH_NAMES.items():
        assert f"| {name} | `--method {method}`" in readme
    for word in ("residual", "short path", "noise level", "bend", "doubtful frame", "score", "log p"):
        assert re.search(rf"^\| [^|]*{word}", readme, re.MULTILINE), word
