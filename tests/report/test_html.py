"""The report: one offline file under 10 MB whose tables, switches and keys work in a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import cv2
import numpy as np
import pytest

from bdd_inst.evaluation import label_map
from bdd_inst.evaluation.compare import compare
from bdd_inst.evaluation.label_map import LabelMapCounter
from bdd_inst.evaluation.protocols import score
from bdd_inst.report.gallery import svg_path
from bdd_inst.report.html import write_report
from bdd_inst.report.paper import write_paper_tables
from tests.evaluation.cases import SIDE, random_case
from tests.waiting import LAST_RESORT

CHROMIUM = next(
    (
        path
        for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))
        if path
    ),
    None,
)
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here; install Debian's chromium to run the browser tests"
)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """An evaluation with images on disk, attributes, crowds, label maps and a nasty class name."""
    folder = tmp_path_factory.mktemp("pictures")
    truth, results = random_case(21, images=12)
    truth.class_names[1] = "</script><b>bus"
    rng = np.random.default_rng(0)
    for i, name in enumerate(truth.file_names):
        cv2.imwrite(str(folder / name), rng.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8))
        truth.image_attributes[i] = {"weather": ["clear", "rainy"][i % 2]}
    made = score(truth, results, "both")
    made.label_maps = LabelMapCounter(truth.class_names)
    made.label_maps.add(
        np.ones((SIDE, SIDE), np.uint8), results.masks[:2], results.category[:2], results.scores[:2]
    )
    made.metrics["label_map"] = label_map.report(made.label_maps, 0.5, "elsewhere")
    return made, folder


@pytest.fixture(scope="module")
def report(outcome, tmp_path_factory):
    made, images = outcome
    run = tmp_path_factory.mktemp("run")
    (run / "training.csv").write_text("iteration,loss_cls,lr\n0,1.5,0.01\n1,1.2,0.01\n2,0.9,0.01\n")
    (run / "evaluations.csv").write_text("iteration,segm/AP\n2,12.5\n")
    (run / "run.json").write_text(
        json.dumps(
            {"seed": 42, "command": ["train_net.py"], "git": {"commit": "abc", "changed": True}}
        )
    )
    (run / "config.yaml").write_text("MODEL: {ENGINE: builtin}\n")
    weaker = made.results.take(np.arange(0, len(made.results), 2))
    differences = compare(made.truth, weaker, made.results, "segm", resamples=20)
    folder = tmp_path_factory.mktemp("report")
    comparison = (differences, "before", "after", "segm")
    return write_report(
        made,
        folder,
        title="A <test> & more",
        images=images,
        run_folder=run,
        comparison=comparison,
    )


def test_one_offline_file_under_ten_megabytes(report):
    text = report.read_text(encoding="utf-8")
    assert len(text.encode()) < 10_000_000
    outside = set(
        re.findall(
            r"""(?:src|href)\s*=\s*["']?(?!data:|#)([^"'\s>]+)""",
            text.split('<script type="application/json"')[0],
        )
    )
    assert not outside
    assert not re.findall(
        r"@import|url\(\s*['\"]?http|fetch\(|XMLHttpRequest|<link[^>]+stylesheet", text
    )
    assert "A &lt;test&gt; &amp; more" in text


def test_what_it_carries(report, outcome):
    made, _ = outcome
    text = report.read_text(encoding="utf-8")
    tree = json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1]
    )
    assert tree["classes"] == made.truth.class_names
    assert {block["name"] for block in tree["blocks"]} == {
        "COCO boxes",
        "COCO masks",
        "BDD100K boxes",
        "BDD100K masks",
    }
    assert tree["blocks"][1]["figures"]["AP"] == made.metrics["segm"]["AP"]
    assert [p["badness"] for p in tree["gallery"]] == sorted(
        (p["badness"] for p in tree["gallery"]), reverse=True
    )
    assert all(p["image"].startswith("data:image/jpeg;base64,") for p in tree["gallery"])
    rows = dict(tree["provenance"])
    assert rows["seed"] == "42"
    assert made.truth.fingerprint() in rows["ground truth hash"]
    assert tree["config"].startswith("MODEL")
    assert tree["training"]["losses"][0]["ys"] == [1.5, 1.2, 0.9]
    assert tree["comparison"]["rows"][0]["name"] == "AP"


