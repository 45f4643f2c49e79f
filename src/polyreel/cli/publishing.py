"""Verbs that hand a model on: export, publish."""

from pathlib import Path
from typing import Annotated

from typer import Argument, BadParameter, Option

from polyreel.cli.options import Threads, model_folder, use_threads

Run = Annotated[Path, Argument(metavar="RUN", help="A run, or a model folder.", show_default=False)]


def export(
    run: Annotated[
        str,
        Argument(metavar="MODEL", help="A run, a model folder, or a dual encoder on the hub.", show_default=False),
    ],
    is_onnx: Annotated[bool, Option("--onnx", help="To ONNX: served without torch.")] = False,
    output: Annotated[
        Path | None, Option("--output", "-o", metavar="FOLDER", help="Where to; MODEL/onnx or onnx-int8 unless said.")
    ] = None,
    extractor: Annotated[
        str | None, Option("--extractor", metavar="clip:MODEL", help="The image tower of a text tower alone.")
    ] = None,
    is_int8: Annotated[bool, Option("--int8", help="Weights in 8 bits: smaller, and not quite the same.")] = False,
    threads: Threads = 1,
) -> None:
    """Export both towers of a model, compared with the model before they are left behind.

    The folder is taken wherever a model is: by evaluate, browse, index and search. A dual encoder as it was published
    (CLIP, SigLIP 2) becomes a pair that indexes and searches without torch.

    Example: polyreel export demo/runs/c2kd --onnx -o demo/served
    """
    if not is_onnx:
        raise BadParameter("say what to export to: --onnx", param_hint="--onnx")
    use_threads(threads)
    from polyreel.cli.first_run import fetched
    from polyreel.models.pretrained_files import is_published_model

    model = fetched(run, is_quiet=False)
    is_ours = not is_published_model(model)
    beside = Path(run) if Path(run).is_dir() else Path(Path(run).name)
    folder = output or beside / ("onnx-int8" if is_int8 else "onnx")
    if is_ours:
        from polyreel import Retriever
        from polyreel.models.onnx_export import export_onnx

        agreement = export_onnx(Retriever.load(model), folder, is_int8=is_int8).settings.agreement
    else:
        from polyreel.search.export import export_dual

        agreement = export_dual(model, folder, extractor=extractor, is_int8=is_int8).agreement
    megabytes = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    agreed = ", ".join(f"{tower} {cosine:.4f}" for tower, cosine in agreement.items())
    print(f"{folder}: {megabytes:.1f} MB; least cosine with the model: {agreed}")
    print(f"next: polyreel index VIDEOS --model {folder}")


def publish(
    run: Run,
    name: Annotated[str, Argument(metavar="USER/NAME", help="On the Hugging Face hub.", show_default=False)],
    report: Annotated[
        Path | None, Option("--report", metavar="REPORT", help="Of this model; its tables go on the card.")
    ] = None,
    is_private: Annotated[bool, Option("--private", help="A new repository is seen by you alone.")] = False,
    only_to: Annotated[
        Path | None, Option("--only-to", metavar="FOLDER", help="Write the folder to look at; upload nothing.")
    ] = None,
) -> None:
    """Upload a model with its card to the Hugging Face hub, as whom `hf auth login` says.

    Example: polyreel publish demo/runs/c2kd me/drawn-world --report demo/reports/c2kd --only-to upload
    """
    use_threads(1)
    from polyreel import Report, Retriever
    from polyreel.evaluation.card_results import card_results

    model = Retriever.load(model_folder(run))
    results = None if report is None else card_results(Report.open(report), model.fingerprint)
    if only_to is not None:
        model.save(only_to, results=results)
        print(f"{only_to}: what would become {name}")
        return
    print(model.push_to_hub(name, is_private=is_private, results=results))
