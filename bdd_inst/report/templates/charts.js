const COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#C58A00", "#3FA2DB", "#7B4FB5", "#8C564B", "#5B8C00", "#B3366B"];
const colorOf = (i) => (i < COLORS.length ? COLORS[i] : `hsl(${(i * 137.5) % 360} 60% 48%)`);
const SVG = "http://www.w3.org/2000/svg";
function shape(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
function ticks(low, high, wanted = 5) {
  const raw = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(raw || 1));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= raw) || power, out = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-6; value += step) out.push(+value.toPrecision(12));
  return out;
}
function tip(text, x, y) {
  const box = $("tip");
  if (!text) return box.classList.remove("on");
  box.textContent = text;
  box.classList.add("on");
  const width = box.offsetWidth, height = box.offsetHeight;
  box.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 8))}px`;
  box.style.top = `${Math.max(4, y - height - 12)}px`;
}
/* series: {name, color, xs, ys, mean?, marks?, note?(i)}; a chart with axes, hover and arrow keys. */
function chart(target, series, { xLabel, yLabel, x = null, y = null, height = 300, title = "", xDigits = 2, yDigits = 2, log = false }) {
  const width = Math.max(320, Math.min(1180, target.clientWidth || 560)), left = 52, right = 14, top = title ? 30 : 12, bottom = 42;
  const all = series.flatMap((s) => s.ys.filter((v) => v !== null && Number.isFinite(v) && (!log || v > 0))), allX = series.flatMap((s) => s.xs);
  const [x0, x1] = x || [Math.min(...allX), Math.max(...allX)];
  let [y0, y1] = y || [log ? Math.min(...all) : 0, Math.max(...all) || 1];
  const lift = (v) => (log ? Math.log10(Math.max(v, 1e-12)) : v);
  const px = (v) => left + ((v - x0) / (x1 - x0 || 1)) * (width - left - right);
  const py = (v) => height - bottom - ((lift(v) - lift(y0)) / (lift(y1) - lift(y0) || 1)) * (height - top - bottom);
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: "0", "aria-label": `${title || yLabel} over ${xLabel}; ${series.map((s) => s.name).join(", ")}` });
  for (const value of ticks(x0, x1)) svg.append(shape("line", { class: "grid", x1: px(value), x2: px(value), y1: top, y2: height - bottom }),
    shape("text", { x: px(value), y: height - bottom + 17, "text-anchor": "middle" }, String(value)));
  const marks = log ? ticks(Math.floor(lift(y0)), Math.ceil(lift(y1)), 4).map((p) => 10 ** p).filter((v) => v >= y0 * 0.99 && v <= y1 * 1.01) : ticks(y0, y1);
  for (const value of marks) svg.append(shape("line", { class: "grid", x1: left, x2: width - right, y1: py(value), y2: py(value) }),
    shape("text", { x: left - 7, y: py(value) + 4, "text-anchor": "end" }, log ? value.toPrecision(1) : String(value)));
  svg.append(shape("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }),
    shape("text", { x: (left + width) / 2, y: height - 6, "text-anchor": "middle" }, xLabel),
    shape("text", { x: 13, y: (height - bottom + top) / 2, "text-anchor": "middle", transform: `rotate(-90 13 ${(height - bottom + top) / 2})` }, yLabel));
  if (title) svg.append(shape("text", { x: left, y: 17, style: "font-weight:600;fill:var(--ink)" }, title));
  for (const s of series) {
    let path = "", open = false;
    s.xs.forEach((value, i) => { const v = s.ys[i]; if (v === null || !Number.isFinite(v)) { open = false; return; } path += `${open ? "L" : "M"}${px(value).toFixed(1)} ${py(v).toFixed(1)}`; open = true; });
    svg.append(shape("path", { d: path, class: s.mean ? "mean" : "", ...(s.mean ? {} : { stroke: s.color }), ...(s.dashed ? { "stroke-dasharray": "5 4" } : {}) }));
    if (s.marks) s.xs.forEach((value, i) => { if (s.ys[i] !== null && Number.isFinite(s.ys[i])) svg.append(shape("circle", { cx: px(value), cy: py(s.ys[i]), r: 3.2, fill: s.color })); });
  }
  const cross = shape("line", { class: "cross", y1: top, y2: height - bottom, visibility: "hidden" }), dot = shape("circle", { r: 4.5, visibility: "hidden", stroke: "var(--paper)", "stroke-width": 1.5 });
  svg.append(cross, dot);
  let at = null;
  const mark = (s, i) => {
    if (!s) { cross.setAttribute("visibility", "hidden"); dot.setAttribute("visibility", "hidden"); return tip(null); }
    at = [s, i];
    const cx = px(s.xs[i]), cy = py(s.ys[i]), box = svg.getBoundingClientRect(), zoom = box.width / width;
    cross.setAttribute("x1", cx); cross.setAttribute("x2", cx); cross.setAttribute("visibility", "visible");
    dot.setAttribute("cx", cx); dot.setAttribute("cy", cy); dot.setAttribute("fill", s.mean ? "var(--ink)" : s.color); dot.setAttribute("visibility", "visible");
    tip(`${s.name}\n${xLabel} ${s.xs[i].toFixed(xDigits)}, ${yLabel} ${s.ys[i].toFixed(yDigits)}${s.note ? `\n${s.note(i)}` : ""}`, box.left + cx * zoom, box.top + cy * zoom);
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect(), mx = ((event.clientX - box.left) / box.width) * width, my = ((event.clientY - box.top) / box.height) * height;
    let best = null, least = Infinity;
    for (const s of series) s.xs.forEach((value, i) => { if (s.ys[i] === null || !Number.isFinite(s.ys[i])) return; const d = Math.abs(px(value) - mx) * 3 + Math.abs(py(s.ys[i]) - my); if (d < least) { least = d; best = [s, i]; } });
    best ? mark(...best) : mark(null);
  });
  svg.addEventListener("pointerleave", () => mark(null));
  svg.addEventListener("blur", () => mark(null));
  svg.addEventListener("keydown", (event) => {
    if (!series.length || !["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"].includes(event.key)) return;
    event.preventDefault();
    let [s, i] = at || [series[0], 0], k = series.indexOf(s);
    if (event.key === "ArrowUp" || event.key === "ArrowDown") s = series[(k + (event.key === "ArrowDown" ? 1 : series.length - 1)) % series.length];
    else i = Math.max(0, Math.min(s.xs.length - 1, i + (event.key === "ArrowRight" ? 1 : -1)));
    i = Math.min(i, s.xs.length - 1);
    if (Number.isFinite(s.ys[i])) mark(s, i);
  });
  target.replaceChildren(svg);
}