def test_many_images_stay_under_the_limit(outcome, tmp_path, monkeypatch):
    from bdd_inst.report import html

    made, images = outcome
    whole = write_report(made, tmp_path / "whole", images=images).stat().st_size
    monkeypatch.setattr(html, "MOST_BYTES", whole // 2)
    small = write_report(made, tmp_path / "small", images=images)
    assert small.stat().st_size < whole


def test_outlines_enclose_the_mask():
    mask = np.zeros((60, 80), np.uint8)
    cv2.circle(mask, (40, 30), 20, 1, -1)
    cv2.circle(mask, (40, 30), 8, 0, -1)
    from bdd_inst.masks import run_lengths

    path = svg_path(run_lengths.encode(mask.astype(bool)), 1.0)
    rings = [
        np.array([[float(v) for v in point.split()] for point in ring.split("L")])
        for ring in re.findall(r"M(.*?)Z", path)
    ]
    assert len(rings) == 2  # the hole too
    drawn = np.zeros_like(mask)
    cv2.fillPoly(drawn, [np.floor(ring).astype(np.int32) for ring in rings], 1)
    assert (drawn & mask).sum() / (drawn | mask).sum() > 0.9


def browse(report, tmp_path, steps, width=1280):
    """Run ``steps`` (JavaScript that fills ``out``) in the page and return ``out``; errors of the page are in ``out.errors``."""
    page = report.read_text(encoding="utf-8")
    watch = "<script>window.trouble = []; addEventListener('error', (e) => trouble.push(String(e.message)));</script>"
    work = f"""<script>
const out = {{}};
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const key = (name, target = document.body) => target.dispatchEvent(new KeyboardEvent("keydown", {{ key: name, bubbles: true }}));
const visible = (selector) => [...document.querySelectorAll(selector)].filter((e) => getComputedStyle(e).display !== "none").length;
(async () => {{ try {{ {steps} }} catch (e) {{ trouble.push(String(e)); }}
out.errors = trouble;
const made = document.createElement("pre"); made.id = "outcome"; made.textContent = JSON.stringify(out); document.body.append(made); }})();
</script>"""
    copy = tmp_path / "page.html"
    copy.write_text(
        page.replace("<head>", f"<head>{watch}").replace("</body>", f"{work}</body>"),
        encoding="utf-8",
    )
    command = [
        CHROMIUM,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        f"--window-size={width},900",
        "--virtual-time-budget=8000",
    ]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", copy.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LAST_RESORT, check=False)
    found = re.search(r'<pre id="outcome">(.*?)</pre>', done.stdout, re.S)
    assert found, done.stderr[-2000:]
    import html

    return json.loads(html.unescape(found[1]))


@needs_browser
def test_opens_without_errors_and_draws_everything(report, tmp_path):
    out = browse(
        report,
        tmp_path,
        """
        out.ready = document.documentElement.dataset.ready;
        out.rows = document.querySelectorAll("#figures-table tbody tr").length;
        out.curves = document.querySelectorAll("#pr path").length;
        out.charts = ["calibration", "sweep", "losses", "progress"].map((id) => document.querySelectorAll(`#${id} path`).length);
        out.classes = [...document.querySelectorAll("#class-table tbody td:first-child")].map((c) => c.textContent);
        out.confusion = document.querySelectorAll("#confusion tbody td").length;
        out.images = document.querySelectorAll(".image").length;
        out.sections = [...document.querySelectorAll("nav a")].map((a) => a.textContent);
        out.scripts = document.querySelectorAll("b b").length;
        """,
    )
    assert out["errors"] == []
    assert out["ready"] == "yes"
    assert out["rows"] == 4
    assert out["curves"] == 4  # three classes and their mean
    assert all(number > 0 for number in out["charts"])
    assert out["classes"] == ["class 0", "</script><b>bus", "class 2"]
    assert out["confusion"] == 16
    assert out["images"] == 12
    assert {"Figures", "Label map", "Comparison", "Conditions", "Training", "Provenance"} <= set(
        out["sections"]
    )


@needs_browser
def test_switches_slider_and_keys_of_the_gallery(report, tmp_path):
    out = browse(
        report,
        tmp_path,
        """
        const slide = (v) => { score.value = v; score.dispatchEvent(new Event("input")); };
        slide(0);
        out.found_all = visible(".of-found"); out.truth_all = visible(".of-truth");
        slide(1);
        out.found_none = visible(".of-found");
        out.missed = document.querySelectorAll(".of-truth.missed").length;
        out.countable = DATA.gallery.flatMap((p) => p.truth).filter((t) => !t.ignored).length;
        slide(0.5);
        out.found_half = visible(".of-found");
        out.half = DATA.gallery.flatMap((p) => p.found).filter((f) => f.score >= 0.5).length;
        document.getElementById("show-truth").click();
        out.truth_hidden = visible(".of-truth");
        key("g"); out.truth_back = visible(".of-truth");
        key("p"); out.found_hidden = visible(".of-found");
        key("p"); key("n"); out.names_hidden = visible(".frame text");
        document.getElementById("order").value = "name";
        document.getElementById("order").dispatchEvent(new Event("change"));
        out.first = document.querySelector(".image b").textContent;
        """,
    )
    assert out["errors"] == []
    assert out["found_all"] > out["found_half"] == out["half"] > 0
    assert out["found_none"] == 0
    assert out["missed"] == out["countable"]
    assert out["truth_all"] == out["truth_back"] > 0
    assert out["truth_hidden"] == out["found_hidden"] == out["names_hidden"] == 0
    assert out["first"] == "0.png"


@needs_browser
def test_verdicts_in_the_page_are_those_of_the_analysis(report, outcome, tmp_path):
    made, _ = outcome
    out = browse(
        report,
        tmp_path,
        """
        const judged = (p, t) => { const v = verdicts(p, t); return [p.name, v.found.filter((w) => w !== "hidden").sort(),
          v.truth.filter((w) => w === "missed").length]; };
        out.now = Object.fromEntries([0.2, 0.5, 0.8].map((t) => [t, DATA.gallery.map((p) => judged(p, t))]));
        """,
    )
    from bdd_inst.evaluation.confusion import confusion

    for threshold, images in out["now"].items():
        table = confusion(made.truth, made.results, made.analyses["segm"].pairs, float(threshold))
        for name, verdicts, missed in images:
            i = made.truth.file_names.index(name)
            expected = sorted(v for v in table.verdict[made.results.image == i].tolist() if v)
            assert verdicts == expected, (name, threshold)
            assert missed == table.missed[made.truth.image == i].sum()


@needs_browser
def test_viewer_theme_sorting_and_curves(report, tmp_path):
    out = browse(
        report,
        tmp_path,
        """
        const buttons = document.querySelectorAll(".image button.open");
        buttons[0].click(); await wait(50);
        out.open = viewer.open; out.title = document.getElementById("viewer-title").textContent;
        key("ArrowRight"); out.second = document.getElementById("viewer-title").textContent;
        key("ArrowLeft"); key("ArrowLeft"); out.last = document.getElementById("viewer-title").textContent;
        viewer.close(); out.closed = !viewer.open;
        out.before = document.documentElement.dataset.theme; theme.click(); out.after = document.documentElement.dataset.theme;
        const header = document.querySelectorAll("#class-table thead th")[1];
        const column = () => [...document.querySelectorAll("#class-table tbody tr")].map((r) => +r.children[1].textContent);
        header.firstChild.click(); out.down = column(); out.sorted = header.getAttribute("aria-sort");
        header.firstChild.click(); out.up = column();
        document.querySelectorAll("#pr-legend button")[1].click(); out.curves = document.querySelectorAll("#pr path").length;
        document.querySelector("#pr svg").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" })); out.tip = tip_text();
        function tip_text() { return document.getElementById("tip").textContent; }
        const svg = document.querySelector("#pr svg"), box = svg.getBoundingClientRect();
        svg.dispatchEvent(new PointerEvent("pointermove", { clientX: box.left + box.width / 2, clientY: box.top + 50 }));
        out.hover = tip_text();
        iou.value = iou.options[5].value; iou.onchange(); out.iou = iou.options[5].textContent;
        document.querySelectorAll("#kinds button")[0].click();
        out.boundary = document.querySelector("#class-table thead").textContent.includes("boundary");
        out.focusable = [...document.querySelectorAll("button, a, input, select, [tabindex]")].every((e) => e.tabIndex >= 0);
        """,
    )
    assert out["errors"] == []
    assert out["open"]
    assert out["closed"]
    assert out["title"].endswith("(1 of 12)")
    assert out["second"].endswith("(2 of 12)")
    assert out["last"].endswith("(12 of 12)")
    assert {out["before"], out["after"]} == {"light", "dark"}
    assert out["down"] == sorted(out["down"], reverse=True)
    assert out["sorted"] == "descending"
    assert out["up"] == sorted(out["up"])
    assert out["curves"] == 3
    assert "recall 0.01" in out["tip"]
    assert "precision" in out["hover"]
    assert out["iou"] == "0.75"
    assert not out["boundary"]  # boxes have none
    assert out["focusable"]


@needs_browser
def test_fits_a_phone(report, tmp_path):
    holder = tmp_path / "phone.html"
    holder.write_text(
        f"""<!doctype html><iframe id=f style="width:360px;height:700px;border:0" src="{report.as_uri()}"></iframe><script>
        f.onload = () => setTimeout(() => {{ const d = f.contentDocument.documentElement;
        const p = document.createElement("pre"); p.id = "outcome"; p.textContent = JSON.stringify([d.scrollWidth, d.clientWidth]);
        document.body.append(p); }}, 500);</script>""",
        encoding="utf-8",
    )
    command = [
        CHROMIUM,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--allow-file-access-from-files",
        "--virtual-time-budget=8000",
    ]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", holder.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LAST_RESORT, check=False)
    inner, outer = json.loads(re.search(r'<pre id="outcome">(.*?)</pre>', done.stdout)[1])
    assert 300 < outer <= 360
    assert inner <= outer  # nothing sticks out sideways; wide tables scroll in their own frame


@needs_browser
def test_prints(report, tmp_path):
    target = tmp_path / "out.pdf"
    command = [
        CHROMIUM,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        f"--print-to-pdf={target}",
        "--virtual-time-budget=5000",
    ]
    command += [f"--user-data-dir={tmp_path / 'profile'}", report.as_uri()]
    subprocess.run(command, capture_output=True, timeout=LAST_RESORT, check=False)
    data = target.read_bytes()
    assert data.startswith(b"%PDF")
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", data)) <= 12


def test_tables_for_a_paper(outcome, tmp_path):
    made, _ = outcome
    paths = {path.name: path.read_text() for path in write_paper_tables(made.metrics, tmp_path)}
    ap = f"{made.metrics['segm']['AP']:.1f}"
    assert f"| {ap} |" in paths["table.md"].splitlines()[3]
    assert r"\toprule" in paths["table.tex"]
    assert f"coco,segm,AP,{made.metrics['segm']['AP']}" in paths["table.csv"]
    assert "label-map,label_map,mIoU" in paths["table.csv"]
