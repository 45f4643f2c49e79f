"""The card of a shared dataset: what the hub shows first, in the form it reads."""

import json
from collections.abc import Sequence

import pyarrow as pa

from polyreel.data.dataset import Dataset
from polyreel.data.description import describe
from polyreel.languages import LANGUAGES
from polyreel.storage import Json


def dataset_card(dataset: Dataset, translations: pa.Table, split_files: Sequence[str], license_name: str) -> str:
    """Return the card as Markdown with a header.

    Args:
        dataset: what is shared.
        translations: every text a model gave; may be empty.
        split_files: names of the files of each split, without suffix.
        license_name: of the captions.
    """
    return "\n".join(
        ["---", *_header(dataset, translations, split_files, license_name), "---", "", *_text(dataset, translations)]
    )


def _header(dataset: Dataset, translations: pa.Table, split_files: Sequence[str], license_name: str) -> list[str]:
    """Return the header, which is YAML; every value is written as JSON, which YAML reads."""
    of_split: list[Json] = [{"split": file, "path": f"{{}}/{file}.parquet"} for file in split_files]
    configs: list[Json] = [
        {
            "config_name": name,
            "default": name == "captions",
            "data_files": json.loads(json.dumps(of_split).replace("{}", name)),
        }
        for name in ("captions", "clips")
    ]
    if translations.num_rows:
        everything = {"split": "every", "path": "translations/every.parquet"}
        configs.append({"config_name": "translations", "data_files": [everything]})
    origins = set(dataset.captions["origin"].unique().to_pylist())
    creators = {"human": "found", "machine-translated": "machine-generated", "generated": "machine-generated"}
    values: dict[str, Json] = {
        "pretty_name": dataset.name,
        "license": license_name,
        "language": list(dataset.langs),
        "multilinguality": "multilingual" if len(dataset.langs) > 1 else "monolingual",
        "language_creators": sorted({creators[origin] for origin in origins}),
        "task_categories": ["text-to-video", "sentence-similarity"],
        "tags": ["video-retrieval", "polyreel"],
        "configs": configs,
    }
    return [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]


def _text(dataset: Dataset, translations: pa.Table) -> list[str]:
    counted = describe(dataset)
    names = ", ".join(LANGUAGES[lang].english_name for lang in dataset.langs)
    lines = [
        f"# {dataset.name}", "",
        f"{counted.clips:,} clips with {counted.captions:,} captions in {len(dataset.langs)} languages ({names}); "
        f"{counted.parallel_sentences:,} sentences exist in all of them and share a `caption_id`. Videos and features "
        "are not part of it.", "",
        "| language | origin | captions | clips | captions a clip (min / median / max) |",
        "| --- | --- | ---: | ---: | --- |",
    ]  # fmt: skip
    lines += [
        f"| {LANGUAGES[row.lang].english_name} (`{row.lang}`) | {row.origin} | {row.captions:,} | {row.clips:,} | "
        f"{row.fewest_per_clip} / {row.median_per_clip:g} / {row.most_per_clip} |"
        for row in counted.languages
    ]
    lines += ["", "| split | clips | captions |", "| --- | ---: | ---: |"]
    lines += [f"| {row.split} | {row.clips:,} | {row.captions:,} |" for row in counted.splits]
    if translations.num_rows:
        lines += ["", "## Machine translation", "", *_provenance(translations)]
    lines += ["", *[f"Note: {warning}" for warning in counted.recorded_warnings]]
    lines += ["Made with polyreel: `polyreel import hub` makes a dataset folder of it.", ""]
    return lines


def _provenance(translations: pa.Table) -> list[str]:
    """Say which model translated how much, into which languages."""
    keys = ["model", "revision", "settings", "source_lang", "lang"]
    counts = translations.group_by(keys, use_threads=False).aggregate([("caption_id", "count")]).to_pylist()
    rows = [
        f"| {row['model']} | {row['revision'] or '–'} | `{row['settings']}` | {row['source_lang']} → {row['lang']} | "
        f"{row['caption_id_count']:,} |"
        for row in counts
    ]
    return ["| model | revision | settings | languages | texts |", "| --- | --- | --- | --- | ---: |", *rows]
