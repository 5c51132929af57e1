"""The small parts that label files share: flags, boxes, ids and scores, checked, with a sentence on what is wrong."""

from __future__ import annotations

import math
from typing import Any

from bdd_inst.formats.records import Box
from bdd_inst.masks.outlines import MAX_COORDINATE

FLAGS = ("occluded", "truncated", "crowd", "ignored")
NAMES = (
    "weather",
    "scene",
    "timeofday",
    "trafficLightColor",
    "areaType",
    "laneDirection",
    "laneStyle",
    "laneTypes",
    "laneType",
)
# Capitals come and go between releases ("Occluded", "Weather"); these words are known, so they get one spelling.
SPELLING = {name.lower(): name for name in (*FLAGS, *NAMES)}
TRUE_WORDS = {"true", "yes", "1"}


def truth(value: Any) -> bool:
    """A flag in any spelling: true, 1, "true", "yes".

    Args:
        value: of any type.

    Returns:
        False for what is none of these.
    """
    if isinstance(value, str):
        return value.strip().lower() in TRUE_WORDS
    return bool(value) and value == value


def split_flags(attributes: Any) -> tuple[dict[str, bool], dict[str, Any]]:
    """The four flags (by name, where given) and the other attributes, known names in their usual spelling."""
    flags, others = {}, {}
    if isinstance(attributes, dict):
        for key, value in attributes.items():
            # Nearly every key is spelt as expected; this runs for each label of a data set.
            name = key if key in FLAGS else SPELLING.get(key.lower(), key)
            if name in FLAGS:
                flags[name] = value if value is True or value is False else truth(value)
            else:
                others[name] = value
    return flags, others


def crowd_of(flags: dict[str, bool], iscrowd: Any) -> bool:
    """Whether COCO's ``iscrowd`` means a crowd: files converted here use it for ignored regions too, and say in attributes which it is."""
    if "crowd" not in flags:
        return truth(iscrowd)
    return flags["crowd"] or (truth(iscrowd) and not flags.get("ignored", False))


def number(value: Any, what: str) -> float:
    """A finite number of an image's order of size. ValueError names ``what`` it should have been."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{what} is {str(value)[:30]!r}, not a number")
    if not abs(value) <= MAX_COORDINATE:  # a NaN fails this as well
        raise ValueError(f"{what} is {str(value)[:20]}, which is in no image")
    return float(value)


def corners_box(value: Any, *, inclusive: bool) -> Box:
    """``{"x1", "y1", "x2", "y2"}`` -> x1, y1, x2, y2 exclusive; ``inclusive`` adds the pixel that x2, y2 name. ValueError for no box."""
    if not isinstance(value, dict):
        raise ValueError("box2d is no object with x1, y1, x2, y2")
    x1, y1, x2, y2 = (number(value.get(key), f"box2d {key}") for key in ("x1", "y1", "x2", "y2"))
    if inclusive:
        x2, y2 = x2 + 1, y2 + 1
    if x2 <= x1 or y2 <= y1:
        raise ValueError(f"box2d of no area ({x1:g}, {y1:g}, {x2:g}, {y2:g})")
    return x1, y1, x2, y2


def sized_box(value: Any) -> Box:
    """COCO's ``[x, y, width, height]`` -> x1, y1, x2, y2. ValueError for no box."""
    if not isinstance(value, list | tuple) or len(value) != 4:
        raise ValueError("bbox is not [x, y, width, height]")
    x, y, w, h = (number(v, "bbox") for v in value)
    if w <= 0 or h <= 0:
        raise ValueError(f"bbox of no area ({x:g}, {y:g}, {w:g}, {h:g})")
    return x, y, x + w, y + h


def word(value: Any) -> str:
    """A category's name, stripped. ValueError where there is none."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("no category")
    return value.strip()


def identity(value: Any) -> str | int | None:
    """An id as the file has it; a whole float becomes an int, anything odd None.

    Args:
        value: of any type.

    Returns:
        A str or int; None for what is no id.
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, str | int) and not isinstance(value, bool) else None


def score_of(value: Any) -> float | None:
    """A score, None where there is none. ValueError where it is no finite number."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"score is {value}, not a finite number")
    return None if value is None else number(value, "score")


def side(value: Any) -> int | None:
    """An image's width or height; None where it is missing or no such thing."""
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 12:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1 << 20:
        return None
    return int(value)
