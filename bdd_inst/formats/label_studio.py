"""Label Studio JSON: tasks with annotations and predictions; polygons, ellipses and (turned) rectangles in percent, brush masks as RLE.

A task's labels are those of its ground-truth annotation, else of its first one that was not canceled; else its last prediction's. What
other annotations and predictions say is counted. The image is called by what ``data`` has for it, an upload, a local file or a URL.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
import numpy as np

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats import fields
from bdd_inst.formats.json_files import describe, plain
from bdd_inst.formats.reading import contents, label_set
from bdd_inst.formats.records import ImageLabels, Instance, LabelSet
from bdd_inst.formats.signs import Glimpse
from bdd_inst.formats.sniff import Found
from bdd_inst.images.names import is_image_name
from bdd_inst.masks import brush_rle
from bdd_inst.masks.outlines import Outline, ellipse, turned_rectangle

# "completions" were annotations before 2021.
VERSIONS = ("annotations", "completions", "predictions")


def signs(glimpse: Glimpse) -> bool:
    """Whether a JSON object is a task: its data, and what was said of them."""
    return isinstance(glimpse.value("data"), dict) and any(map(glimpse.is_list, VERSIONS))


def read(found: Found) -> LabelSet:
    """The label set of an export, of one task, or of a folder of them."""

    def generate(log: ProblemLog) -> Iterator[ImageLabels]:
        for file, top in contents(found, log):
            raws = top if isinstance(top, list) else [msgspec.Raw(msgspec.json.encode(top))]
            for number, raw in enumerate(raws):
                where = f"{file}: task #{number}"
                try:
                    task = plain(raw)
                    image = _image(task, where, log)
                except (DataError, ValueError) as error:
                    log.add("bad-record", where, f"{error}; left out")
                    continue
                yield image

    return label_set(found, generate, "coco")


def _image(task: Any, where: str, log: ProblemLog) -> ImageLabels:
    """One task. ValueError where it has no image."""
    data = task.get("data") if isinstance(task, dict) else None
    if not isinstance(data, dict):
        raise ValueError(f"{describe(task)} without data")
    # A task's number is no id that results would know the image by.
    image = ImageLabels(_name(data))
    chosen, score = _chosen(task, where, log)
    if chosen is None:
        image.labeled = False
        return image
    image.width, image.height = _size(chosen)
    words = {}  # of regions whose label stands apart from their shape
    for item in chosen:
        if isinstance(item, dict) and (labels := _labels(item)):
            words.setdefault(str(item.get("id")), labels)
    seen: set[str] = set()
    for number, item in enumerate(chosen):
        place = f"{where} ({image.name}), result #{number}"
        try:
            _add(item, image, words, seen=seen, score=score, where=place, log=log)
        except (DataError, ValueError, TypeError, OverflowError) as error:
            log.add("bad-label", place, f"{error}; left out")
    return image


def _name(data: dict) -> str:
    """The image's name: ``data.image``, else the first value that is called like one. ValueError where there is none."""
    texts = {key: value for key, value in data.items() if isinstance(value, str) and value.strip()}
    usual = [texts[key] for key in ("image", "img", "image_url", "url") if key in texts]
    for text in [*usual, *texts.values()]:
        name = image_of_url(text)
        if name and (text in usual or is_image_name(name)):
            return name
    raise ValueError(f"no image in its data, which has {', '.join(map(repr, data)) or 'nothing'}")


def image_of_url(text: str) -> str:
    """The path that a URL, an upload or a local file means, without its server, project and query.

    Args:
        text: such as ``/data/upload/3/0a1b2c3d-a.jpg``, ``/data/local-files/?d=x/a.jpg``, ``s3://bucket/x/a.jpg``.

    Returns:
        ``0a1b2c3d-a.jpg`` (the image finder knows such marks), ``x/a.jpg``, ``x/a.jpg``; empty where it names no file.
    """
    text = text.strip()
    if "://" not in text and not text.startswith("/data/"):
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    if parts.path.rstrip("/").endswith("/local-files"):
        return parse_qs(parts.query).get("d", [""])[0]
    path = unquote(parts.path)
    if "/data/upload/" in path:
        return path.rpartition("/")[2]
    return path.lstrip("/")


def _chosen(task: dict, where: str, log: ProblemLog) -> tuple[list | None, float | None]:
    """The results of the annotation or prediction that counts, None where there is none; and a prediction's score."""
    given = [task.get(key) if isinstance(task.get(key), list) else [] for key in VERSIONS]
    made = [one for one in given[0] + given[1] if isinstance(one, dict)]
    done = [one for one in made if not fields.truth(one.get("was_cancelled"))]
    done = [one for one in done if isinstance(one.get("result"), list)]
    if len(made) > len(done):
        log.add("annotation-canceled", where, f"{len(made) - len(done)} canceled annotations")
    if done:
        done.sort(key=lambda one: not fields.truth(one.get("ground_truth")))
        if len(done) > 1:
            message = f"{len(done)} annotations; the {'ground truth' if done[0].get('ground_truth') else 'first'} counts"
            log.add("several-annotations", where, message)
        return done[0]["result"], None
    predicted = [o for o in given[2] if isinstance(o, dict) and isinstance(o.get("result"), list)]
    if len(predicted) > 1:
        log.add("several-annotations", where, f"{len(predicted)} predictions; the last counts")
    if not predicted:
        return None, None
    score = predicted[-1].get("score")
    usable = isinstance(score, int | float) and not isinstance(score, bool) and score == score
    return predicted[-1]["result"], float(score) if usable else None


