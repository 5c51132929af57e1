"""A person in front of another background: blurred, an image, a video, a color, or alone with alpha.

Examples:
    bdd-inst live                                             camera 0, the room blurred, in a window or on a page
    bdd-inst live --input call.mp4 --background beach.jpg --output out.mp4
    bdd-inst live --input photo.jpg --background none --output cut.png
    bdd-inst live --input rtsp://door/stream --background "#00b140" --page
    bdd-inst live --input browser                             on a page, with the camera of the browser that shows it

Without --output the image runs in a window, or, where there is no display, on a web page of this machine alone.
Weights: --weights; a person model is trained by ``bdd-inst train --config people_unet.yaml``.
"""

from __future__ import annotations

import argparse
import logging
import sys
import threading
from pathlib import Path

from bdd_inst.base.errors import DataError
from bdd_inst.cli import common as cli


def parser() -> argparse.ArgumentParser:
    """The options of ``live``."""
    out = cli.make_parser("live", __doc__)
    add = out.add_argument
    add(
        "--input",
        type=cli.path,
        default="0",
        metavar="INPUT",
        help="camera number, RTSP/HTTP URL, video, folder of images, image, or browser: the camera of the browser that shows the page (0, the first camera)",
    )
    add(
        "--background",
        type=cli.path,
        default="blur",
        metavar="B",
        help="blur, none (alpha), #rrggbb, an image or a video (blur)",
    )
    add("--output", type=cli.path, metavar="PATH", help="an .mp4, a .png or .jpg, or a folder")
    add("--weights", type=cli.path, metavar="W", help="of a pixel-wise model that finds persons")
    add("--config", type=cli.path, metavar="C", help="the model's config (people_unet.yaml)")
    add("--strength", type=cli.number(0, 1, float), default=0.5, help="of the blur, 0 to 1 (0.5)")
    add(
        "--threshold",
        type=cli.number(0.01, 0.99, float),
        default=0.5,
        metavar="P",
        help="probability from which a pixel is more person than background (0.5)",
    )
    add("--no-smoothing", action="store_true", help="each frame's mask as the model gives it")
    add(
        "--runtime",
        choices=("auto", "torch", "onnxruntime", "openvino", "torch-bf16", "openvino-bf16"),
        default="auto",
        help="what runs the model; auto measures at the start what is fastest and gives the same; bf16 rounds and says how much (auto)",
    )
    add("--threads", type=cli.number(1, 256), default=1, metavar="N", help="of each stage (1)")
    add("--meter", action="store_true", help="write speed and latency into the image")
    add("--page", action="store_true", help="the web page although there is a display")
    add("--port", type=cli.number(0, 65535), default=8765, help="of the page; 0 takes a free one")
    add(
        "--virtual-camera",
        action="store_true",
        help="a camera that other programs can choose (needs pyvirtualcam)",
    )
    return out


def run(options: argparse.Namespace) -> int:
    """From the input to the sink until one of them ends."""
    import cv2
    import torch

    from bdd_inst.live import page, pipeline
    from bdd_inst.live.backgrounds import open_background

    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    stop, meter = threading.Event(), pipeline.Meter()
    settings = pipeline.Settings(
        background=open_background(options.background, options.strength),
        threshold=options.threshold,
        meter=options.meter,
        smooth=not options.no_smoothing,
    )
    source, camera = open_input(options, stop)
    sink, source = open_sink(
        options, source, camera=camera, settings=settings, meter=meter, stop=stop
    )
    segmenter = prepare(options, source)
    if isinstance(sink, page.Page):
        print(f"look at {sink.address} (Ctrl-C ends)", flush=True)
    interrupted = None
    try:
        pipeline.run(source, segmenter, sink=sink, settings=settings, meter=meter, stop=stop)
    except KeyboardInterrupt as error:
        interrupted = error
    finally:
        print_summary(options, source, sink, meter)
    if not meter.frames and not interrupted and options.output:
        raise DataError(f"{source.name}: nothing in it could be read")
    if interrupted is not None and options.output:
        raise interrupted  # a file was asked for, and it is not whole
    return 0


