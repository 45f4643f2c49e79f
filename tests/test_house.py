"""The house checks itself: who imports whom, how long things are, what has which name, what loads when."""

import ast
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer

import polyreel
from polyreel.cli.app import app

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "polyreel"
MODULES = sorted(PACKAGE.rglob("*.py"))

GROUND = {"errors", "languages", "progress", "settings", "storage", "safe_pickle"}
LOW = GROUND | {"data", "similarity"}
MIDDLE = LOW | {"video", "models", "translation"}
MAY_IMPORT = {
    **dict.fromkeys(GROUND, GROUND),
    "data": GROUND,
    "similarity": GROUND | {"data"},
    "video": LOW,
    "models": LOW,
    "translation": LOW,
    "world": MIDDLE,
    "evaluation": MIDDLE,
    "training": MIDDLE | {"world", "evaluation"},
    "search": LOW | {"video", "models"},
    "recipes": set(),
    "cli": MIDDLE | {"polyreel", "world", "evaluation", "training", "search", "web"},
    "web": MIDDLE | {"polyreel", "search"},
}
SHELL = {"cli", "web"}
SHELL_ONLY = {"print", "sys.stdout", "sys.stderr", "os.environ", "os.getenv"}

MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 40
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base", "core", "manager", "managers"}
HEAVY = {"torch", "transformers", "sentence_transformers", "lancedb", "av", "onnxruntime", "pyarrow", "numpy",
         "matplotlib", "fastapi", "pydantic", "rich"}  # fmt: skip
MAX_MODULES = 240  # of Python, typer and ours; what they cost in seconds: benchmarks/startup.py

MAX_FLAGS = 8
SHARED_FLAGS = {"--device", "--threads", "--quiet", "--json"}  # learnt once, the same everywhere (cli/options.py)

# The README's tree leaves these out, and may show these folders without their files.
UNLISTED_STARTS, UNLISTED_ENDS = (".",), ("__init__.py", "py.typed")
MAY_STAY_CLOSED = {"src/polyreel/recipes/", "src/polyreel/world/grammar/", "src/polyreel/web/static/"}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def room_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return "polyreel" if relative == Path("__init__.py") else relative.parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> Iterator[tuple[str, int]]:
    """Yield every part of polyreel a module imports, wherever in the file, with the line."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively; write the whole name"
            names = [node.module or ""]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "polyreel":
                yield [*name.split("."), "polyreel"][1], node.lineno


def place(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def test_imports_only_go_down():
    wrong = [
        f"{place(path, line)}: {room_of(path)} imports {target}"
        for path in MODULES
        if room_of(path) != "polyreel"
        for target, line in imported_rooms(path)
        if target != room_of(path) and target not in MAY_IMPORT[room_of(path)]
    ]
    assert not wrong, "\n".join(wrong)


def test_files_and_functions_stay_small():
    wrong = []
    for path in MODULES:
        num_lines = len(path.read_text("utf-8").splitlines())
        if num_lines > MAX_FILE_LINES:
            wrong.append(f"{place(path, 1)}: {num_lines} lines")
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef) and length_without_docstring(node) > MAX_FUNCTION_LINES:
                wrong.append(f"{place(path, node.lineno)}: {node.name} has {length_without_docstring(node)} lines")
    assert not wrong, "\n".join(wrong)


def length_without_docstring(function: ast.FunctionDef) -> int:
    length = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    has_docstring = ast.get_docstring(function, clean=False) is not None
    return length - ((first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0)


def test_no_file_has_a_name_that_says_nothing():
    files = [*MODULES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    wrong = [path for path in files if {*path.with_suffix("").relative_to(ROOT).parts} & BANNED_NAMES]
    assert not wrong


WITH_ALL = [str(path.relative_to(PACKAGE)) for path in MODULES if "\n__all__ = " in path.read_text("utf-8")]


@pytest.mark.parametrize("path", WITH_ALL)
def test_all_is_sorted_and_resolves(path):
    name = ".".join(("polyreel", *Path(path).with_suffix("").parts)).removesuffix(".__init__")
    module = importlib.import_module(name)
    assert list(module.__all__) == sorted(module.__all__)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_public_names_are_complete():
    branch = next(node for node in tree_of(PACKAGE / "__init__.py").body if isinstance(node, ast.If))
    typed = {
        alias.name: node.module for node in branch.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert set(polyreel.__all__) == set(typed) == set(polyreel._HOME_OF), "one of the three lists lacks a name"
    assert typed == polyreel._HOME_OF, "editors would look for a name elsewhere than Python does"
    assert set(polyreel.__all__) <= set(dir(polyreel))


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'polyreel' has no attribute 'trian'"):
        _ = polyreel.trian


def options_of(command: object, words: str = "polyreel") -> Iterator[tuple[str, list[str]]]:
    """Yield every verb with the flags of its own."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from options_of(inner, f"{words} {name}")
    if not hasattr(command, "commands"):
        yield words, [one.opts[0] for one in command.params if one.opts[0].startswith("-")]


