"""Live background: milliseconds a frame by stage and frames a second end to end at 1280x720, beside MediaPipe where it has its model."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from bdd_inst.cli.benchmarks.common import importable, machine, measure_all, print_table
from bdd_inst.images.video import VideoReader, VideoWriter
from bdd_inst.live import backgrounds, compositing, pipeline, sinks, smoothing, sources, weights
from bdd_inst.live.segmenter import ModelSegmenter, Segmenter

DESCRIPTION = (
    "a person in front of another background, 1280x720: each stage, and all of it end to end"
)
HEIGHT, WIDTH, RATE = 720, 1280, 30.0
# What runs while the package brings no person model: the same arithmetic, with weights that know nothing.
UNTRAINED = (
    *("MODEL.META_ARCHITECTURE", "SemanticSegmentor", "MODEL.DEVICE", "cpu"),
    *("MODEL.SEM_SEG_HEAD.NAME", "Unet", "MODEL.SEM_SEG_HEAD.NUM_CLASSES", "1"),
    *("MODEL.SEM_SEG_HEAD.ENCODER", "tu-tf_efficientnet_lite0"),
    *("MODEL.SEM_SEG_HEAD.DECODER_CHANNELS", "[64, 48, 32, 24, 16]"),
)


class Oval:
    """A segmenter that costs nothing: an oval in the middle, of a person's size, so that drawing has its usual work."""

    name = "none"

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """192,352 float32 in 0..1."""
        y, x = np.mgrid[-1:1:192j, -1:1:352j]
        return np.clip(6 * (0.8 - np.hypot(x * 2, y)), 0, 1).astype(np.float32)


class MediaPipe:
    """MediaPipe's selfie segmentation, as its own example calls it."""

    name = "MediaPipe"

    def __init__(self) -> None:
        """Raises ImportError or AttributeError where this MediaPipe carries no such model."""
        import mediapipe

        self.model = mediapipe.solutions.selfie_segmentation.SelfieSegmentation(model_selection=1)

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """The picture's own size, float32 in 0..1."""
        return self.model.process(np.ascontiguousarray(picture[:, :, ::-1])).segmentation_mask


def run(options: argparse.Namespace) -> None:
    """Print the table of stages and that of whole runs."""
    import cv2
    import torch

    torch.set_num_threads(options.threads or 1)
    cv2.setNumThreads(options.threads or 1)
    print(f"  {machine()}")
    model, found = our_model()
    print(f"  model: {model.name} ({', '.join(f'{k} {v}' for k, v in found.items())})")
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder, "clip.mp4")
        write_clip(clip, 30 if options.quick else 150)
        stages(options, model, clip)
        runs(options, model, clip)


def our_model() -> tuple[ModelSegmenter, dict[str, str]]:
    """The package's person model, or an untrained one of that kind, run in the fastest way."""
    if weights.packaged_weights() is None:
        from bdd_inst.config.loading import get_cfg, merge_overrides
        from bdd_inst.engines import build_model
        from bdd_inst.live.segmenter import from_cfg

        cfg = get_cfg()
        merge_overrides(cfg, UNTRAINED)
        model = from_cfg(cfg, build_model(cfg))
        print("  no person model in the package: an untrained one, for its speed alone")
    else:
        model = weights.load_segmenter(None)
    return model, model.choose((HEIGHT, WIDTH))


def write_clip(path: Path, frames: int) -> None:
    """A clip with texture and motion."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
    ground = backgrounds.cover(small, (HEIGHT, WIDTH))
    with VideoWriter(path, RATE) as writer:
        for step in range(frames):
            writer.add(np.roll(ground, 2 * step, 1))


def stages(options: argparse.Namespace, model: Segmenter, clip: Path) -> None:
    """Each stage alone, on one thread."""
    frames = iter(VideoReader(clip))
    picture = next(frames)
    mask, scratch = Oval()(picture), compositing.Scratch()
    alpha = compositing.upsample(mask, picture)
    blur, smoother = backgrounds.Blur(), smoothing.MaskSmoother()
    behind = blur(picture, alpha)
    with tempfile.TemporaryDirectory() as folder, VideoWriter(Path(folder, "o.mp4"), RATE) as out:
        seconds = measure_all(
            {
                "decode": lambda: next(frames),
                f"model ({model.name})": lambda: model(picture),
                "smoothing": lambda: smoother(mask, picture),
                "upsampling, guided": lambda: compositing.upsample(mask, picture, scratch),
                "blurred background": lambda: blur(picture, alpha),
                "blend": lambda: compositing.composite(picture, alpha, behind, clean=False),
                "blend, border's colours cleaned": lambda: compositing.composite(
                    picture, alpha, behind
                ),
                "cut out with alpha": lambda: compositing.cut_out(picture, alpha),
                "encode mp4v": lambda: out.add(picture),
            },
            min(20, 4 * options.repeat) if options.quick else 25,
            warmup=2,
        )
    print_table(["stage", "ms a frame"], [[name, 1e3 * value] for name, value in seconds.items()])


def runs(options: argparse.Namespace, model: Segmenter, clip: Path) -> None:
    """Video to video, everything at once."""
    chains: dict[str, Segmenter] = {"bdd_inst": model, "chain without a model": Oval()}
    if importable("mediapipe"):
        try:
            chains["MediaPipe in the same chain"] = MediaPipe()
        except (ImportError, AttributeError):
            print("  this MediaPipe carries no selfie segmentation: its rows are missing")
    else:
        print("  mediapipe is not installed: its rows are missing")
    rows = []
    for name, segmenter in chains.items():
        for background in ("blur", "#00b140"):
            meter = whole(segmenter, clip, background)
            times = [1e3 * float(np.median(meter.stages[s])) for s in ("model", "smooth", "draw")]
            rows.append([name, background, meter.fps, *times])
    print_table(["", "background", "fps", "model ms", "smoothing ms", "drawing ms"], rows)


def whole(segmenter: Segmenter, clip: Path, background: str) -> pipeline.Meter:
    """One run of the clip into another video."""
    with tempfile.TemporaryDirectory() as folder:
        source = sources.open_source(str(clip))
        source.file = None  # it has no sound
        sink = sinks.VideoFile(Path(folder, "out.mp4"), source)
        settings = pipeline.Settings(background=backgrounds.open_background(background))
        return pipeline.run(source, segmenter, sink, settings)