def _size(results: list) -> tuple[int | None, int | None]:
    """Width and height of the image, from the first result that says them."""
    for item in results:
        if isinstance(item, dict):
            width, height = (fields.side(item.get(f"original_{k}")) for k in ("width", "height"))
            if width and height:
                return width, height
    return None, None


def _labels(item: dict) -> list[str]:
    """The labels that a result carries: of the key that ends so (``polygonlabels``, ``labels``)."""
    value = item.get("value")
    for key, found in value.items() if isinstance(value, dict) else ():
        if key.endswith("labels") and isinstance(found, list) and found:
            return [word.strip() for word in found if isinstance(word, str) and word.strip()]
    return []


def _add(
    item: Any,
    image: ImageLabels,
    words: dict[str, list[str]],
    *,
    seen: set[str],
    score: float | None,
    where: str,
    log: ProblemLog,
) -> None:
    """Add one result's object to its image; choices of the whole image become its attributes."""
    value = item.get("value") if isinstance(item, dict) else None
    if not isinstance(value, dict):
        raise ValueError(f"{describe(item)} without a value")
    own = str(item.get("id"))
    shaped = {"points", "rle", "radiusX", "width"} & set(value)
    if not shaped:
        choice = value.get("choices") or value.get("text") or value.get("rating")
        if item.get("type") == "relation" or choice is None:
            raise ValueError(f"a {str(item.get('type'))[:20]} encloses nothing")
        image.attributes[str(item.get("from_name"))] = choice
        return
    # A region's label and attributes come as results of their own that repeat its shape.
    labels = _labels(item) or words.get(own, [])
    if not labels and item.get("type") in ("choices", "textarea", "rating", "number", "taxonomy"):
        return
    if item.get("id") is not None and own in seen:
        return
    seen.add(own)
    flags, others = fields.split_flags(item.get("meta"))
    out = Instance("object", id=fields.identity(item.get("id")), attributes=others, **flags)
    if labels:
        out.category = labels[0]
    else:
        log.add("no-class", where, "a region without a label; called 'object'")
    if len(labels) > 1:
        message = f"{', '.join(labels)}; an object has one class, the first is taken"
        log.add("several-classes", where, message)
    out.score = fields.score_of(item.get("score", score))
    _shape(out, value, item, (image.width, image.height))
    image.instances.append(out)


def _shape(out: Instance, value: dict, item: dict, size: tuple[int | None, int | None]) -> None:
    """Give an object its outline, box or mask. ValueError for what encloses nothing."""
    width, height = size
    if "keypoint" in str(item.get("type")):
        raise ValueError("a keypoint encloses nothing")
    if not width or not height:
        raise ValueError("no original_width and original_height")
    if (fields.side(item.get("original_width")), fields.side(item.get("original_height"))) != size:
        raise ValueError("another original size than its image's")
    if fields.truth(item.get("image_rotation")):
        raise ValueError(f"drawn on the image turned by {item['image_rotation']!s:.8} degrees")
    share = np.array([width, height]) / 100
    if value.get("format") == "rle" or "rle" in value:
        if not isinstance(value.get("rle"), list):
            raise ValueError("a brush without rle")
        out.rle = brush_rle.decode(value["rle"], height, width)
    elif "points" in value:
        if value.get("closed") is False:
            raise ValueError("an open line encloses nothing")
        outline = Outline.checked(value["points"] if isinstance(value["points"], list) else [])
        if len(outline) < 3:
            raise ValueError(f"a polygon of {len(outline)} points")
        out.paths = [Outline(outline.vertices * share)]
    elif "radiusX" in value:
        x, y, rx, ry = (fields.number(value.get(k), k) for k in ("x", "y", "radiusX", "radiusY"))
        turn = np.radians(fields.number(value.get("rotation") or 0, "rotation"))
        radii = np.array([rx, ry]) * share
        out.paths = [Outline.checked(ellipse(np.array([x, y]) * share, radii, turn))]
    elif "width" in value:
        x, y, w, h = fields.sized_box([value.get(k) for k in ("x", "y", "width", "height")])
        turn = fields.number(value.get("rotation") or 0, "rotation")
        corner, far = np.array([x, y]) * share, np.array([w, h]) * share
        if turn % 360:
            # Label Studio turns a rectangle about its first corner.
            out.paths = [Outline.checked(turned_rectangle([*corner, *far], turn, corner))]
        else:
            out.box = (*corner.tolist(), *far.tolist())
    else:
        raise ValueError(f"a {str(item.get('type'))[:20]} encloses nothing")
