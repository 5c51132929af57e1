"""Find objects, or the class of every pixel, in an image, a folder of images or a video; draw them and write them.

    bdd-inst predict --weights output/demo/model_final.pth --input street.jpg --output out
    bdd-inst predict --config bdd_maskrcnn.yaml --input drive.mp4 --output out MODEL.WEIGHTS R50-FPN.pkl

Leaves in DIR: predictions.json (every detection above MODEL.ROI_HEADS.SCORE_THRESH_TEST) and the drawn images in
overlays/, or the drawn video, with those above --score-threshold. A panoptic model also leaves panoptic.json and
panoptic/NAME.png (COCO panoptic), and draws its segments. A pixel-wise model leaves labels/NAME.png (class numbers)
instead of predictions.json, and what --probabilities and --cutouts ask for.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
import threading
from pathlib import Path

os.environ.setdefault(
    "OMP_WAIT_POLICY", "passive"
)  # idle threads that spin slow small operations down; read when torch loads

from bdd_inst.base.errors import DataError
from bdd_inst.base.locks import FolderLock
from bdd_inst.base.output_paths import refuse_overlap
from bdd_inst.cli import common as cli

CONFIG_KEY = re.compile(r"[A-Z][A-Z0-9_]*(\.[A-Z0-9_]+)+")


def build_parser() -> argparse.ArgumentParser:
    """Every option of the command."""
    parser = cli.make_parser("predict", __doc__)
    cli.add_model_options(parser)
    parser.add_argument(
        "--input",
        type=cli.path,
        nargs="+",
        required=True,
        metavar="PATH",
        help="images, folders (with subfolders), videos, patterns such as 'day*/*.jpg'; or one camera (0) or address (rtsp://..., http://...), until Ctrl-C",
    )
    parser.add_argument(
        "--output",
        type=cli.path,
        required=True,
        metavar="DIR",
        help="where overlays and predictions.json go",
    )
    parser.add_argument(
        "--score-threshold",
        type=cli.number(0, 1, float),
        default=0.5,
        metavar="S",
        help="draw from this score on (0.5)",
    )
    parser.add_argument(
        "--batch-size",
        type=cli.number(1, 1024),
        default=1,
        metavar="N",
        help="images in one forward pass (1)",
    )
    cli.add_drawing(parser, workers=4)
    parser.add_argument("--no-overlays", action="store_true", help="do not draw")
    add_pixel_options(parser)
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY VALUE",
        help="config keys and values, e.g. MODEL.WEIGHTS model_final.pth",
    )
    return parser


def add_pixel_options(parser: argparse.ArgumentParser) -> None:
    """Options of pixel-wise models alone."""
    parser.add_argument(
        "--threshold",
        type=cli.number(0, 1, float),
        metavar="P",
        help="pixel-wise models: one class is marked from this probability on (0.5); of several the best, unless it is below P",
    )
    parser.add_argument(
        "--probabilities",
        action="store_true",
        help="pixel-wise models: probabilities/NAME.png too, 0 to 255",
    )
    parser.add_argument(
        "--cutouts",
        action="store_true",
        help="pixel-wise models of one class: cutouts/NAME.png too, the image with alpha",
    )


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = build_parser()
    options = parser.parse_intermixed_args(arguments)
    # --input takes several values: config keys that follow it are none of them.
    keys = (n for n, text in enumerate(options.input) if CONFIG_KEY.fullmatch(text))
    first = next((n for n in keys if n and not os.path.exists(options.input[n])), None)
    if first is not None:
        options.overrides = options.input[first:] + options.overrides
        options.input = options.input[:first]
    if not (options.config or options.weights):
        parser.error("name the model: --weights model_final.pth, or --config C MODEL.WEIGHTS W")
    return options


def run(options: argparse.Namespace) -> int:
    """Predict on every frame; 1 where none could be read."""
    from bdd_inst.cli.predict_pixels import PixelWriter
    from bdd_inst.data.sem_seg import is_pixelwise
    from bdd_inst.inference.predictor import Predictor
    from bdd_inst.inference.sources import open_source

    cfg = cli.config_of(options)
    stop = threading.Event()
    source = open_source(*options.input, stop=stop)
    refuse_overlap(options.output, *options.input)
    ending = cli.ending(stop) if source.live else contextlib.nullcontext()
    with FolderLock(Path(options.output)), ending:
        predictor = Predictor(cfg)
        if is_pixelwise(cfg):
            writer = PixelWriter(options, predictor, source)
            images = predict_all(options, source, predictor, writer.draw)
            print(f"{some(images, options, source)} images: {writer.folder}")
        else:
            find_objects(options, source, predictor)
        if not options.no_overlays:
            print(f"drawn: {drawn_place(options, source)}")
        cli.show_problems(source.problems, "not read:")
    return 0


def find_objects(options: argparse.Namespace, source, predictor) -> None:
    """Objects into predictions.json and drawn images, with a line that counts them."""
    from bdd_inst.data.panoptic import is_panoptic
    from bdd_inst.drawing.draw import Style, from_instances
    from bdd_inst.inference.results import OutputClasses, image_ids, results_file, to_results

    categories = OutputClasses.of(predictor.cfg, predictor.metadata)
    file = Path(options.output, "predictions.json")
    ids = image_ids(predictor.cfg, source)
    # Images of no data set are numbered from here on.
    other = max([0, *(i for i in ids.values() if isinstance(i, int))])
    style = Style(color_by=options.color_by)
    metadata = {"thing_classes": categories.names, "thing_colors": categories.colors}

    with contextlib.ExitStack() as stack:
        results = stack.enter_context(results_file(file))
        segments = None
        if is_panoptic(predictor.cfg):
            segments = stack.enter_context(panoptic_writer(options, predictor, source))

        def record(frame, output):
            given = {"image_id": ids.get(frame.name, other + frame.number), "file_name": frame.name}
            results.add(to_results(output["instances"], categories, **given))
            if segments is not None:
                segments.record(frame, output, given["image_id"])

        def draw(frame, output):
            if options.no_overlays:
                return None
            if segments is not None:
                return segments.draw(frame, output)
            return from_instances(
                frame.image,
                output["instances"],
                metadata,
                score_threshold=options.score_threshold,
                style=style,
            )

        images = some(
            predict_all(options, source, predictor=predictor, draw=draw, record=record),
            options,
            source,
        )
    print(f"{images} images, {results.number} objects: {file}")
    if segments is not None:
        print(f"segments: {segments.folder}.json")


@contextlib.contextmanager
def panoptic_writer(options: argparse.Namespace, predictor, source):
    """The writer of ``panoptic.json`` and its PNGs, which appear whole at the end of the block."""
    from bdd_inst.cli.predict_panoptic import PanopticWriter
    from bdd_inst.inference.panoptic_results import panoptic_classes, panoptic_file

    classes = panoptic_classes(predictor.cfg, predictor.metadata)
    folder = Path(options.output, "panoptic")
    with panoptic_file(folder.with_suffix(".json"), classes) as file:
        yield PanopticWriter(file, folder, classes, source)


def some(images: int, options: argparse.Namespace, source) -> int:
    """The number of images; DataError where there is none, with the reasons."""
    if not images:
        reasons = "; ".join(source.problems.lines())
        raise DataError(
            f"{', '.join(options.input)}: nothing in it could be read"
            + (f": {reasons}" if reasons else "")
        )
    return images


def predict_all(options: argparse.Namespace, source, predictor, draw, record=None) -> int:
    """Decode ahead, predict in batches, draw behind; memory is that of a few batches.

    Args:
        draw: from a frame and its output to the drawn image or None, called by several threads.
        record: takes each frame and its output, in order.

    Returns:
        the number of frames.
    """
    from bdd_inst.base.pipeline import batched, ordered_map, prefetch
    from bdd_inst.images.video import VideoWriters
    from bdd_inst.inference.views import cost_of_views
    from bdd_inst.report.album import image_paths, save_image

    places = image_paths(Path(options.output, "overlays"))

    # What is made ahead of a stream would be old when its turn comes.
    ahead = source if source.live else prefetch(source, 2 * options.batch_size + 2)

    costs: list[tuple[float, float]] = []

    def found():
        for frames in batched(ahead, options.batch_size):
            if predictor.cfg.TEST.AUG.ENABLED and not costs:
                costs.append(cost_of_views(predictor, frames[0].image))
            outputs = predictor.predict([f.image for f in frames])
            for frame, output in zip(frames, outputs, strict=True):
                if record:
                    record(frame, output)
                # In order, so that of two names for one file always the same one is changed.
                yield frame, output, None if frame.video else places(frame.name)

    def drawn_and_saved(item):
        frame, output, place = item
        image = draw(frame, output)
        if image is not None and frame.video is not None:
            return frame.video.name, frame.rate, image, frame.until
        if image is not None:
            save_image(place, image)
        return None

    number = 0
    with VideoWriters(Path(options.output, "overlays")) as movies:
        for drawn in cli.progress(
            ordered_map(drawn_and_saved, found(), options.workers), source.number, "images"
        ):
            number += 1
            if drawn is not None:
                movies.add(*drawn)
    for views, once in costs:
        ratio = views / max(once, 1e-9)
        print(f"TEST.AUG: {views:.3g} s an image, seen once {once:.3g} s, {ratio:.1f}x")
    return number


def drawn_place(options: argparse.Namespace, source) -> Path:
    """What to open: the drawn video where the input was one, else the folder."""
    from bdd_inst.images.video import drawn_videos

    folder = Path(options.output, "overlays")
    alone = len(source.entries) == 1 and source.videos
    return drawn_videos(folder)(source.entries[0].name) if alone else folder


def main(arguments: list[str] | None = None) -> int:
    """Parse, predict, say where the result is."""
    options = parse(arguments)
    return cli.guarded(lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
