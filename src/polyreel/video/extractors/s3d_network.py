"""The S3D network of MIL-NCE (Miech et al. 2020, arXiv:1912.06430), after S3D-G (Xie et al. 2018, arXiv:1712.04851).

Written anew from the published description: layer shapes and weight names are those of `s3d_howto100m.pth`, so its
weights fit. A *unit* is a convolution without bias, batch normalisation and ReLU; a *separable* one is a unit over
space (1 x 3 x 3) and one over time (3 x 1 x 1). *Gating* multiplies each channel by `sigmoid(W mean + b)`, the mean
over time and space. Pooling pads as TensorFlow's SAME does.

    layer       shape                                             weights
    (input)     [B, 3, T, H, W] in 0..1, all even
    fold        [B, 24, T/2, H/2, W/2], channel 12 dt + 6 dh + 3 dw + colour
    conv1       unit 24 -> 64, 2 x 4 x 4, padding 1 x 2 x 2,      conv1.{conv1,bn1}
                whose first moment, row and column are cut off
    pool        1 x 3 x 3, stride 1 x 2 x 2
    conv_2b     unit 64 -> 64, 1 x 1 x 1                          conv_2b.{conv1,bn1}
    conv_2c     separable 64 -> 192                               conv_2c.{conv1,bn1,conv2,bn2}
    gating      192                                               gating.fc
    pool        1 x 3 x 3, stride 1 x 2 x 2
    mixed_3b,c  inception, widths in `_MIXED`                     mixed_3b.{conv_b0, conv_b1_a, conv_b1_b, conv_b2_a,
    pool        3 x 3 x 3, stride 2                                   conv_b2_b, conv_b3_b}.{conv1,bn1[,conv2,bn2]},
    mixed_4b-f  inception                                             mixed_3b.gating_b{0,1,2,3}.fc
    pool        2 x 2 x 2, stride 2
    mixed_5b,c  inception
    (output)    [B, 1024], the mean of mixed_5c over time and space

An inception layer lays four branches side by side, each gated: a unit; a unit and a separable one; the same again; a
pool of 3 x 3 x 3 and a unit. The published file also holds `fc` (1024 -> 512, into the space of texts) and
`text_module`, which are not read.

Shapes: B clips, C channels, T moments, H height, W width.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DIM = 1024
UNREAD_WEIGHTS = ("fc.", "text_module.")

_MIXED = {
    "3b": (192, 64, 96, 128, 16, 32, 32),
    "3c": (256, 128, 128, 192, 32, 96, 64),
    "4b": (480, 192, 96, 208, 16, 48, 64),
    "4c": (512, 160, 112, 224, 24, 64, 64),
    "4d": (512, 128, 128, 256, 24, 64, 64),
    "4e": (512, 112, 144, 288, 32, 64, 64),
    "4f": (528, 256, 160, 320, 32, 128, 128),
    "5b": (832, 256, 160, 320, 32, 128, 128),
    "5c": (832, 384, 192, 384, 48, 128, 128),
}
"""Channels of each inception layer: in; of branch 0; of branch 1's two parts; of branch 2's two parts; of branch 3."""
_POOL_BEFORE = {"3b": ((1, 3, 3), (1, 2, 2)), "4b": ((3, 3, 3), (2, 2, 2)), "5b": ((2, 2, 2), (2, 2, 2))}
"""Kernel and stride of the pooling before a layer."""


class S3dNetwork(nn.Module):
    """Video in, one vector out."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = Unit(24, 64, (2, 4, 4), padding=(1, 2, 2))
        self.conv_2b = Unit(64, 64)
        self.conv_2c = Separable(64, 192)
        self.gating = Gating(192)
        for name, widths in _MIXED.items():
            self.add_module(f"mixed_{name}", Inception(*widths))

    def forward(self, video_B3THW: Tensor) -> Tensor:
        """Return vectors `[B, 1024]` of clips in 0..1; T, H and W are even.

        T is at least 4 for all poolings to have something to pool; it was trained with 32 frames of 200 x 200.
        """
        net = self.conv1(fold(video_B3THW))[:, :, 1:, 1:, 1:]
        net = self.conv_2b(pool(net, (1, 3, 3), (1, 2, 2)))
        net = self.gating(self.conv_2c(net))
        for name in _MIXED:
            if name in _POOL_BEFORE:
                net = pool(net, *_POOL_BEFORE[name])
            net = self.get_submodule(f"mixed_{name}")(net)
        pooled_BD: Tensor = net.mean(dim=(2, 3, 4))
        return pooled_BD


