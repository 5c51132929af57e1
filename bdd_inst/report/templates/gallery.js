/* Images with outlines as SVG paths. Verdicts follow the score limit: detections chose their objects in order of score, so those above
   the limit keep their choice; what is left over is paired across classes, highest IoU first. */
function verdicts(entry, least) {
  const taken = entry.truth.map(() => false), found = entry.found.map((item) => (item.score < least ? "hidden" : item.g === -2 ? "ignored" : item.g >= 0 ? "right" : "false"));
  entry.found.forEach((item, i) => { if (found[i] === "right") taken[item.g] = true; });
  const spare = entry.found.flatMap((item, i) => (found[i] === "false" && item.near ? item.near.map(([g, iou]) => [iou, i, g]) : []));
  for (const [, i, g] of spare.sort((a, b) => b[0] - a[0])) if (found[i] === "false" && !taken[g] && !entry.truth[g].ignored) { found[i] = "confused"; taken[g] = true; }
  return { found, truth: entry.truth.map((item, g) => (item.ignored ? "ignored" : taken[g] ? "truth" : "missed")) };
}
function overlay(entry) {
  const svg = shape("svg", { viewBox: `0 0 ${entry.width} ${entry.height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const add = (layer, item, label) => {
    const mark = item.path ? shape("path", { d: item.path, "fill-rule": "evenodd" }) : shape("rect", { x: item.box[0], y: item.box[1], width: item.box[2], height: item.box[3] });
    const size = Math.max(entry.width, entry.height) / 48;
    const text = shape("text", { x: Math.max(1, item.box[0]), y: Math.max(size, item.box[1] - size / 4) }, label);
    text.style.fontSize = `${size}px`;
    svg.append(shape("g", { class: `of-${layer}` }, mark, text));
  };
  for (const item of entry.truth) add("truth", item, DATA.classes[item.k]);
  for (const item of entry.found) add("found", item, `${DATA.classes[item.k]} ${item.score.toFixed(2)}`);
  svg.judge = (least) => {
    const now = verdicts(entry, least);
    [...svg.children].forEach((group, n) => {
      const of_truth = n < entry.truth.length, verdict = of_truth ? now.truth[n] : now.found[n - entry.truth.length];
      group.setAttribute("class", `of-${of_truth ? "truth" : "found"} ${verdict}`);
      group.firstChild.setAttribute("class", `object ${verdict}`);
    });
  };
  return svg;
}
function frame(entry) {
  const image = entry.image ? node("img", { src: entry.image, alt: `${entry.name}: ${entry.reasons || "nothing wrong"}`, loading: "lazy", width: entry.width, height: entry.height })
    : node("img", { src: `data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' width='${entry.width}' height='${entry.height}'/>`, alt: entry.name, width: entry.width, height: entry.height });
  return node("div", { class: "frame" }, image, overlay(entry));
}
function setUpGallery() {
  const list = $("images"), viewer = $("viewer");
  if (!DATA.gallery.length) { $("gallery").hidden = true; return; }
  let order = [...DATA.gallery], open = 0;
  const apply = () => {
    const least = +$("score").value;
    $("score-value").textContent = least.toFixed(2);
    for (const place of [list, viewer]) {
      place.classList.toggle("hide-truth", !$("show-truth").checked);
      place.classList.toggle("hide-found", !$("show-found").checked);
      place.classList.toggle("hide-names", !$("show-names").checked);
      for (const svg of place.querySelectorAll(".frame svg")) svg.judge(least);
    }
  };
  const draw = () => {
    const by = { worst: (a, b) => b.badness - a.badness, best: (a, b) => a.badness - b.badness, name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }) }[$("order").value];
    order = [...DATA.gallery].sort(by);
    list.replaceChildren(...order.map((entry, i) => {
      const button = node("button", { type: "button", class: "open", "aria-label": `Enlarge ${entry.name}` }, frame(entry));
      button.addEventListener("click", () => enlarge(i));
      return node("div", { class: "image" }, button, node("p", {}, node("b", {}, entry.name), entry.reasons || "nothing wrong"));
    }));
    apply();
  };
  const enlarge = (i) => {
    open = (i + order.length) % order.length;
    $("viewer-title").textContent = `${order[open].name} (${open + 1} of ${order.length})`;
    $("viewer-reasons").textContent = order[open].reasons || "nothing wrong";
    $("viewer-body").replaceChildren(frame(order[open]));
    if (!viewer.open) viewer.showModal();
    apply();
  };
  $("score").value = DATA.gallery_threshold;
  for (const id of ["score", "show-truth", "show-found", "show-names"]) $(id).addEventListener("input", apply);
  $("order").addEventListener("change", draw);
  $("previous").addEventListener("click", () => enlarge(open - 1));
  $("next").addEventListener("click", () => enlarge(open + 1));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(SELECT|TEXTAREA)$/.test(event.target.tagName) || event.target.type === "range") return;
    const box = { g: "show-truth", p: "show-found", n: "show-names" }[event.key];
    if (box) { $(box).checked = !$(box).checked; apply(); }
    if (viewer.open && event.key === "ArrowLeft") enlarge(open - 1);
    if (viewer.open && event.key === "ArrowRight") enlarge(open + 1);
  });
  draw();
}
