"""Train on labels of your own, with a mapper and a hook of your own.

python examples/own_data.py labels.json images/ output/mine [KEY VALUE ...]
"""

import sys

import bdd_inst
from bdd_inst.data.mapper import DatasetMapper
from bdd_inst.training.hooks import Hook


class Dimmed:
    """Every second image darker. (Detectron2's mappers, of one argument, serve as well.)"""

    def __init__(self, cfg) -> None:
        self.ours = DatasetMapper(cfg, is_train=True)

    def __call__(self, dataset_dict: dict, rng) -> dict:
        """A dict in, the model's input out; whatever is drawn from ``rng`` is the same in every repetition of the run."""
        sample = self.ours(dataset_dict, rng)
        if rng.random() < 0.5:
            sample["image"] //= 2
        return sample


class WorstLoss(Hook):
    """Remembers the highest loss of the run."""

    worst = 0.0

    def after_step(self, run) -> None:
        """``run.last`` is the step just taken."""
        self.worst = max(self.worst, run.last.losses["total_loss"])


def main(labels: str, images: str, output: str, *overrides: str) -> None:
    """Any label format; the classes come from the file."""
    cfg = bdd_inst.load_cfg("fashion_person_scratch.yaml", overrides)
    cfg.DATASETS.TRAIN, cfg.DATASETS.TRAIN_IMAGES, cfg.DATASETS.TEST = [labels], [images], []
    hook = WorstLoss()
    outcome = bdd_inst.train(cfg, output, mapper=Dimmed(cfg), hooks=[hook])
    print(f"highest loss {hook.worst:.2f}; {outcome.folder / 'model_final.pth'}")


if __name__ == "__main__":
    main(*sys.argv[1:])
