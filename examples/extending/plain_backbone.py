"""A backbone of one's own: plain strided convolutions below the feature pyramid.

bdd-inst train --import examples/extending/plain_backbone.py --config demo.yaml MODEL.BACKBONE.NAME plain_fpn
"""

from torch import nn

from bdd_inst.modeling.backbones import BACKBONES
from bdd_inst.modeling.backbones.fpn import FPN


class PlainNet(nn.Module):
    """Four features at strides 4 to 32. What a pyramid asks for: ``channels`` and ``strides`` by feature name."""

    def __init__(self, width: int):
        super().__init__()
        names = ("c2", "c3", "c4", "c5")
        self.channels = {name: width * 2**i for i, name in enumerate(names)}
        self.strides = {name: 4 * 2**i for i, name in enumerate(names)}
        widths = [width, *self.channels.values()]
        self.stem = self.block(3, width)
        self.blocks = nn.ModuleDict(
            {name: self.block(widths[i], widths[i + 1]) for i, name in enumerate(names)}
        )

    @staticmethod
    def block(inside: int, outside: int) -> nn.Sequential:
        """N,inside,H,W to N,outside,H/2,W/2."""
        convolution = nn.Conv2d(inside, outside, 3, stride=2, padding=1, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(outside), nn.ReLU())

    def forward(self, x):
        """N,3,H,W to N,C,H/stride,W/stride by name."""
        x, features = self.stem(x), {}
        for name, block in self.blocks.items():
            x = features[name] = block(x)
        return features


def build_plain_fpn(cfg) -> FPN:
    """The pyramid's maps keep their names, p2 to p6, so the heads' config keys stay as they are."""
    options = cfg.MODEL.FPN
    bottom_up = PlainNet(cfg.MODEL.RESNETS.STEM_OUT_CHANNELS)
    features = tuple(bottom_up.channels)
    return FPN(bottom_up, features, options.OUT_CHANNELS, options.NORM, options.FUSE_TYPE)


# The one line: the name that MODEL.BACKBONE.NAME may then have.
BACKBONES["plain_fpn"] = build_plain_fpn
