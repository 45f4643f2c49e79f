"""Verbs that bring over what the reference implementation of C2KD left: import reference, import checkpoint."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from polyreel.cli.options import Quiet, Replace, split_of
from polyreel.cli.progress import shown
from polyreel.cli.published import Output, pairs, report

Human = Annotated[
    list[str] | None,
    Option("--human", metavar="LANG", help="Captions in LANG are people's, as English ones are; may be repeated."),
]


def import_reference(
    files: Annotated[
        list[str],
        Argument(
            metavar="FILE[:SPLIT]...", help="Pickles; SPLIT if no name says train, val, test.", show_default=False
        ),
    ],
    output: Output,
    extractor: Annotated[
        list[str] | None,
        Option("--extractor", metavar="KEY=NAME", help="What made the features under KEY; may be repeated."),
    ] = None,
    human: Human = None,
    replace: Replace = False,
    quiet: Quiet = False,
) -> None:
    """Import data files of the reference implementation: pickles, of which no code is run.

    MSR-VTT, VATEX, YouCook2 and RUDDER as its authors publish them (docs/reference-implementation.md).

    Example: polyreel import reference train.pkl test.pkl -o data/msrvtt --extractor 2d=clip-vit-b-32
    """
    from polyreel import import_reference as import_files

    named = [split_of(file) for file in files]
    with shown(quiet) as progress:
        dataset = import_files(
            [file for file, _ in named],
            output,
            splits=[split or None for _, split in named],
            extractors=dict(pairs(extractor, "KEY=NAME")),
            human_langs=human or (),
            replace=replace,
            progress=progress,
        )
    report(output, dataset)


def import_checkpoint(
    checkpoint: Annotated[
        Path, Argument(metavar="CHECKPOINT", help="latest_model.pth of the reference.", show_default=False)
    ],
    output: Annotated[Path, Option("--output", "-o", metavar="DIR", help="Model to write.", show_default=False)],
    backbone: Annotated[
        str,
        Option("--backbone", metavar="NAME", help="Its text encoder: a folder or a hub name.", show_default=False),
    ],
    extractor: Annotated[
        str, Option("--extractor", metavar="NAME", help="What made the features it reads.", show_default=False)
    ],
    lang: Annotated[
        list[str],
        Option("--lang", metavar="LANG", help="A language it was trained on; may be repeated.", show_default=False),
    ],
    pooling_mask: Annotated[
        str | None,
        Option(
            "--pooling-mask", metavar="NAME", help="For published teachers: LaBSE, under whose mask they are pooled."
        ),
    ] = None,
    replace: Annotated[bool, Option("--replace", help="Delete a model that is already there.")] = False,
) -> None:
    """Import a checkpoint of the reference implementation as a model, running none of its code.

    Every tensor in it is used, or named as one that nothing reads (docs/reference-implementation.md).

    Example: polyreel import checkpoint c2kd.pth -o c2kd --backbone LaBSE --extractor clip --lang en
    """
    from polyreel import import_checkpoint as import_model

    done = import_model(
        checkpoint,
        output,
        backbone=backbone,
        extractor=extractor,
        langs=lang,
        pooling_mask=pooling_mask,
        replace=replace,
    )
    for reason, names in done.dropped.items():
        print(f"left out {len(names)} tensor(s) of {reason}: {names[0]}" + (", ..." if len(names) > 1 else ""))
    print(f"{output}: embeddings of width {done.model.settings.embed_dim}, {', '.join(done.model.langs)}")