class Unit(nn.Module):
    """A convolution, batch normalisation and ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int, int] = (1, 1, 1),
        padding: tuple[int, int, int] = (0, 0, 0),
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(in_channels, out_channels, kernel, padding=padding, bias=False)
        self.bn1 = nn.BatchNorm3d(out_channels)

    def forward(self, net: Tensor) -> Tensor:
        """Map `[B, C, T, H, W]` to as many other channels."""
        return F.relu(self.bn1(self.conv1(net)))


class Separable(Unit):
    """A unit over space, then one over time."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, (1, 3, 3), (0, 1, 1))
        self.conv2 = nn.Conv3d(out_channels, out_channels, (3, 1, 1), padding=(1, 0, 0), bias=False)
        self.bn2 = nn.BatchNorm3d(out_channels)

    def forward(self, net: Tensor) -> Tensor:
        """Map `[B, C, T, H, W]` to as many other channels."""
        return F.relu(self.bn2(self.conv2(super().forward(net))))


class Gating(nn.Module):
    """Each channel times a share that the means of all channels decide."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(num_channels, num_channels)

    def forward(self, net: Tensor) -> Tensor:
        """Scale `[B, C, T, H, W]` by channel."""
        shares_BC = torch.sigmoid(self.fc(net.mean(dim=(2, 3, 4))))
        return net * shares_BC[:, :, None, None, None]


class Inception(nn.Module):
    """Four gated branches side by side."""

    def __init__(
        self, width: int, branch0: int, reduce1: int, branch1: int, reduce2: int, branch2: int, branch3: int
    ) -> None:
        super().__init__()
        self.conv_b0 = Unit(width, branch0)
        self.conv_b1_a, self.conv_b1_b = Unit(width, reduce1), Separable(reduce1, branch1)
        self.conv_b2_a, self.conv_b2_b = Unit(width, reduce2), Separable(reduce2, branch2)
        self.conv_b3_b = Unit(width, branch3)
        self.gating_b0, self.gating_b1 = Gating(branch0), Gating(branch1)
        self.gating_b2, self.gating_b3 = Gating(branch2), Gating(branch3)

    def forward(self, net: Tensor) -> Tensor:
        """Map `[B, C, T, H, W]` to the branches' channels, in their order."""
        branches = (
            self.gating_b0(self.conv_b0(net)),
            self.gating_b1(self.conv_b1_b(self.conv_b1_a(net))),
            self.gating_b2(self.conv_b2_b(self.conv_b2_a(net))),
            self.gating_b3(self.conv_b3_b(F.max_pool3d(net, 3, stride=1, padding=1))),
        )
        return torch.cat(branches, dim=1)


def fold(video_BCTHW: Tensor) -> Tensor:
    """Fold cubes of 2 x 2 x 2 pixels into channels: `[B, 8 C, T/2, H/2, W/2]`."""
    B, C, T, H, W = video_BCTHW.shape
    cubes = video_BCTHW.reshape(B, C, T // 2, 2, H // 2, 2, W // 2, 2)
    return cubes.permute(0, 3, 5, 7, 1, 2, 4, 6).reshape(B, 8 * C, T // 2, H // 2, W // 2)


def pool(net: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    """Take maxima; what the kernel exceeds the stride by is padded with zeros, the greater half behind."""
    margins = [margin for size, step in zip(kernel, stride, strict=True) for margin in _halves(size - step)]
    padded = F.pad(net, [*margins[4:6], *margins[2:4], *margins[0:2]])  # F.pad counts axes from the last
    return F.max_pool3d(padded, kernel, stride, ceil_mode=True)


def _halves(excess: int) -> tuple[int, int]:
    return excess // 2, excess - excess // 2


def fit_weights(network: S3dNetwork, weights: Mapping[str, Tensor]) -> list[str]:
    """Fill a network's weights in, and say what does not fit; an empty list means that all did."""
    wanted = network.state_dict()
    read = {name: weight for name, weight in weights.items() if not name.startswith(UNREAD_WEIGHTS)}
    faults = [f"{name} is missing" for name in wanted if name not in read and not name.endswith("num_batches_tracked")]
    faults += [f"{name} is unknown" for name in read if name not in wanted]
    faults += [
        f"{name} has shape {list(weight.shape)} instead of {list(wanted[name].shape)}"
        for name, weight in read.items()
        if name in wanted and weight.shape != wanted[name].shape
    ]
    if not faults:
        network.load_state_dict({**wanted, **read})
    return faults
