"""Live background: milliseconds a frame by stage, frames a second end to end at 1280x720, and masks, beside MediaPipe."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from bdd_inst.base.errors import DataError
from bdd_inst.cli.benchmarks import _live_masks
from bdd_inst.cli.benchmarks._live_peers import AsOval, Oval, mediapipe_models
from bdd_inst.cli.benchmarks.common import machine, measure_all, print_table
from bdd_inst.images.video import VideoReader, VideoWriter
from bdd_inst.live import backgrounds, compositing, pipeline, sinks, smoothing, sources, weights
from bdd_inst.live.pyramid import Pyramid
from bdd_inst.live.segmenter import Segmenter

DESCRIPTION = (
    "a person in front of another background, 1280x720: each stage, and all of it end to end"
)
HEIGHT, WIDTH, RATE = 720, 1280, 30.0
ROUNDS = 3  # of whole runs, one chain after the other, so that a drifting machine treats all alike
PEERS = (
    "pip install --no-deps --target peers mediapipe==0.10.21 absl-py flatbuffers attrs, "
    "then PYTHONPATH=peers"
)


def run(options: argparse.Namespace) -> None:
    """Print the table of stages, that of whole runs and, with ``--people``, that of the masks."""
    import cv2
    import torch

    if options.people and not Path(options.people).is_dir():
        raise DataError(f"--people {options.people}: no such folder")
    torch.set_num_threads(options.threads or 1)
    cv2.setNumThreads(options.threads or 1)
    print(f"  {machine()}")
    model = weights.load_segmenter(options.weights)
    found = model.choose((HEIGHT, WIDTH))
    print(f"  model: {model.name} ({', '.join(f'{k} {v}' for k, v in found.items())})")
    peers = rounded(options.weights) | mediapipe_models()
    if not any(name.startswith("MediaPipe") for name in peers):
        print(
            "  no mediapipe with its selfie models (0.10.21 or before) is installed: its rows are missing; "
            + PEERS
        )
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder, "clip.mp4")
        write_clip(clip, 60 if options.quick else 300)
        stages(options, model, peers, clip)
        runs(options, model, peers, clip)
    if options.people:
        _live_masks.run(
            Path(options.people), {"bdd_inst": model, **peers}, 10 if options.quick else 40
        )


def rounded(weights_file: str | None) -> dict[str, Segmenter]:
    """The same model in bfloat16, which no start takes by itself; nothing where OpenVINO or the processor has none."""
    model, name = weights.load_segmenter(weights_file), "openvino-bf16"
    told = model.choose((HEIGHT, WIDTH), (name,))[name]
    if model.name != name:
        return {}
    print(f"  beside it in bfloat16: {told}")
    return {"bdd_inst, bfloat16": model}


def write_clip(path: Path, frames: int) -> None:
    """A clip with texture and motion."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
    ground = backgrounds.cover(small, (HEIGHT, WIDTH))
    with VideoWriter(path, RATE) as writer:
        for step in range(frames):
            writer.add(np.roll(ground, 2 * step, 1))


def stages(
    options: argparse.Namespace, model: Segmenter, peers: dict[str, Segmenter], clip: Path
) -> None:
    """Each stage alone, on one thread, by the processor's clock."""
    frames = iter(VideoReader(clip))
    image = next(frames)
    frame, scratch = Pyramid(image), compositing.Scratch()
    mask = Oval()(frame)
    alpha = compositing.upsample(mask, frame).copy()
    blur, smoother = backgrounds.Blur(), smoothing.MaskSmoother()
    behind = blur(frame, alpha)
    with tempfile.TemporaryDirectory() as folder, VideoWriter(Path(folder, "o.mp4"), RATE) as out:
        seconds = measure_all(
            {
                "decode": lambda: next(frames),
                "make small": lambda: model.prepare(Pyramid(image)),
                f"model ({model.name}, with making small)": lambda: model(Pyramid(image)),
                **{name: lambda peer=peer: peer(frame) for name, peer in peers.items()},
                "smoothing": lambda: smoother(mask, frame),
                "upsampling, guided": lambda: compositing.upsample(mask, frame, scratch),
                "blurred background": lambda: blur(frame, alpha),
                "blend": lambda: compositing.composite(frame, alpha, behind, clean=False),
                "blend, border's colors cleaned": lambda: compositing.composite(
                    frame, alpha, behind
                ),
                "cut out with alpha": lambda: compositing.cut_out(frame, alpha),
                "encode mp4v": lambda: out.add(image),
            },
            min(20, 4 * options.repeat) if options.quick else 50,
            warmup=2,
            clock=time.process_time,
        )
    print_table(
        ["stage", "CPU ms a frame"], [[name, 1e3 * value] for name, value in seconds.items()]
    )


def runs(
    options: argparse.Namespace, model: Segmenter, peers: dict[str, Segmenter], clip: Path
) -> None:
    """Video to video, everything at once. All draw the same oval, for nobody is in the clip."""
    chains = {"bdd_inst": AsOval(model), "chain without a model": Oval()}
    chains |= {name: AsOval(peer) for name, peer in peers.items()}
    rows = []
    for background in ("blur", "#00b140"):
        found: dict[str, list[list[float]]] = {name: [] for name in chains}
        for _ in range(1 if options.quick else ROUNDS):
            for name, segmenter in chains.items():
                found[name].append(figures(segmenter, clip, background))
        medians = {name: np.median(rounds, axis=0) for name, rounds in found.items()}
        own = medians["bdd_inst"]
        rows += [
            [name, background, *map(float, values), float(own[0] / values[0])]
            for name, values in medians.items()
        ]
    columns = ["", "background", "fps", "CPU ms a frame", "model ms", "smoothing ms", "drawing ms"]
    print_table([*columns, "bdd_inst is faster by"], rows)


def figures(segmenter: Segmenter, clip: Path, background: str) -> list[float]:
    """Of one run: frames a second, milliseconds of the processor a frame, median milliseconds of model, smoothing and drawing."""
    wall, processor = time.perf_counter(), time.process_time()
    meter = run_end_to_end(segmenter, clip, background)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    times = [1e3 * float(np.median(meter.stages[s])) for s in ("model", "smooth", "draw")]
    return [meter.frames / wall, 1e3 * processor / meter.frames, *times]


def run_end_to_end(segmenter: Segmenter, clip: Path, background: str) -> pipeline.Meter:
    """One run of the clip into another video."""
    with tempfile.TemporaryDirectory() as folder:
        source = sources.open_source(str(clip))
        source.file = None  # it has no sound
        sink = sinks.VideoFile(Path(folder, "out.mp4"), source)
        settings = pipeline.Settings(background=backgrounds.open_background(background))
        return pipeline.run(source, segmenter, sink, settings)