def prepare(options: argparse.Namespace, source):
    """The model, run in the way that is fastest here (measured for streams; a few images are not worth the start)."""
    from bdd_inst.live import weights
    from bdd_inst.live.sources import CAMERA_SIZE

    segmenter = weights.load_segmenter(options.weights, options.config)
    if options.runtime != "auto" or source.moving:
        from bdd_inst.live.runtimes import EXACT

        names = EXACT if options.runtime == "auto" else (options.runtime,)
        found = segmenter.choose(CAMERA_SIZE[::-1], names)
        if options.runtime not in ("auto", segmenter.name):
            raise DataError(f"--runtime {options.runtime}: {found[options.runtime]}")
        told = ", ".join(f"{name} {text}" for name, text in found.items())
        print(f"model: {segmenter.name} ({told})", file=sys.stderr)
    return segmenter


def open_input(options: argparse.Namespace, stop: threading.Event):
    """The source, and what takes the frames of the browser's camera where that is the source."""
    from bdd_inst.live.browser_camera import NAME, BrowserCamera
    from bdd_inst.live.sources import open_source

    if options.input == NAME and not Path(NAME).exists():
        if options.output or options.virtual_camera:
            raise DataError(f"--input {NAME} is shown on the page: leave out --output")
        camera = BrowserCamera(stop)
        return camera.source(), camera
    try:
        return open_source(options.input, stop), None
    except DataError as error:
        if not options.input.isdecimal() or options.output:
            raise
        raise DataError(f"{error} (--input {NAME} takes the one of your web browser)") from None


def open_sink(options: argparse.Namespace, source, camera, settings, meter, stop):
    """Where the frames go, and the source as that place wants it: shown at its own speed, or written as fast as it goes."""
    from bdd_inst.base.output_paths import refuse_overlap
    from bdd_inst.images import video
    from bdd_inst.images.names import SUFFIXES
    from bdd_inst.live import page, sinks
    from bdd_inst.live.sources import paced

    alpha = settings.background is None
    if options.output is None:
        if options.virtual_camera:
            return sinks.VirtualCamera(source.rate), paced(source, stop)
        if not source.moving:
            raise DataError(f"{source.name}: name --output, a file or a folder, for images")
        if sinks.has_window() and not options.page and camera is None:
            return sinks.Window(), paced(source, stop)
        name = f"camera {source.name}" if source.name.isdecimal() else source.name
        shown = page.Page(
            settings, meter=meter, stop=stop, port=options.port, camera=camera, source=name
        )
        return shown, paced(source, stop, again=True)
    output = Path(options.output)
    if Path(options.input).exists():
        refuse_overlap(output, options.input)
    suffix = "" if output.is_dir() else output.suffix.lower()
    if suffix in video.SUFFIXES:
        if alpha:
            raise DataError(f"{output}: a video holds no alpha; name a folder for PNGs")
        if not source.moving:
            raise DataError(f"{output}: images become images; name a folder")
        return sinks.VideoFile(output, source), source
    if suffix in SUFFIXES or alpha or not source.moving:
        return sinks.Images(output, source, alpha), source
    return sinks.VideoFile(output / f"{source.stem}.mp4", source), source


def print_summary(options: argparse.Namespace, source, sink, meter) -> None:
    """What was done and what was passed over."""
    where = f": {getattr(sink, 'path', options.output)}" if options.output and meter.frames else ""
    if meter.frames or not options.output:
        print(f"{meter.frames} frames, {meter.line()}{where}")
    if meter.empty:
        print(f"nobody was found in {meter.empty} of {meter.frames} frames", file=sys.stderr)
    cli.show_problems(source.problems, "not read:")
    if hasattr(sink, "problems"):
        cli.show_problems(sink.problems, "changed:")


def main(arguments: list[str] | None = None) -> int:
    """Parse, run, say what was done."""
    options = parser().parse_args(arguments)
    return cli.guarded(lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
