"""What a TOML file can do wrong, and what is said about it."""

from typing import Literal, Self

import pytest
from pydantic import Field, ValidationError, model_validator

from polyreel.errors import DataError, RecipeError
from polyreel.settings import Settings, parse, read_toml


class Schedule(Settings):
    steps: int = Field(default=10, ge=1)
    rate: Literal["constant", "one-cycle"] = "constant"


class Plan(Settings):
    name: str
    schedule: Schedule = Schedule()
    parts: tuple[Schedule, ...] = ()
    by_lang: dict[str, Schedule] = Field(default={})
    last: Schedule | None = None

    @model_validator(mode="after")
    def _check_name(self) -> Self:
        if self.name == "nobody":
            raise ValueError("nobody is no name")
        return self


def test_tables_become_settings():
    plan = parse(
        Plan, {"name": "a", "schedule": {"steps": 3}, "parts": [{}], "by_lang": {"de": {"steps": 4}}}, "a.toml"
    )
    assert plan == Plan(
        name="a", schedule=Schedule(steps=3), parts=(Schedule(),), by_lang={"de": Schedule(steps=4)}, last=None
    )


def test_settings_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        Schedule().steps = 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "a", "nam": 1}, "a.toml: unknown key 'nam'; did you mean 'name'?"),
        ({"name": "a", "zzz": 1}, "a.toml: unknown key 'zzz'; known are name, schedule, parts, by_lang, last"),
        (
            {"name": "a", "schedule": {"stepps": 1}},
            "a.toml: unknown key 'schedule.stepps'; did you mean 'steps'?",
        ),
        ({"name": "a", "parts": [{"raet": 1}]}, "a.toml: unknown key 'parts.0.raet'; did you mean 'rate'?"),
        ({"name": "a", "by_lang": {"de": {"zz": 1}}}, "a.toml: unknown key 'by_lang.de.zz'; known are steps, rate"),
        ({"name": "a", "last": {"step": 1}}, "a.toml: unknown key 'last.step'; did you mean 'steps'?"),
        ({}, "a.toml: the key 'name' is missing"),
        ({"name": "nobody"}, "a.toml: nobody is no name"),
        ({"name": 3}, "a.toml: 'name' is 3: input should be a valid string"),
        (
            {"name": "a", "schedule": {"steps": 0}},
            "a.toml: 'schedule.steps' is 0: input should be greater than or equal to 1",
        ),
        (
            {"name": "a", "schedule": {"rate": "cosine"}},
            "a.toml: 'schedule.rate' is 'cosine': input should be 'constant' or 'one-cycle'",
        ),
        (
            {"schedule": {"steps": "many"}, "nam": "a"},
            "a.toml: the key 'name' is missing; 'schedule.steps' is 'many': input should be a valid integer, unable to "
            "parse string as an integer; unknown key 'nam'; did you mean 'name'?",
        ),
    ],
)
def test_every_fault_is_named(values, message):
    with pytest.raises(RecipeError) as caught:
        parse(Plan, values, "a.toml")
    assert str(caught.value) == message


class Checked(Settings):
    inner: Plan


def test_what_a_part_refuses_is_said_with_its_place():
    with pytest.raises(RecipeError, match=r"^a\.toml: inner: nobody is no name$"):
        parse(Checked, {"inner": {"name": "nobody"}}, "a.toml")


def test_the_caller_chooses_the_error(tmp_path):
    with pytest.raises(DataError, match="the key 'name' is missing"):
        parse(Plan, {}, "a.toml", DataError)
    with pytest.raises(DataError, match=r"a\.toml does not exist"):
        read_toml(tmp_path / "a.toml", DataError)


def test_a_file_is_read(tmp_path):
    (tmp_path / "a.toml").write_text('name = "ä"\n[schedule]\nsteps = 3', encoding="utf-8")
    assert read_toml(tmp_path / "a.toml") == {"name": "ä", "schedule": {"steps": 3}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"a\.toml does not exist$"),
        (b'name = "\xe4"', r"a\.toml is not UTF-8 \(byte 8\); save it as UTF-8"),
        (
            b'name = "a"\nsteps = ',
            r"a\.toml is not valid TOML: Invalid value \(at (line 2, column 9|end of document)\)",
        ),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path, content, message):
    if content is not None:
        (tmp_path / "a.toml").write_bytes(content)
    with pytest.raises(RecipeError, match=message):
        read_toml(tmp_path / "a.toml")
