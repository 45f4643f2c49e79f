"""The layout file: what it may say, and what is said when it says something else."""

import re
import tomllib
from pathlib import Path

import pytest

from polyreel.data.importers.layout import (
    SHIPPED,
    CaptionColumns,
    CaptionsLayout,
    ClipColumns,
    ClipsLayout,
    FeatureLayout,
    Layout,
    load_layout,
)
from polyreel.errors import DataError

DOCS = Path(__file__).parents[3] / "docs"


def test_one_table_or_several(write):
    one = load_layout(write({"import.toml": '[clips]\nfile = "a.csv"\n[captions]\nfile = "b.csv"'}))
    many = load_layout(
        write({"import.toml": '[[clips]]\nfile = "a.csv"\n[[clips]]\nfile = "c.csv"\n[[captions]]\nfile = "b.csv"'})
    )
    assert [clips.file for clips in one.clips] == ["a.csv"]
    assert [clips.file for clips in many.clips] == ["a.csv", "c.csv"]
    assert one.captions == many.captions


def test_a_layout_may_lie_elsewhere_or_ship_with_polyreel(write, tmp_path):
    (tmp_path / "mine.toml").write_text('[captions]\nfile = "b.csv"')
    source = write({"b.csv": ""})
    assert load_layout(source, tmp_path / "mine.toml").captions[0].file == "b.csv"
    assert load_layout(source, "msrvtt1k").name == "msrvtt1k"
    assert load_layout(source, Path("msrvtt1k")).features["vgg16"].ids == "feature_ids.txt"


def test_a_missing_layout_names_those_that_ship(write):
    with pytest.raises(DataError, match=r"import\.toml does not exist; .*shipped layouts are .*msrvtt1k"):
        load_layout(write({"b.csv": ""}))
    with pytest.raises(DataError, match=r"msvrtt does not exist"):
        load_layout(write({}), "msvrtt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = x", r"import\.toml is not valid TOML: .*line 1"),
        (b"name = '\xff'", r"import\.toml is not UTF-8"),
        ("nmae = 'x'", "import.toml: .*unknown key 'nmae'; did you mean 'name'?"),
        ("[clips]\nfile = 'a'\ncolums = {}", r"unknown key 'clips\.0\.colums'; did you mean 'columns'?"),
        ("[clips]\nfile = 'a'\n[clips.columns]\nclipid = 'x'", "unknown key .*clipid'; did you mean 'clip_id'?"),
        ("[captions]\nfile = 'a'\n[captions.columns]\nsentance = 'x'", "'; did you mean 'sentence'?"),
        ("[captions]\nfile = 'a'\n[features.vgg]\nfile = 'f'\nid = 'x'", r"'features\.vgg\.id'; did you mean 'ids'?"),
        ("[captions]\nlangs = {en = 'en'}", r"the key 'captions\.0\.file' is missing"),
        (
            "[captions]\nfile = 'a'\nlangs = {cz = 'x'}",
            r"captions\.0\.langs: the table has language 'cz'; .*did you mean 'cs'\?",
        ),
        ("[captions]\nfile = 'a'\norigins = {eng = 'human'}", "has language 'eng'; .*did you mean 'en'?"),
        ("[captions]\nfile = 'a'\norigins = {en = 'robot'}", "'robot': input should be 'human', 'machine-translated'"),
        ("[clips]\nfile = 'a'\nkeep = ['source']", "'source' is a clip's own field; name its column under `columns`"),
        (
            "[clips]\nfile = 'a'\nsplit = 'x'\n[clips.columns]\nsplit = 'y'",
            "`split` and `columns.split` are both given",
        ),
        ("name = 'x'", r"import\.toml: clips need a `file`, or captions that name them"),
        ("[[clips]]\nfile = 'a'\n[[clips]]\n[captions]\nfile = 'b'", "clips need a `file`"),
    ],
)
def test_faults_of_a_layout(write, text, message):
    with pytest.raises(DataError, match=message):
        load_layout(write({"import.toml": text}))


@pytest.mark.parametrize("file", sorted(SHIPPED.glob("*/import.toml")), ids=lambda file: file.parent.name)
def test_shipped_layouts_can_be_read(file):
    assert load_layout(Path(), file.parent.name).name == file.parent.name


def examples():
    return re.findall(r"```toml\n(.*?)```", (DOCS / "bring-your-own-data.md").read_text("utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("text", examples(), ids=lambda text: text.splitlines()[0])
def test_every_example_of_the_docs_is_a_layout(write, text):
    load_layout(write({"import.toml": text}))


def test_the_docs_show_the_shipped_layout_to_the_letter():
    assert (SHIPPED / "msrvtt1k" / "import.toml").read_text("utf-8") in examples()


def test_the_docs_explain_every_key():
    text = (DOCS / "bring-your-own-data.md").read_text("utf-8")
    explained = set(re.findall(r"^\| `([\w.]+)` \|", text, flags=re.MULTILINE))
    kinds = {
        "clips.": ClipsLayout, "clips.columns.": ClipColumns, "captions.": CaptionsLayout,
        "captions.columns.": CaptionColumns, "features.NAME.": FeatureLayout,
    }  # fmt: skip
    keys = {prefix + key for prefix, kind in kinds.items() for key in kind.model_fields if key != "columns"}
    assert explained == keys | {key for key in Layout.model_fields if key not in ("clips", "captions", "features")}
    assert all(tomllib.loads(example) for example in examples())
