"""The CSV of a run: columns that come later, rows that a resumed run writes again, a torn last line."""

from __future__ import annotations

import pytest

from bdd_inst.base.csv_log import CsvLog


def test_rows_and_late_columns(tmp_path):
    log = CsvLog(tmp_path / "training.csv")
    log.write(0, {"stage": "heads", "loss": 1.5})
    log.write(1, {"stage": "heads", "loss": 1.25, "lr": 0.1})
    log.write(2, {"loss": None, "lr": 0.2})
    assert (
        log.path.read_text() == "iteration,stage,loss,lr\n0,heads,1.5,\n1,heads,1.25,0.1\n2,,,0.2\n"
    )


def test_going_on_drops_later_rows_and_a_torn_line(tmp_path):
    path = tmp_path / "training.csv"
    log = CsvLog(path)
    for i in range(4):
        log.write(i, {"loss": float(i)})
    with path.open("a") as stream:
        stream.write("4,")
        stream.write("5.0,7.0,torn")
    again = CsvLog(path)
    again.resume_from(2)
    again.write(2, {"loss": 9.0})
    assert path.read_text() == "iteration,loss\n0,0.0\n1,1.0\n2,9.0\n"


@pytest.mark.parametrize("content", ["", "iteration,loss\n"])
def test_an_empty_file_is_a_start(tmp_path, content):
    path = tmp_path / "training.csv"
    path.write_text(content)
    log = CsvLog(path)
    log.resume_from(0)
    log.write(0, {"loss": 1.0})
    assert path.read_text().splitlines() == ["iteration,loss", "0,1.0"]


def test_a_row_that_could_not_be_written_is_mended_by_the_next(tmp_path, monkeypatch):
    """On a full disk half a row may be there, or a new column's rewrite may fail."""
    log = CsvLog(tmp_path / "training.csv")
    log.write(0, {"loss": 1.0})
    with monkeypatch.context() as patch:
        patch.setattr(
            CsvLog,
            "_rewrite",
            lambda self, rows: (_ for _ in ()).throw(OSError(28, "No space left on device")),
        )
        with pytest.raises(OSError, match="No space"):
            log.write(1, {"loss": 2.0, "lr": 0.1})
    with log.path.open("a") as stream:
        stream.write("2,3")
    log.write(3, {"loss": 4.0, "lr": 0.1})
    assert log.path.read_text() == "iteration,loss,lr\n0,1.0,\n3,4.0,0.1\n"
