"""MODEL.ENGINE detectron2: the real Detectron2 behind this project's contract, with the same config and the same parameter names."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Sequence

import torch
from fvcore.common.config import CfgNode
from torch import Tensor, nn

from bdd_inst.base.errors import ConfigError
from bdd_inst.config.loading import get_key, known_keys
from bdd_inst.engines.device import pick_device

INSTALL_GUIDE = "https://detectron2.readthedocs.io/en/latest/tutorials/install.html"
_AUTOCAST = {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class Detectron2Model(nn.Module):
    """Contract 3 on top of a model that Detectron2 built.

    Its children are the Detectron2 model's own, so every parameter keeps Detectron2's name; checkpoints, freezing and
    optimizers see no difference between the engines. One remains: BN layers that MODEL.BACKBONE.FREEZE_AT freezes are built as
    FrozenBN by Detectron2, so a later stage can train their convolutions but not them.

    Attributes:
        mask_formats: what :meth:`forward` takes as ``mask_format``, as the builtin engine's.
    """

    mask_formats = ("bitmask", "rle")

    def __init__(self, model: nn.Module, precision: torch.dtype | None = None):
        super().__init__()
        # Past nn.Module's registration: as a child it would put "model." before every name.
        self.__dict__["_engine"] = model
        for name, child in model.named_children():
            self.add_module(name, child)
        self.precision = precision

    @property
    def device(self) -> torch.device:
        return self._engine.device

    def train(self, mode: bool = True) -> Detectron2Model:
        self._engine.train(mode)
        return super().train(mode)

    def _apply(self, fn, recurse: bool = True) -> Detectron2Model:
        """Moves and casts reach the engine's own buffers (pixel mean and deviation) too."""
        self._engine._apply(fn)
        return super()._apply(fn, recurse)

    def forward(
        self, batch: Sequence[dict], mask_format: str = "bitmask"
    ) -> dict[str, Tensor] | list[dict]:
        """A dict of losses in training, ``[{"instances": Instances}]`` (or ``sem_seg``) in evaluation.

        Args:
            mask_format: ``bitmask`` for masks N,H,W bool, ``rle`` for RLEMasks.
        """
        from bdd_inst.engines.detectron2_structures import to_detectron2

        if not self.training:
            known = ("image", "height", "width")
            # Only what Detectron2's evaluation reads: other entries are of this project's types.
            with torch.no_grad(), self._autocast():
                outputs = self._engine(
                    [{key: entry[key] for key in known if key in entry} for entry in batch]
                )
            return [_converted(output, mask_format) for output in outputs]
        from detectron2.utils.events import EventStorage

        from bdd_inst.modeling.meta.mask_rcnn import require_instances

        if hasattr(self, "roi_heads"):
            require_instances(batch)
        converted = [
            {**entry, "instances": to_detectron2(entry["instances"], self.device)}
            if "instances" in entry
            else entry
            for entry in batch
        ]
        # Detectron2's heads write statistics into a storage that must be there; nobody here reads it.
        with EventStorage(), _seeded(batch, self.device):
            return self._engine(converted)

    def _autocast(self) -> contextlib.AbstractContextManager:
        if self.precision is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.precision)


def _converted(output: dict, mask_format: str) -> dict:
    """Instances as ours; other kinds of output (``sem_seg``) are tensors in both."""
    if "instances" not in output:
        return output
    from bdd_inst.engines.detectron2_structures import from_detectron2

    return {**output, "instances": from_detectron2(output["instances"], mask_format)}


def build_detectron2_model(cfg: CfgNode) -> Detectron2Model:
    """The model that Detectron2 builds from ``cfg``, on MODEL.DEVICE, in training mode, with random weights.

    Raises:
        ConfigError: Detectron2 is not importable, or it cannot build this config.
    """
    modeling = _import("detectron2.modeling")
    # From its own defaults upwards: a version with other keys keeps its own values for them.
    translated = to_detectron2_cfg(cfg)
    translated.MODEL.DEVICE = str(pick_device(cfg.MODEL.DEVICE))
    try:
        model = modeling.build_model(translated)
    except (KeyError, AssertionError, ValueError, NotImplementedError) as error:
        raise ConfigError(
            f"Detectron2 cannot build this config: {' '.join(str(error).split())[:200]}"
        ) from error
    return Detectron2Model(model, _AUTOCAST[cfg.MODEL.PRECISION])


def to_detectron2_cfg(cfg: CfgNode) -> CfgNode:
    """Detectron2's own config with every key that both know set to ours; our own keys are left out.

    Args:
        cfg: ours.

    Returns:
        Detectron2's, tuples where it has tuples.

    Raises:
        ConfigError: Detectron2 is not importable.
    """
    out = _import("detectron2.config").get_cfg()
    for key in sorted(known_keys(cfg)):
        *sections, leaf = key.split(".")
        node = out
        for section in sections:
            node = node.get(section) if isinstance(node, dict) else None
        if isinstance(node, dict) and leaf in node:
            node[leaf] = _as_type_of(node[leaf], get_key(cfg, key))
    return out


def _as_type_of(theirs: object, ours: object) -> object:
    """Lists become tuples where Detectron2 has tuples."""
    if isinstance(theirs, tuple) and isinstance(ours, (list, tuple)):
        return tuple(ours)
    return list(ours) if isinstance(theirs, list) and isinstance(ours, tuple) else ours


@contextlib.contextmanager
def _seeded(batch: Sequence[dict], device: torch.device) -> Iterator[None]:
    """Detectron2 samples with torch's global generator: where images carry a ``sample_seed``, it starts from those and is put back."""
    seeds = [int(entry["sample_seed"]) for entry in batch if "sample_seed" in entry]
    if not seeds:
        yield
        return
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        # A hash of whole numbers is the same in every process, where one of text is not.
        torch.manual_seed(hash(tuple(seeds)) % (1 << 63))
        yield


def _import(name: str):
    try:
        importlib.import_module("detectron2")
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == "detectron2":
            raise ConfigError(
                f"MODEL.ENGINE detectron2: Detectron2 is not installed here; see {INSTALL_GUIDE}, or use MODEL.ENGINE builtin"
            ) from None
        raise ConfigError(
            f"MODEL.ENGINE detectron2: Detectron2 needs {error.name}, which is not installed; see {INSTALL_GUIDE}"
        ) from None
    except ImportError as error:
        reason = " ".join(str(error).split())[:160]
        raise ConfigError(
            f"MODEL.ENGINE detectron2: Detectron2 does not load ({reason}); see {INSTALL_GUIDE}"
        ) from None
