const DATA = JSON.parse($("data").textContent);
const AREAS = { APs: "small objects", APm: "medium objects", APl: "large objects", ARs: "recall, small", ARm: "recall, medium", ARl: "recall, large" };
function setUpTheme() {
  const root = document.documentElement, button = $("theme");
  const set = (dark) => { root.dataset.theme = dark ? "dark" : "light"; button.textContent = dark ? "Light" : "Dark"; button.setAttribute("aria-pressed", dark); };
  set(matchMedia("(prefers-color-scheme: dark)").matches);
  button.addEventListener("click", () => set(root.dataset.theme !== "dark"));
}
function setUpFigures() {
  $("protocol").textContent = DATA.protocol_text;
  for (const tile of DATA.tiles) $("tiles").append(node("div", { class: tile.main ? "tile main" : "tile" }, node("b", {}, tile.text ?? show(tile.value)), node("span", {}, tile.name)));
  if (DATA.blocks.length) {
    const names = Object.keys(DATA.blocks[0].figures).filter((name) => !name.startsWith("AP-"));
    table($("figures-table"), [{ name: "protocol" }, ...names.map((name) => ({ name, title: AREAS[name], digits: 2 }))], DATA.blocks.map((b) => ({ cells: [b.name, ...names.map((n) => b.figures[n])], strong: b.main })));
  }
  else $("figures").querySelector("h2").firstChild.textContent = "Figures ";
  $("notes").append(...DATA.notes.map((note) => node("li", {}, note)));
  if (DATA.mended.length) { $("mended").hidden = false; $("mended").querySelector("ul").append(...DATA.mended.map((text) => node("li", {}, text))); }
}
function setUpLabelMap() {
  const map = DATA.label_map;
  if (!map) return;
  $("label-map").hidden = false;
  $("label-map-how").textContent = map.how ?? (map.threshold === undefined ? "prediction maps against label maps" : `instances of a score of at least ${map.threshold.toFixed(2)}, chosen on ${map.threshold_chosen_on}`);
  const names = Object.keys(map).filter((n) => n.startsWith("IoU-")).map((n) => n.slice(4));
  table($("label-map-table"), [{ name: "class" }, { name: "IoU", digits: 2, bar: true }, { name: "Dice", digits: 2 }, ...(map.how ? [{ name: "accuracy", digits: 2 }, { name: "Boundary IoU", digits: 2 }] : [])],
    [...names.map((n) => [n, map[`IoU-${n}`], map[`Dice-${n}`], ...(map.how ? [map[`ACC-${n}`], map[`BoundaryIoU-${n}`]] : [])]), { cells: ["mean without background", map.mIoU, map.mDice, ...(map.how ? [map.mACC, map.BoundaryIoU] : [])], strong: true }, ["pixel accuracy", map.accuracy, null, ...(map.how ? [null, null] : [])]]);
  heat($("label-map-confusion"), map.confusion.classes, map.confusion.pixels, "truth \\ prediction, pixels");
  if (map.sweep?.length) chart($("sweep"), [{ name: "mean IoU", color: COLORS[0], xs: map.sweep.map((s) => s.threshold), ys: map.sweep.map((s) => s.mIoU), marks: true }], { xLabel: "score threshold", yLabel: "mean IoU", title: "Threshold sweep" });
}
function setUpPanoptic() {
  const found = DATA.panoptic;
  if (!found) return;
  $("panoptic").hidden = false;
  const figures = [{ name: "PQ", bar: true, digits: 2 }, { name: "SQ", digits: 2, title: "mean IoU of the segments that are found" }, { name: "RQ", digits: 2, title: "F1 of finding them at IoU above 0.50" }];
  table($("panoptic-groups"), [{ name: "classes" }, ...figures], found.groups);
  table($("panoptic-classes"), [{ name: "class" }, { name: "kind", text: true }, ...figures, ...["found", "missed", "false"].map((name) => ({ name, digits: 0 }))], found.classes, { sortable: true });
}
function setUpDrawn() {
  if (!DATA.drawn.length) return;
  $("drawn").hidden = false;
  $("drawn-how").textContent = "the image, its labels, the prediction";
  $("drawn-list").append(...DATA.drawn.map((one) => node("figure", {}, node("img", { src: one.image, alt: `${one.name}: image, labels, prediction`, loading: "lazy", style: "width:100%;border-radius:6px" }), node("figcaption", { class: "hint" }, one.name))));
}
function setUpComparison() {
  const other = DATA.comparison;
  if (!other) return;
  $("comparison").hidden = false;
  $("comparison-how").textContent = other.text;
  const change = (row) => node("span", { class: row.certain ? (row.difference > 0 ? "better" : "worse") : "" }, row.difference === null ? "–" : `${row.difference > 0 ? "+" : ""}${row.difference.toFixed(2)}`);
  table($("comparison-table"), [{ name: "figure" }, { name: other.first, digits: 2 }, { name: other.second, digits: 2 }, { name: "difference" }, { name: "95 % interval" }, { name: "beyond chance", text: true }],
    other.rows.map((row) => [row.name, row.first, row.second, change(row), row.low === null ? "–" : `${row.low.toFixed(2)} to ${row.high.toFixed(2)}`, row.low === null ? "" : row.certain ? "yes" : "no"]), { sortable: true });
}
function setUpKind(kind) {
  const part = DATA.kinds[kind], hidden = new Set();
  if (!part) { for (const id of ["curves", "classes", "errors", "slices"]) $(id).hidden = true; return; }
  const ious = [...new Set(part.curves.map((c) => c.iou))];
  $("iou").replaceChildren(...ious.map((iou) => node("option", { value: iou }, iou.toFixed(2))));
  const draw = () => {
    const shown = part.curves.filter((c) => c.iou === +$("iou").value);
    const series = shown.map((c) => ({ name: `${c.name}  (AP ${(100 * c.p.reduce((a, b) => a + b, 0) / c.p.length).toFixed(1)})`, key: c.name, mean: c.mean, color: colorOf(DATA.classes.indexOf(c.name)),
      xs: c.p.map((_, i) => i / 100), ys: c.p, note: c.s ? (i) => (c.p[i] > 0 ? `score ${c.s[i].toFixed(2)}` : "never reached") : null }));
    chart($("pr"), series.filter((s) => !hidden.has(s.key)), { xLabel: "recall", yLabel: "precision", x: [0, 1], y: [0, 1], height: 400 });
    $("pr-legend").replaceChildren(...series.map((s) => {
      const button = node("button", { type: "button", "aria-pressed": String(!hidden.has(s.key)) }, node("i", { style: `background:${s.mean ? "var(--ink)" : s.color}` }), s.name);
      button.addEventListener("click", () => { hidden.has(s.key) ? hidden.delete(s.key) : hidden.add(s.key); draw(); $("pr-legend").children[series.indexOf(s)].focus(); });
      return button;
    }));
  };
  $("few").textContent = part.few ? `${part.few}: those with the most objects; all are in the table and in pr_curves.csv.` : "";
  $("iou").onchange = draw;
  draw();
  window.onresize = draw;
  const columns = [{ name: "class" }, { name: "objects", digits: 0 }, { name: "AP", bar: true }, { name: "AP50" }, { name: "AP75" }, ...(part.boundary ? [{ name: "boundary AP", title: "AP by the smaller of mask IoU and Boundary IoU" }] : []),
    { name: "best score", digits: 2 }, { name: "F1" }, { name: "precision" }, { name: "recall" }];
  table($("class-table"), columns, part.classes, { sortable: true });
  setUpErrors(part);
  $("slices").hidden = !part.slices.length;
  table($("slice-table"), [{ name: "attribute" }, { name: "value", text: true }, { name: "images", digits: 0 }, { name: "objects", digits: 0 }, { name: "AP", bar: true }, { name: "AP50" }, { name: "AR", title: "recall, mean over IoU 0.50 to 0.95" }], part.slices, { sortable: true });
}
function setUpErrors(part) {
  const most = Math.max(...part.tide.map((e) => e.cost), 1e-9);
  $("tide").replaceChildren(...part.tide.map((e) => node("div", { class: "error" }, node("b", {}, e.name), node("span", { class: "track" }, node("i", { style: `width:${(100 * e.cost) / most}%` })), node("span", {}, `+${e.cost.toFixed(1)}`),
    node("small", {}, `${e.description}${e.count === null ? "" : `: ${e.count.toLocaleString("en")}`}`))));
  const bins = part.calibration.bins.filter((b) => b.count);
  chart($("calibration"), [{ name: "perfect", color: "#999", dashed: true, xs: [0, 1], ys: [0, 1] }, { name: "measured", color: COLORS[0], xs: bins.map((b) => b.score), ys: bins.map((b) => b.precision), marks: true, note: (i) => `${bins[i].count.toLocaleString("en")} detections` }],
    { xLabel: "score", yLabel: "precision", x: [0, 1], y: [0, 1], title: `Calibration, expected error ${part.calibration.error === null ? "–" : (100 * part.calibration.error).toFixed(1) + " %"}` });
  const few = part.few ? `${part.few}: those confused most; ` : "";
  $("confusion-how").textContent = `${few}detections of a score of at least ${part.threshold.toFixed(2)}, IoU at least 0.50; rows are the truth, shares of a row are colored`;
  heat($("confusion"), part.confusion_names, part.confusion, "truth \\ prediction");
}
function setUpTraining() {
  const run = DATA.training;
  if (!run) return;
  $("training").hidden = false;
  const keys = (target, list) => target.append(node("div", { class: "legend" }, ...list.map((s, i) => node("span", {}, node("i", { style: `background:${colorOf(i)}` }), s.name))));
  const lines = (list, marks) => list.map((s, i) => ({ name: s.name, color: colorOf(i), xs: s.xs, ys: s.ys, marks }));
  if (run.losses.length) chart($("losses"), lines(run.losses), { xLabel: "iteration", yLabel: "loss", title: "Losses", xDigits: 0, yDigits: 3 }), keys($("losses"), run.losses);
  if (run.scores.length) chart($("progress"), lines(run.scores, true), { xLabel: "iteration", yLabel: "AP", title: "Validation", xDigits: 0 }), keys($("progress"), run.scores);
}
function setUpProvenance() {
  $("provenance-table").replaceChildren(node("tbody", {}, ...DATA.provenance.map(([name, value]) => node("tr", {}, node("td", {}, name), node("td", {}, value)))));
  if (DATA.config) { $("config").hidden = false; $("config").querySelector("pre").textContent = DATA.config; }
}
function setUpKinds() {
  const kinds = Object.keys(DATA.kinds);
  if (kinds.length > 1) for (const kind of kinds) {
    const button = node("button", { type: "button", "aria-pressed": String(kind === DATA.first_kind) }, DATA.kinds[kind].label);
    button.addEventListener("click", () => { for (const other of $("kinds").children) other.setAttribute("aria-pressed", String(other === button)); setUpKind(kind); });
    $("kinds").append(button);
  }
  setUpKind(DATA.first_kind);
}
setUpTheme();
setUpFigures();
setUpLabelMap();
setUpPanoptic();
setUpDrawn();
setUpComparison();
setUpKinds();
setUpGallery();
setUpTraining();
setUpProvenance();
document.querySelector("nav").append(node("div", {}, ...[...document.querySelectorAll("main > section:not([hidden])")].map((s) => node("a", { href: `#${s.id}` }, s.dataset.title))));
document.documentElement.dataset.ready = "yes";
