/* Pictures with outlines as SVG paths; switches hide layers by class, the slider hides predictions by score. */
const VERDICT_WORDS = { right: "right", confused: "wrong class", false: "false", ignored: "ignored", "": "below the threshold" };
function overlay(picture) {
  const svg = shape("svg", { viewBox: `0 0 ${picture.width} ${picture.height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const add = (layer, item, style, label) => {
    const group = shape("g", { class: `of-${layer}`, "data-score": item.score ?? 2 });
    group.append(item.path ? shape("path", { d: item.path, class: `object ${style}`, "fill-rule": "evenodd" })
      : shape("rect", { x: item.box[0], y: item.box[1], width: item.box[2], height: item.box[3], class: `object ${style}` }));
    const text = shape("text", { x: Math.max(2, item.box[0] + 2), y: Math.min(picture.height - 4, Math.max(12, item.box[1] - 4)) }, label);
    text.style.fontSize = `${Math.max(11, picture.width / 52)}px`;
    group.append(text);
    svg.append(group);
  };
  for (const item of picture.truth) add("truth", item, item.ignored ? "ignored" : item.missed ? "missed" : "truth", DATA.classes[item.k]);
  for (const item of picture.found) add("found", item, item.verdict || "false", `${DATA.classes[item.k]} ${item.score.toFixed(2)}`);
  return svg;
}
function frame(picture) {
  const image = picture.image ? node("img", { src: picture.image, alt: `${picture.name}: ${picture.reasons || "nothing wrong"}`, loading: "lazy", width: picture.width, height: picture.height })
    : node("img", { src: `data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' width='${picture.width}' height='${picture.height}'/>`, alt: picture.name, width: picture.width, height: picture.height });
  return node("div", { class: "frame" }, image, overlay(picture));
}
function setUpGallery() {
  const list = $("pictures"), viewer = $("viewer");
  if (!DATA.gallery.length) { $("gallery").hidden = true; return; }
  let order = [...DATA.gallery], open = 0;
  const apply = () => {
    const least = +$("score").value;
    $("score-value").textContent = least.toFixed(2);
    for (const place of [list, viewer]) {
      place.classList.toggle("hide-truth", !$("show-truth").checked);
      place.classList.toggle("hide-found", !$("show-found").checked);
      place.classList.toggle("hide-names", !$("show-names").checked);
      for (const group of place.querySelectorAll(".of-found")) group.style.display = +group.dataset.score >= least ? "" : "none";
    }
  };
  const draw = () => {
    const by = { worst: (a, b) => b.badness - a.badness, best: (a, b) => a.badness - b.badness, name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }) }[$("order").value];
    order = [...DATA.gallery].sort(by);
    list.replaceChildren(...order.map((picture, i) => {
      const button = node("button", { type: "button", class: "open", "aria-label": `Enlarge ${picture.name}` }, frame(picture));
      button.addEventListener("click", () => enlarge(i));
      return node("div", { class: "picture" }, button, node("p", {}, node("b", {}, picture.name), picture.reasons || "nothing wrong"));
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