def test_a_verb_has_few_flags():
    flags = dict(options_of(typer.main.get_command(app)))
    assert len(flags) > 30
    many = {verb: own for verb, all_ in flags.items() if len(own := [*{*all_} - SHARED_FLAGS]) > MAX_FLAGS}
    assert not many, f"a verb has at most {MAX_FLAGS} flags beside {', '.join(sorted(SHARED_FLAGS))}"


def test_only_the_shell_prints_and_reads_the_environment():
    wrong = []
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            name = ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""
            if name in SHELL_ONLY and room_of(path) not in SHELL:
                wrong.append(f"{place(path, node.lineno)}: {name}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "code",
    ["import polyreel", "import sys; from polyreel.cli import main; sys.argv[1:] = ['--help']; main()"],
    ids=["import", "help"],
)
def test_nothing_heavy_happens_before_it_is_needed(code):
    report = "import json, sys; print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True)
    modules = json.loads(done.stderr)
    assert HEAVY & set(modules) == set()
    assert len(modules) < MAX_MODULES


def test_torchvision_is_absent():
    assert find_spec("torchvision") is None, "torchvision from the package index breaks CPU builds of torch; remove it"


def project_files() -> list[Path]:
    """Return what belongs to the project: what git tracks, and what it would."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("needs a git checkout, to know which files are the project's")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_knows_where_it_was_written():
    pattern = re.compile(
        r"(?<![\w.:/])/(root|home|Users|work|tmp)/\w|[A-Z]:\\Users|pypi\.org|pythonhosted|download\.pytorch"
    )
    wrong = []
    for path in project_files():
        if path == Path(__file__):
            continue
        text = path.read_text("utf-8", errors="replace")
        wrong += [
            f"{place(path, 1 + text[: hit.start()].count(chr(10)))}: {hit.group()}" for hit in pattern.finditer(text)
        ]
    assert not wrong, "\n".join(wrong)


def readme_tree() -> dict[str, str]:
    """Return path and description of every line of the README's tree.

    The tree is the first fenced block whose first line is a folder. Two spaces indent a level; a line is a path, two
    or more spaces, and what it is for. Folders end in a slash.
    """
    blocks = re.findall(r"```\w*\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), flags=re.DOTALL)
    block = next((block for block in blocks if re.match(r"[\w./-]+/\s", block)), None)
    if block is None:
        pytest.skip("the README has no tree yet")
    entries: dict[str, str] = {}
    parents: list[str] = []
    for line in block.rstrip().splitlines():
        match = re.fullmatch(r"((?:  )*)(\S+)(?:\s{2,}(\S.*))?", line)
        assert match, f"not a line of the tree: {line!r}"
        indent, name, description = match.groups()
        parents = [*parents[: len(indent) // 2], name]
        assert "".join(parents) not in entries, f"the README's tree lists {''.join(parents)} twice"
        entries["".join(parents)] = description or ""
    return entries


def test_the_readme_tree_is_exact():
    entries = readme_tree()
    folders = [path for path in entries if path.endswith("/")]
    closed = tuple(path for path in folders if not any(other != path and other.startswith(path) for other in entries))
    files = [str(path.relative_to(ROOT)) for path in project_files()]
    gone = [path for path in entries if path not in files and not (path in folders and starts_any(files, path))]
    assert not gone, f"the README lists what is not there: {gone}"
    unexplained = [path for path, description in entries.items() if not description]
    assert not unexplained, f"the README does not say what these are for: {unexplained}"
    unlisted = [path for path in files if path not in entries and not path.startswith(closed + UNLISTED_STARTS)]
    unlisted = [path for path in unlisted if not path.endswith(UNLISTED_ENDS)]
    assert not unlisted, f"the README's tree lacks: {unlisted}"
    unopened = [path for path in closed if path.startswith("src/") and path not in MAY_STAY_CLOSED]
    assert not unopened, f"the README's tree should list the files of {unopened}"


def starts_any(files: list[str], folder: str) -> bool:
    return any(file.startswith(folder) for file in files)
