"""Where labels go: beside their boxes, not over each other, not over small objects, never outside the picture."""

from __future__ import annotations

import numpy as np

# What a full overlap costs, against steps of preference of about 1.
OVER_LABEL, OVER_OBJECT = 40.0, 8.0
RINGS = (1.2, 2.4, 4.0, 6.5, 10.0)
DIRECTIONS = np.array(
    [[0, -1], [0.7, -0.7], [-0.7, -0.7], [1, 0], [-1, 0], [0.7, 0.7], [-0.7, 0.7], [0, 1], [0.4, -0.9], [-0.4, -0.9]], np.float64
)


def place_labels(boxes: np.ndarray, sizes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Corners for labels.

    Args:
        boxes: N,4 x1,y1,x2,y2 of the objects, pixels.
        sizes: N,2 width and height of each label, pixels.
        width, height: of the picture.

    Returns:
        N,2 int: the upper left corner of each label. Small objects choose first, as large ones have room inside.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    sizes = np.asarray(sizes, np.float64).reshape(-1, 2)
    corners = np.zeros((len(boxes), 2), int)
    areas = np.maximum(1.0, (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    taken = np.zeros((0, 4))
    for i in np.argsort(areas, kind="stable"):
        spots, cost = near(boxes[i], sizes[i])
        best, price = choose(spots, cost, sizes[i], taken, boxes, areas, (width, height))
        if price >= OVER_LABEL * 0.15:
            spots, cost = far(boxes[i], sizes[i])
            other, other_price = choose(spots, cost, sizes[i], taken, boxes, areas, (width, height))
            best = other if other_price < price else best
        corners[i] = best
        taken = np.vstack([taken, np.hstack([best, best + sizes[i]])])
    return corners


def near(box: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """K,2 corners that touch the box, and K costs of preference: above first, inside only where there is room."""
    x1, y1, x2, y2 = box
    w, h = size
    inside = 0.8 if x2 - x1 >= 1.3 * w and y2 - y1 >= 3 * h else 12.0
    spots = np.array(
        [[x1, y1 - h], [x1, y1], [x2 - w, y1 - h], [x1, y2], [x2 - w, y2], [x2, y1], [x1 - w, y1], [x2, y2 - h], [x1 - w, y2 - h]]
    )
    return spots, np.array([0.0, inside, 0.6, 1.2, 1.5, 1.6, 1.8, 2.0, 2.0])


def far(box: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """K,2 corners on rings around the box, and their costs, which grow with the distance."""
    middle = (box[:2] + box[2:]) / 2
    reach = (box[2:] - box[:2]) / 2 + size / 2
    rings = np.repeat(RINGS, len(DIRECTIONS))[:, None] * size[1]
    ways = np.tile(DIRECTIONS, (len(RINGS), 1))
    return middle + ways * (np.minimum(reach, 4 * size[1] + size / 2) + rings) - size / 2, 2.5 + rings[:, 0] / size[1]


def choose(spots, cost, size, taken, boxes, areas, picture) -> tuple[np.ndarray, float]:
    """The cheapest corner, clamped into the picture, and its price."""
    limit = np.maximum(0.0, np.asarray(picture, np.float64) - size)
    corners = np.clip(np.round(spots), 0.0, np.floor(limit))
    rectangles = np.hstack([corners, corners + size])
    price = cost + np.abs(corners - np.round(spots)).sum(1) / size[1]
    if len(taken):
        price = price + OVER_LABEL * overlap(rectangles, taken).sum(1) / size.prod()
    hidden = overlap(rectangles, boxes) / areas
    price = price + OVER_OBJECT * np.where(hidden > 0.12, hidden, 0.0).sum(1)
    best = int(price.argmin())
    return corners[best].astype(int), float(price[best])


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """K,M shared areas of K,4 and M,4 boxes."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    return np.maximum(high - low, 0.0).prod(2)
