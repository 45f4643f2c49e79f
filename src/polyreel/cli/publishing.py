"""Verbs that hand a model on: export, publish."""

from pathlib import Path
from typing import Annotated

from typer import Argument, BadParameter, Option

from polyreel.cli.options import Threads, model_folder, use_threads

Run = Annotated[Path, Argument(metavar="RUN", help="A run, or a model folder.", show_default=False)]


def export(
    run: Run,
    is_onnx: Annotated[bool, Option("--onnx", help="To ONNX: served without torch.")] = False,
    output: Annotated[
        Path | None, Option("--output", "-o", metavar="FOLDER", help="Where to; RUN/onnx or RUN/onnx-int8 unless said.")
    ] = None,
    is_int8: Annotated[bool, Option("--int8", help="Weights in 8 bits: smaller, and not quite the same.")] = False,
    threads: Threads = 1,
) -> None:
    """Export both towers of a model, compared with the model before they are left behind.

    The folder is taken wherever a model is: by evaluate, browse, index and search.

    Example: polyreel export demo/runs/c2kd --onnx -o demo/served
    """
    if not is_onnx:
        raise BadParameter("say what to export to: --onnx", param_hint="--onnx")
    use_threads(threads)
    from polyreel import Retriever
    from polyreel.models.onnx_export import export_onnx

    folder = output or run / ("onnx-int8" if is_int8 else "onnx")
    export_onnx(Retriever.load(model_folder(run)), folder, is_int8=is_int8)
    num_bytes = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{folder}: {num_bytes / 1e6:.1f} MB; next: polyreel index VIDEOS --model {folder}")


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
