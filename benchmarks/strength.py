"""Whether strong and weak matches are told apart on the drawn world, and against which background.

    .venv/bin/python benchmarks/strength.py demo

Needs what `make demo` leaves: the drawn world and its C2KD student. Asked are the captions of its test clips, which say
what some clip shows, and queries that have nothing to do with any. Both are judged by the best hit, as the page does,
against everyday queries (what polyreel does) and against the student's own training captions (what it does not do, and
why). Writes `results/strength.json` and `results/strength.md`.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from polyreel import Dataset, Retriever
from polyreel.search.strength import FAIR_FROM, STRONG_FROM, background_queries
from polyreel.similarity import share_below, similarities

ROOT = Path(__file__).parents[1]
MOST_CAPTIONS = 2000
ABSURD = {
    "en": """the quarterly tax report|a giraffe drives a tram through Vienna|a lecture on quantum physics
        my grandmother knits a sweater|how to install a washing machine|spaghetti with tomato sauce
        the birth of a star|an opera singer in the second act|a lion eats an antelope|an operation in a hospital
        the signing of a peace treaty|somebody plays chess against a computer""",
    "de": """der Steuerbericht für das Quartal|eine Giraffe fährt Straßenbahn in Wien|eine Vorlesung über Quantenphysik
        meine Oma strickt einen Pullover|wie man eine Waschmaschine anschließt|Spaghetti mit Tomatensoße
        die Geburt eines Sterns|eine Opernsängerin im zweiten Akt|ein Löwe frisst eine Antilope
        eine Operation im Krankenhaus
        die Unterzeichnung eines Friedensvertrags|jemand spielt Schach gegen den Computer""",
    "es": """el informe fiscal trimestral|una jirafa conduce un tranvía por Viena|una clase de física cuántica
        mi abuela teje un jersey|cómo instalar una lavadora|espaguetis con tomate|el nacimiento de una estrella
        una cantante de ópera en el segundo acto|un león come un antílope|una operación en un hospital
        la firma de un tratado de paz|alguien juega al ajedrez contra un ordenador""",
    "fr": """la déclaration d’impôts trimestrielle|une girafe conduit un tramway à Vienne|un cours de physique quantique
        ma grand-mère tricote un pull|comment installer une machine à laver|des spaghettis à la tomate
        la naissance d’une étoile|une chanteuse d’opéra au deuxième acte|un lion mange une antilope
        une opération à l’hôpital|la signature d’un traité de paix|quelqu’un joue aux échecs contre un ordinateur""",
    "zh": """季度税务报告|长颈鹿在维也纳开电车|量子物理讲座|我奶奶在织毛衣|怎样安装洗衣机|番茄意大利面
        恒星的诞生|歌剧演员在第二幕|狮子吃羚羊|医院里的手术|签署和平条约|有人和电脑下棋""",
}
TITLE = """# Strong and weak matches on the drawn world

Best hits, judged against everyday queries (what polyreel does) or against the student's training captions. Asked: the
captions of the 50 test clips. Absurd: 12 queries a language that no clip answers. Shares in %; strong from {strong:g},
weak below {fair:g}. "right" are the captions whose own clip is the best hit.

"""


def best_scores(texts_QD: npt.NDArray[np.float32], clips_CD: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the score of each text's best clip."""
    return np.asarray(similarities(texts_QD, clips_CD).max(axis=1))


def judged(strengths: npt.NDArray[np.float64]) -> dict[str, float]:
    """Summarise strengths: shares of strong and weak ones, in %, and the median."""
    return {
        "num": len(strengths),
        "strong": round(100 * float((strengths >= STRONG_FROM).mean()), 1),
        "weak": round(100 * float((strengths < FAIR_FROM).mean()), 1),
        "median": round(float(np.median(strengths)), 3),
    }


def measure(model: Retriever, world: Dataset, lang: str) -> list[dict[str, object]]:
    """Judge one language's queries, in two galleries and against two backgrounds."""
    features, test, learnt = world.features("pixels"), world.split("test"), world.split("train")
    captions = test.in_langs([lang]).captions
    asked_QD = model.encode_text(captions["text"].to_pylist())
    absurd_QD = model.encode_text([one.strip() for one in ABSURD[lang].replace("\n", "|").split("|")])
    seen = sorted(set(learnt.in_langs([lang]).captions["text"].to_pylist()))[:MOST_CAPTIONS]
    backgrounds = {"everyday queries": background_queries()[lang], "training captions": seen}
    rows: list[dict[str, object]] = []
    for gallery, clip_ids in (("test clips", test.clip_ids), ("all clips", world.clip_ids)):
        clips_CD = model.encode_clips([features[clip_id] for clip_id in clip_ids])
        found = [clip_ids[place] for place in similarities(asked_QD, clips_CD).argmax(axis=1)]
        is_right = np.array([one == clip for one, clip in zip(found, captions["clip_id"].to_pylist(), strict=True)])
        for name, texts in backgrounds.items():
            against_B = best_scores(model.encode_text(texts), clips_CD)
            asked_Q = share_below(best_scores(asked_QD, clips_CD), against_B)
            absurd_Q = share_below(best_scores(absurd_QD, clips_CD), against_B)
            rows.append(
                {
                    "lang": lang, "gallery": gallery, "num_clips": len(clip_ids), "background": name,
                    "asked": judged(asked_Q), "right": judged(asked_Q[is_right]), "absurd": judged(absurd_Q),
                }
            )  # fmt: skip
    return rows


def table(rows: list[dict[str, object]]) -> str:
    """Lay the rows out in Markdown."""
    head = (
        "background",
        "gallery",
        "language",
        "asked: strong",
        "weak",
        "right: strong",
        "weak",
        "absurd: strong",
        "weak",
    )
    lines = ["| " + " | ".join(head) + " |", "| --- | --- | --- |" + " ---: |" * 6]
    for row in sorted(rows, key=lambda row: (str(row["background"]), -int(str(row["num_clips"])))):
        groups = [row[name] for name in ("asked", "right", "absurd")]
        figures = [f"{group[key]:.0f}" for group in groups if isinstance(group, dict) for key in ("strong", "weak")]
        gallery = f"{row['num_clips']} {row['gallery']}"
        lines.append("| " + " | ".join([str(row["background"]), gallery, str(row["lang"]), *figures]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure every language that both the world and the background have."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("demo", type=Path, help="folder with world/ and runs/")
    demo = parser.parse_args().demo
    (run,) = sorted((demo / "runs").glob("c2kd-*"))
    model, world = Retriever.load(run / "model"), Dataset.open(demo / "world")
    rows = []
    for lang in ABSURD:
        rows += measure(model, world, lang)
        print(lang, rows[-4]["asked"], rows[-4]["absurd"], flush=True)
    kept = {"model": model.fingerprint, "strong_from": STRONG_FROM, "fair_from": FAIR_FROM, "rows": rows}
    (ROOT / "results" / "strength.json").write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")
    shown = TITLE.format(strong=STRONG_FROM, fair=FAIR_FROM) + table(rows) + "\n"
    (ROOT / "results" / "strength.md").write_text(shown, "utf-8")
    print(table(rows))


if __name__ == "__main__":
    main()
