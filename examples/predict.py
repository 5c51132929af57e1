"""Objects of some images, from Python.

python examples/predict.py output/demo/model_final.pth street.jpg another.jpg
"""

import sys

import bdd_inst


def main(weights: str, *images: str) -> None:
    """Print a line an object; the masks are there to be used."""
    predictor = bdd_inst.Predictor(weights)  # the file says its config and its classes
    names = predictor.metadata["thing_classes"]
    for image in images:
        instances = predictor(image)["instances"]
        instances = instances[instances.scores > 0.5]
        masks = instances.pred_masks.numpy()  # N,H,W bool, on the image's own size
        print(f"{image}: {len(instances)} objects")
        for box, score, index, mask in zip(
            instances.pred_boxes.tensor.tolist(),
            instances.scores.tolist(),
            instances.pred_classes.tolist(),
            masks,
        ):
            where = " ".join(f"{value:.0f}" for value in box)
            print(f"  {names[index]} {score:.2f} at {where}, {mask.sum()} pixels")


if __name__ == "__main__":
    main(*sys.argv[1:])
