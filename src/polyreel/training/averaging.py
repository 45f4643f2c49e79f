"""The mean of the weights at the ends of the last epochs, beside the epoch that validated best.

Weights at the end of training go to and fro around something better than most of them (Izmailov et al. 2018, stochastic
weight averaging, arXiv 1803.05407). The mean is kept as training goes on, in one copy of the weights, and is part of
the state a run goes on from.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

_PREFIX = "average/"


class WeightAverage:
    """Mean of weights, one epoch after the other.

    Attributes:
        count: epochs in it.
        weights: their mean, by name; of what are no fractions, such as numbers of rows, the newest.
    """

    def __init__(self) -> None:
        self.count = 0
        self.weights: dict[str, Tensor] = {}

    def add(self, weights: Mapping[str, Tensor]) -> None:
        """Count one more epoch in, whose tensors nobody else changes."""
        self.count += 1
        for name, tensor in weights.items():
            if self.count == 1 or not tensor.is_floating_point():
                self.weights[name] = tensor
            else:
                self.weights[name] = torch.lerp(self.weights[name], tensor, 1 / self.count)

    def state(self) -> dict[str, Tensor]:
        """Return what a run needs to go on, by name."""
        return {f"{_PREFIX}{name}": tensor for name, tensor in self.weights.items()}

    def restore(self, state: Mapping[str, Tensor], count: int) -> None:
        """Go back to a state in which so many epochs were counted."""
        self.count = count
        self.weights = {name.removeprefix(_PREFIX): one for name, one in state.items() if name.startswith(_PREFIX)}
