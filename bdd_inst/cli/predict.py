"""Find objects in a picture, a folder of pictures or a video; draw them, and write them as COCO results.

    bdd-inst predict --weights output/demo/model_final.pth --input street.jpg --output out
    bdd-inst predict --config bdd_maskrcnn.yaml --input drive.mp4 --output out MODEL.WEIGHTS R50-FPN.pkl

Leaves in DIR: predictions.json (every detection above MODEL.ROI_HEADS.SCORE_THRESH_TEST) and the drawn pictures in
overlays/, or the drawn video, with those above --score-threshold.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault(
    "OMP_WAIT_POLICY", "passive"
)  # idle threads that spin slow small operations down; read when torch loads

from bdd_inst.base.errors import DataError
from bdd_inst.base.output_paths import refuse_overlap
from bdd_inst.cli import common as cli


def build_parser() -> argparse.ArgumentParser:
    """Every option of the command."""
    parser = cli.make_parser("predict", __doc__)
    cli.add_model_options(parser)
    parser.add_argument(
        "--input",
        type=cli.path,
        required=True,
        metavar="PATH",
        help="a picture, a folder (with subfolders) or a video",
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
        "--color-by",
        choices=("class", "instance"),
        default="class",
        help="one colour a class, or one an object",
    )
    parser.add_argument(
        "--batch-size",
        type=cli.number(1, 1024),
        default=1,
        metavar="N",
        help="pictures in one forward pass (1)",
    )
    parser.add_argument(
        "--workers",
        type=cli.number(1, 64),
        default=min(4, os.cpu_count() or 1),
        metavar="N",
        help="threads that draw",
    )
    parser.add_argument("--no-overlays", action="store_true", help="write predictions.json only")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY VALUE",
        help="config keys and values, e.g. MODEL.WEIGHTS model_final.pth",
    )
    return parser


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = build_parser()
    options = parser.parse_intermixed_args(arguments)
    if not (options.config or options.weights):
        parser.error("name the model: --weights model_final.pth, or --config C MODEL.WEIGHTS W")
    return options


def run(options: argparse.Namespace) -> int:
    """Predict on every frame; 1 where none could be read."""
    from bdd_inst.inference.predictor import Predictor
    from bdd_inst.inference.results import Categories, picture_ids, results_file, to_results
    from bdd_inst.inference.sources import open_source

    cfg = cli.config_of(options)
    source = open_source(options.input)
    refuse_overlap(options.output, options.input)
    Path(options.output).mkdir(parents=True, exist_ok=True)
    predictor = Predictor(cfg)
    categories = Categories.of(cfg, predictor.metadata)
    file = Path(options.output, "predictions.json")
    ids = picture_ids(cfg, source)
    other = max(
        [0, *(i for i in ids.values() if isinstance(i, int))]
    )  # pictures of no data set are numbered from here on

    with results_file(file) as results:

        def record(frame, instances):
            results.add(
                to_results(
                    instances,
                    categories,
                    image_id=ids.get(frame.name, other + frame.number),
                    file_name=frame.name,
                )
            )

        pictures = predict_all(options, source, predictor, categories, record)
        if not pictures:
            cli.show_problems(source.problems, "not read:")
            raise DataError(f"{options.input}: nothing in it could be read")
    print(f"{pictures} pictures, {results.number} objects: {file}")
    if not options.no_overlays:
        print(
            f"drawn: {video_path(options) if source.reader else Path(options.output, 'overlays')}"
        )
    cli.show_problems(source.problems, "not read:")
    return 0


def predict_all(options: argparse.Namespace, source, predictor, categories, record) -> int:
    """Decode ahead, predict in batches, draw behind; memory is that of a few batches. Returns the number of frames."""
    from contextlib import ExitStack

    from bdd_inst.base.pipeline import batched, ordered_map, prefetch
    from bdd_inst.drawing.draw import Style, from_instances
    from bdd_inst.images.video import VideoWriter
    from bdd_inst.report.album import picture_paths, save_picture

    style, places = (
        Style(color_by=options.color_by),
        picture_paths(Path(options.output, "overlays")),
    )
    metadata = {"thing_classes": categories.names, "thing_colors": categories.colors}

    def found():
        for frames in batched(prefetch(source, 2 * options.batch_size + 2), options.batch_size):
            outputs = predictor.predict([f.image for f in frames])
            for frame, output in zip(frames, outputs, strict=True):
                instances = output["instances"]
                record(frame, instances)
                yield frame, instances, places(frame.name)

    def draw(item):
        frame, instances, place = item
        if options.no_overlays:
            return None
        image = from_instances(
            frame.image, instances, metadata, score_threshold=options.score_threshold, style=style
        )
        return image if source.reader else save_picture(place, image)

    number = 0
    with ExitStack() as stack:
        movie = None
        if source.reader and not options.no_overlays:
            movie = stack.enter_context(VideoWriter(video_path(options), source.reader.rate))
        for drawn in cli.progress(
            ordered_map(draw, found(), options.workers), source.number, "pictures"
        ):
            number += 1
            if movie:
                movie.add(drawn)
    return number


def video_path(options: argparse.Namespace) -> Path:
    """Where the drawn video goes."""
    return Path(options.output, "overlays", f"{Path(options.input).stem}.mp4")


def main(arguments: list[str] | None = None) -> int:
    """Parse, predict, say where the result is."""
    options = parse(arguments)
    return cli.guarded(lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
