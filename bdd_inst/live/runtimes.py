"""Ways to run one model on the CPU: PyTorch, ONNX Runtime, OpenVINO, each one thread, all 1,3,h,w float32 -> h,w float32."""

from __future__ import annotations

import contextlib
import copy
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from bdd_inst.base.errors import ConfigError
from bdd_inst.modeling.meta.semantic_segmentor import SemanticSegmentor
from bdd_inst.structures import ImageList

Runtime = Callable[[np.ndarray], np.ndarray]


class Plain(nn.Module):
    """A pixel-wise model as tensor in, tensor out: 1,3,h,w in 0..255 to h,w, the probability of the person."""

    def __init__(self, model: nn.Module, person: int | None = None):
        """``person``: index of the class; None takes the only one, or the second of two."""
        super().__init__()
        self.model, self.person = model, person

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """1,3,h,w float32 on 0..255 to h,w float32 in 0..1: logits of one class become a sigmoid, of several a softmax."""
        logits = self.logits(image)
        classes = int(logits.shape[0])
        if classes == 1:
            return logits[0].sigmoid()
        person = 1 if self.person is None and classes == 2 else self.person
        if person is None or not 0 <= person < classes:
            raise ConfigError(
                f"the model tells {classes} classes apart; live needs one of persons (NUM_CLASSES 1) or of background and person"
            )
        return logits.softmax(0)[person]

    def logits(self, image: torch.Tensor) -> torch.Tensor:
        """K,h,w. The project's own models are asked without their padding, which exporters cannot follow."""
        height, width = int(image.shape[2]), int(image.shape[3])
        model = self.model
        step = max(getattr(getattr(model, "backbone", None), "size_divisibility", 0), 1)
        if isinstance(model, SemanticSegmentor) and not (height % step or width % step):
            normal = (image - model.pixel_mean) / model.pixel_std
            return model.logits(ImageList(normal, [(height, width)]))[0]
        return model([{"image": image[0], "height": height, "width": width}])[0]["sem_seg"]


def torch_runtime(model: nn.Module, size: tuple[int, int]) -> Runtime:
    """PyTorch as it is, channels last on the CPU; on a GPU where the model lies there."""
    first = next(model.parameters(), None)
    device = torch.device("cpu") if first is None else first.device

    def run(image: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            tensor = torch.from_numpy(image).to(device, memory_format=torch.channels_last)
            return model(tensor).float().cpu().numpy()

    return run


def onnx_runtime(model: nn.Module, size: tuple[int, int]) -> Runtime:
    """ONNX Runtime; ImportError where it or the exporter is missing."""
    import onnxruntime

    stream = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode(), _no_graphs():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, (torch.zeros(1, 3, *size),), stream, input_names=["image"], dynamo=False
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        stream.getvalue(), options, providers=["CPUExecutionProvider"]
    )
    return lambda image: session.run(None, {"image": image})[0]


@contextlib.contextmanager
def _no_graphs() -> Iterator[None]:
    """The exporter's C++ writes the whole graph of what it cannot export to standard output, whatever its log level."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def openvino_runtime(model: nn.Module, size: tuple[int, int], precision: str = "f32") -> Runtime:
    """OpenVINO in float32 (by itself it would take bfloat16 where the processor has it); ImportError where it is missing."""
    with warnings.catch_warnings(), torch.inference_mode(), _without_telemetry():
        import openvino

        warnings.simplefilter("ignore")
        converted = openvino.convert_model(
            model, example_input=torch.zeros(1, 3, *size), input=[1, 3, *size]
        )
    settings = {
        "INFERENCE_NUM_THREADS": 1,
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = openvino.Core().compile_model(converted, "CPU", settings)
    request = compiled.create_infer_request()

    def run(image: np.ndarray) -> np.ndarray:
        request.infer([image])
        return request.get_output_tensor(0).data.astype(np.float32)

    return run


@contextlib.contextmanager
def _without_telemetry() -> Iterator[None]:
    """OpenVINO's converter reports each call to its makers, from threads that stay; without that package it does not."""
    name = "openvino_telemetry"
    known = name in sys.modules
    if not known:
        sys.modules[name] = None  # an import of it fails, which the converter allows for
    try:
        yield
    finally:
        if not known:
            del sys.modules[name]


def torch_bf16_runtime(model: nn.Module, size: tuple[int, int]) -> Runtime:
    """PyTorch in bfloat16; ImportError where this processor would only imitate it."""
    _needs_bfloat16()
    half = copy.deepcopy(model).to(torch.bfloat16)

    def run(image: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            tensor = torch.from_numpy(image).to(torch.bfloat16, memory_format=torch.channels_last)
            return half(tensor).float().numpy()

    return run


def openvino_bf16_runtime(model: nn.Module, size: tuple[int, int]) -> Runtime:
    """OpenVINO in bfloat16; ImportError where it is missing or this processor would only imitate it."""
    _needs_bfloat16()
    return openvino_runtime(model, size, "bf16")


def _needs_bfloat16() -> None:
    if not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        raise ImportError("no bfloat16 on this processor")


RUNTIMES: dict[str, Callable[[nn.Module, tuple[int, int]], Runtime]] = {
    "torch": torch_runtime,
    "onnxruntime": onnx_runtime,
    "openvino": openvino_runtime,
    "torch-bf16": torch_bf16_runtime,
    "openvino-bf16": openvino_bf16_runtime,
}
EXACT = ("torch", "onnxruntime", "openvino")  # those that a start may choose by itself
NAMES = tuple(RUNTIMES)
