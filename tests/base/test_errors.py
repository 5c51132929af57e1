"""The problem log counts by reason and keeps a bounded number of examples."""

from bdd_inst.base.errors import ProblemLog


def test_counts_are_whole_and_examples_bounded():
    log = ProblemLog(keep=3)
    for i in range(10):
        log.add("missing-image", f"{i}.jpg", "not found")
    log.add("empty-polygon", "a.json: label 3", "has 2 points", count=5)
    assert log.counts == {"missing-image": 10, "empty-polygon": 5}
    assert [p.where for p in log.examples["missing-image"]] == ["0.jpg", "1.jpg", "2.jpg"]
    assert len(log) == 15
    first = log.lines()[0]
    assert first.startswith("10 x missing-image")
    assert "0.jpg: not found" in first


def test_merge_adds_counts_and_keeps_the_bound():
    one, two = ProblemLog(keep=2), ProblemLog(keep=2)
    one.add("x", "a", "m")
    for where in "bcd":
        two.add("x", where, "m")
    one.merge(two)
    assert one.counts["x"] == 4
    assert [p.where for p in one.examples["x"]] == ["a", "b"]
    assert not ProblemLog()
