const $ = (id) => document.getElementById(id);
const show = (value, digits = 1) => (value === null || value === undefined ? "–" : typeof value === "number" ? value.toFixed(digits) : String(value));
function node(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) value === true ? made.setAttribute(name, "") : made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}
/* columns: {name, title?, text?, digits?, bar?}; rows: arrays of values. Sorting keeps undefined values last. */
function table(target, columns, rows, options = {}) {
  const head = node("tr"), body = node("tbody");
  const fill = (list) => body.replaceChildren(...list.map((row) => node("tr", row.strong ? { class: "strong" } : {}, ...columns.map((column, i) => cell(column, row.cells[i])))));
  const cell = (column, value) => {
    if (value instanceof Node) return node("td", column.text ? { class: "text" } : {}, value);
    const made = node("td", column.text ? { class: "text" } : {}, show(value, column.digits ?? 1));
    if (column.bar && typeof value === "number") made.prepend(node("span", { class: "bar", style: `width:${Math.max(0, Math.min(100, value)) * 0.5}px` }));
    return made;
  };
  const list = rows.map((row) => (Array.isArray(row) ? { cells: row } : row));
  columns.forEach((column, i) => {
    const attributes = { scope: "col", ...(column.text ? { class: "text" } : {}), ...(column.title ? { title: column.title } : {}) };
    if (!options.sortable) return head.append(node("th", attributes, column.name));
    const button = node("button", { type: "button" }, column.name), header = node("th", { ...attributes, "aria-sort": "none" }, button);
    button.addEventListener("click", () => {
      const down = header.getAttribute("aria-sort") !== "descending" ? !(column.text && header.getAttribute("aria-sort") === "none") : false;
      for (const other of head.children) other.setAttribute("aria-sort", "none");
      header.setAttribute("aria-sort", down ? "descending" : "ascending");
      fill([...list].sort((a, b) => compare(a.cells[i], b.cells[i], down)));
    });
    head.append(header);
  });
  fill(list);
  target.replaceChildren(node("thead", {}, head), body);
}
function compare(a, b, down) {
  const key = (value) => (value instanceof Node ? value.textContent : value);
  [a, b] = [key(a), key(b)];
  if (a === null || a === undefined) return 1;
  if (b === null || b === undefined) return -1;
  const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
  return down ? -order : order;
}
/* A matrix of counts, colored by its row's shares. */
function heat(target, names, matrix, corner) {
  const head = node("tr", {}, node("th", { scope: "col" }, corner), ...names.map((name) => node("th", { scope: "col" }, name)));
  const body = matrix.map((row, i) => {
    const total = row.reduce((a, b) => a + b, 0);
    const cells = row.map((value, j) => {
      const share = total ? value / total : 0;
      return node("td", { style: `background:rgba(var(--heat),${(share * 0.75).toFixed(3)})`, ...(i === j ? { class: "diagonal" } : {}),
        title: `${names[i]} → ${names[j]}: ${value} (${(100 * share).toFixed(1)} %)` }, value.toLocaleString("en"));
    });
    return node("tr", {}, node("th", { scope: "row" }, names[i]), ...cells);
  });
  target.replaceChildren(node("thead", {}, head), node("tbody", {}, ...body));
}
