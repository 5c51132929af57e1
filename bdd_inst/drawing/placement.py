"""Where labels go: beside their boxes, not over each other, not over small objects, never outside the image.

Corners, sizes and boxes are float64 in pixels.
"""

from __future__ import annotations

import numpy as np

# What a full overlap costs, against steps of preference of about 1.
OVER_LABEL, OVER_OBJECT = 40.0, 8.0
RINGS = (1.2, 2.4, 4.0, 6.5, 10.0)
DIRECTIONS = np.array(
    [
        [0, -1],
        [0.7, -0.7],
        [-0.7, -0.7],
        [1, 0],
        [-1, 0],
        [0.7, 0.7],
        [-0.7, 0.7],
        [0, 1],
        [0.4, -0.9],
        [-0.4, -0.9],
    ],
    np.float64,
)


def place_labels(boxes: np.ndarray, sizes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Corners for labels.

    Args:
        boxes: N,4 x1,y1,x2,y2 of the objects, pixels.
        sizes: N,2 width and height of each label, pixels.
        width, height: of the image.

    Returns:
        N,2 int: the upper left corner of each label. Small objects choose first, as large ones have room inside.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    sizes = np.asarray(sizes, np.float64).reshape(-1, 2)
    areas = np.maximum(1.0, (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    field = Field(boxes, areas, np.zeros((len(boxes), 4)), (width, height))
    for i in np.argsort(areas, kind="stable"):
        best, price = field.choose(*near(boxes[i], sizes[i]), sizes[i])
        # More than a sixth of another label, or most of an object, would be hidden beside the box: look farther away.
        if price >= OVER_LABEL * 0.15:
            other, other_price = field.choose(*far(boxes[i], sizes[i]), sizes[i])
            best = other if other_price < price else best
        field.take(i, best, sizes[i])
    return field.labels[:, :2].astype(int)


def near(box: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """K,2 corners that touch the box, and K costs of preference: above first, inside only where there is room."""
    x1, y1, x2, y2 = box
    w, h = size
    inside = 0.8 if x2 - x1 >= 1.3 * w and y2 - y1 >= 3 * h else 12.0
    spots = np.array(
        [
            [x1, y1 - h],
            [x1, y1],
            [x2 - w, y1 - h],
            [x1, y2],
            [x2 - w, y2],
            [x2, y1],
            [x1 - w, y1],
            [x2, y2 - h],
            [x1 - w, y2 - h],
        ]
    )
    return spots, np.array([0.0, inside, 0.6, 1.2, 1.5, 1.6, 1.8, 2.0, 2.0])


def far(box: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """K,2 corners on rings around the box, and their costs, which grow with the distance."""
    middle = (box[:2] + box[2:]) / 2
    reach = (box[2:] - box[:2]) / 2 + size / 2
    rings = np.repeat(RINGS, len(DIRECTIONS))[:, None] * size[1]
    ways = np.tile(DIRECTIONS, (len(RINGS), 1))
    return middle + ways * (
        np.minimum(reach, 4 * size[1] + size / 2) + rings
    ) - size / 2, 2.5 + rings[:, 0] / size[1]


class Field:
    """What is in the image: N objects and N places for labels, those in ``filled`` taken."""

    def __init__(
        self, boxes: np.ndarray, areas: np.ndarray, labels: np.ndarray, image: tuple[int, int]
    ):
        self.objects, self.areas, self.labels = boxes, areas, labels
        self.image = np.array(image, np.float64)
        self.filled: list[int] = []

    def take(self, index: int, corner: np.ndarray, size: np.ndarray) -> None:
        """Fill place ``index`` by a label's upper left ``corner`` and ``size``: x, y and width, height, shape (2,) float64, pixels."""
        self.labels[index] = *corner, *(corner + size)
        self.filled.append(index)

    def choose(
        self, spots: np.ndarray, cost: np.ndarray, size: np.ndarray
    ) -> tuple[np.ndarray, float]:
        """The cheapest of K corners, clamped into the image, and its price."""
        spots = np.round(spots)
        # A place that reaches out of the image is moved in, and pays for the way.
        corners = np.clip(spots, 0.0, np.floor(np.maximum(0.0, self.image - size)))
        rectangles = np.concatenate([corners, corners + size], 1)
        price = cost + np.abs(corners - spots).sum(1) / size[1]
        if self.filled:
            price += OVER_LABEL / size.prod() * overlap(rectangles, self.labels[self.filled]).sum(1)
        hidden = overlap(rectangles, self.objects) / self.areas
        # By the share of each object that is hidden: a label costs a small object more than a large one.
        price += OVER_OBJECT * np.where(hidden > 0.12, hidden, 0.0).sum(1)
        best = int(price.argmin())
        return corners[best], float(price[best])


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """K,M shared areas of K,4 and M,4 boxes."""
    width = np.minimum(first[:, 2:3], second[:, 2]) - np.maximum(first[:, :1], second[:, 0])
    height = np.minimum(first[:, 3:], second[:, 3]) - np.maximum(first[:, 1:2], second[:, 1])
    return np.maximum(width, 0) * np.maximum(height, 0)
