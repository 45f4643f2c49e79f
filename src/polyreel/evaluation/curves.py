"""Training curves: the loss and the validation recall of runs, read from their `metrics.jsonl`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from polyreel.errors import DataError
from polyreel.evaluation.markup import tag, words
from polyreel.evaluation.plots import color_class, nice_ticks

_MOST_POINTS = 120


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One quantity of one run.

    Attributes:
        name: of the system.
        position: which colour it has.
        points: (step, value), by step.
    """

    name: str
    position: int
    points: tuple[tuple[float, float], ...]


def read_curves(runs: Mapping[str, Path | Sequence[Path]], names: Sequence[str]) -> tuple[list[Curve], list[Curve]]:
    """Read the loss and the validation curves of runs.

    Args:
        runs: run folders or `metrics.jsonl` files by system; one path, or one a seed.
        names: the systems in the order of their colours; others come after them.

    Raises:
        DataError: a file is missing or a line of it is not JSON.
    """
    order = list(dict.fromkeys([*names, *runs]))
    losses, validations = [], []
    for name, paths in runs.items():
        for path in [paths] if isinstance(paths, Path) else paths:
            loss, validation = _read(path)
            losses.append(Curve(name=name, position=order.index(name), points=_thinned(loss)))
            validations.append(Curve(name=name, position=order.index(name), points=tuple(validation)))
    return losses, [curve for curve in validations if curve.points]


def line_plot(curves: Sequence[Curve], title: str, note: str, *, mark_best: bool = False) -> str:
    """Draw curves over steps.

    Args:
        curves: one line each.
        title: of the plot.
        note: one line below the title.
        mark_best: put a mark on every curve's highest point.
    """
    steps, values = np.array([point for curve in curves for point in curve.points]).T
    across, upward = nice_ticks(0, steps.max(), most=5), nice_ticks(min(values.min(), 0), values.max(), most=5)
    lines = [_line(curve, across, upward) for curve in curves]
    marks = [_best(curve, across, upward) for curve in curves] if mark_best else []
    grid = [tag("line", x1="0%", x2="100%", y1=_y(tick, upward), y2=_y(tick, upward), class_="grid") for tick in upward]
    size = {"width": "100%", "height": "100%"}
    stretched = tag("svg", *lines, viewBox="0 0 100 100", preserveAspectRatio="none", **size)
    drawing = tag("svg", *grid, stretched, *marks, role="img", aria_label=_spoken(title, curves), **size)
    frame = [_ticks(upward, "up"), tag("div", drawing, class_="canvas"), _ticks(across, "across")]
    head = [tag("h3", words(title)), tag("p", words(note), class_="soft")]
    return tag("div", *head, tag("div", *frame, class_="frame"), class_="plot curve")


def _read(path: Path) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    file = path / "metrics.jsonl" if path.is_dir() else path
    if not file.is_file():
        raise DataError(f"{file} does not exist; a run writes its metrics.jsonl while it trains")
    loss, validation = [], []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
        except ValueError:
            raise DataError(f"{file} line {number} is not JSON; it may have been cut short") from None
        if "loss" in row:
            loss.append((float(row["step"]), float(row["loss"])))
        if "val" in row:
            validation.append((float(row["step"]), float(row["val"]["mean_recall_at_10"])))
    return loss, validation


def _thinned(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Average neighbours, so that a line of thousands of noisy steps can be read."""
    parts = np.array_split(np.array(points).reshape(-1, 2), max(1, min(len(points), _MOST_POINTS)))
    return tuple((float(part[:, 0].mean()), float(part[:, 1].mean())) for part in parts if len(part))


def _line(curve: Curve, across: Sequence[float], upward: Sequence[float]) -> str:
    places = " ".join(f"{_share(x, across):.2f},{100 - _share(y, upward):.2f}" for x, y in curve.points)
    return tag("polyline", tag("title", words(curve.name)), points=places, class_=f"line {color_class(curve.position)}")


def _best(curve: Curve, across: Sequence[float], upward: Sequence[float]) -> str:
    step, value = max(curve.points, key=lambda point: point[1])
    title = tag("title", words(f"{curve.name}: {value:.1f} at step {step:.0f}"))
    place = {"cx": f"{_share(step, across):.2f}%", "cy": _y(value, upward)}
    return tag("circle", title, **place, r=4, class_=f"best {color_class(curve.position)}")


def _spoken(title: str, curves: Sequence[Curve]) -> str:
    ends = "; ".join(f"{curve.name} from {curve.points[0][1]:.2f} to {curve.points[-1][1]:.2f}" for curve in curves)
    return f"{title}: {ends}"


def _share(number: float, ticks: Sequence[float]) -> float:
    return 100 * (number - ticks[0]) / (ticks[-1] - ticks[0])


def _y(number: float, ticks: Sequence[float]) -> str:
    return f"{100 - _share(number, ticks):.2f}%"


def _ticks(ticks: Sequence[float], way: Literal["up", "across"]) -> str:
    side = "bottom" if way == "up" else "left"
    marks = [tag("span", f"{tick:g}", style=f"{side}:{_share(tick, ticks):.2f}%") for tick in ticks]
    return tag("div", *marks, class_=f"ticks {way}", aria_hidden="true")
