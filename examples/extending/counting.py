"""A protocol of one's own: COCO's figures, and by how much the number of objects is wrong.

bdd-inst evaluate --import examples/extending/counting.py --protocol counting --ground-truth labels.json --predictions results.json
"""

import numpy as np

from bdd_inst.evaluation.protocols import PROTOCOLS, ProtocolScores, coco_protocol

SCORE = 0.5  # what counts as found


def counting(truth, results, kinds, max_detections) -> ProtocolScores:
    """Blocks of metrics.json by name: COCO's, and ``counting`` with the mean error of the count an image, by class and in all."""
    found = coco_protocol(truth, results, kinds, max_detections)
    shape = len(truth.image_ids), len(truth.class_names)
    labeled, predicted = np.zeros(shape, int), np.zeros(shape, int)
    real, sure = ~(truth.crowd | truth.ignored), results.scores >= SCORE
    np.add.at(labeled, (truth.image[real], truth.category[real]), 1)
    np.add.at(predicted, (results.image[sure], results.category[sure]), 1)
    errors = np.abs(labeled - predicted).mean(axis=0)
    figures = {f"error-{name}": float(e) for name, e in zip(truth.class_names, errors, strict=True)}
    figures["error"] = float(np.abs(labeled.sum(axis=1) - predicted.sum(axis=1)).mean())
    notes = [f"counting: detections with a score of {SCORE} or more"]
    return ProtocolScores(found.figures | {"counting": figures}, found.scores, notes)


# The one line: the name that --protocol and TEST.PROTOCOL may then have.
PROTOCOLS["counting"] = counting
