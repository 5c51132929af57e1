"""The plots read what a run logs and show all of it."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from bdd_inst.base.csv_log import CsvLog
from bdd_inst.report import plots


@pytest.fixture
def figures(monkeypatch):
    """Every figure that is saved, to look into."""
    seen = []
    write = Figure.savefig

    def keep(self, *args, **kwargs):
        seen.append(self)
        return write(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", keep)
    return seen


def log_run(folder, steps=60, evaluations=True):
    log, scores = CsvLog(folder / "training.csv"), CsvLog(folder / "evaluations.csv")
    for i in range(9, steps * 10, 10):
        stage = "heads" if i < 200 else "full"
        log.write(
            i,
            {
                "stage": stage,
                "loss_cls": 1.0 + i,
                "loss_mask": 2.0,
                "total_loss": 3.0 + i,
                "lr": 0.02,
            },
        )
        if evaluations and i % 100 == 99:
            scores.write(
                i,
                {"segm/AP": i / 100, "val/total_loss": 4.0} if i > 99 else {"val/total_loss": 4.0},
            )


def test_a_run_gets_its_curves(tmp_path, figures):
    log_run(tmp_path)
    path = plots.training_curves(tmp_path)
    assert path == tmp_path / "training_curves.png"
    assert Image.open(path).size[0] > 1000
    losses, rate, quality = figures[0].axes
    lines = {line.get_label(): line for line in losses.lines}
    assert {"cls", "mask", "total", "total, validation"} <= lines.keys()
    np.testing.assert_allclose(lines["mask"].get_ydata(), 2.0)
    assert lines["total"].get_xdata()[0] == 10  # ten iterations are done after iteration 9
    np.testing.assert_allclose(rate.lines[0].get_ydata(), 0.02)
    ap = {line.get_label(): line for line in quality.lines}["mask AP"]
    assert ap.get_xdata().tolist() == [200, 300, 400, 500, 600]
    assert {t.get_text() for t in losses.texts} == {"heads", "full"}


def test_a_run_without_evaluations_has_two_panels(tmp_path, figures):
    log_run(tmp_path, steps=5, evaluations=False)
    plots.training_curves(tmp_path)
    assert len(figures[0].axes) == 2


def test_no_log_no_image(tmp_path):
    assert plots.training_curves(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [1, 2, 7, 100])
def test_running_means_keep_the_ends_and_the_level(number):
    values = np.linspace(0, 1, number)
    np.testing.assert_allclose(plots.running_mean(values, 5), values, atol=1e-12)
