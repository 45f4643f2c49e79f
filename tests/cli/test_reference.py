import re
import shlex
from pathlib import Path

import pytest

from polyreel.cli.app import app
from polyreel.cli.reference import help_of, reference, verbs

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "cli.md"
VERBS = list(verbs(app))
MAX_FLAGS = 8
ON_MANY_VERBS = {"--device", "--threads", "--quiet", "--json"}  # learnt once, so they are not counted


def test_the_page_is_current():
    assert PAGE.read_text("utf-8") == reference(), "run `make docs`"


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_every_verb_explains_itself(words):
    text = help_of(words)
    usage, sentence = text.split("\n\n")[:2]
    assert usage.startswith(f"Usage: polyreel {' '.join(words)}")
    assert sentence.strip().endswith(".")
    assert f"Example: polyreel {' '.join(words)} " in text


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_a_verb_has_few_flags_and_each_says_what_it_does(words):
    lines = [line for line in help_of(words).splitlines() if re.match(r"  -", line)]
    flags = [line for line in lines if "--help" not in line]
    assert sum(not ON_MANY_VERBS & set(re.findall(r"--[a-z-]+", line)) for line in flags) <= MAX_FLAGS
    assert [line for line in flags if not re.search(r"\S  +\S", line.strip())] == []


def test_verbs_of_a_group_are_named_with_it():
    assert ("import", "tables") in VERBS
    assert ("describe",) in VERBS


def typed_commands():
    """Yield every command line of the documentation, with the file it stands in."""
    for page in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]):
        for block in re.findall(r"```(?:sh|bash|console)\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words[:1] == ["polyreel"]:
                    yield pytest.param(words[1:], id=f"{page.name}: {line[:60]}")


@pytest.mark.parametrize("words", list(typed_commands()))
def test_commands_in_the_documentation_exist(words):
    verb = next((verb for verb in VERBS if tuple(words[: len(verb)]) == verb), None)
    assert verb is not None, f"no verb in {words}"
    known = re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", help_of(verb))
    assert [word for word in words if word.startswith("-") and word not in [*known, "--debug"]] == []
