// A table that can be sorted, of any length: only the rows in sight, and some more, are in the document.

const ROW = 36; // height of a row in pixels; page.css has the same
const SPARE = 12; // rows above and below those in sight

/**
 * A table. `columns`: `{ key, label, value(id), cell(id), width, right }`, where `value` is what is sorted by, `cell`
 * what is shown (the value, where absent), `width` a CSS width. `order`: the sort at first. `choose(id)`: a row was
 * chosen. `isChosen(id)`: whether it is now.
 *
 * Returns the element, `show(ids)`, `mark()` to show anew what is chosen, `enter()` to put the focus on the first row.
 */
function table({ label, columns, order, choose, isChosen }) {
  const body = el("tbody");
  const heads = columns.map((column) => head(column, order));
  const sheet = el(
    "table",
    { class: "sheet", role: "grid", "aria-label": label },
    el(
      "colgroup",
      null,
      columns.map(({ width }) => sized(el("col"), width)),
    ),
    el("thead", null, el("tr", null, heads)),
    body,
  );
  const scroller = el("div", { class: "scroller" }, sheet);
  const empty = el("p", { class: "quiet empty", hidden: true }, "Nothing fits the search and the filters.");
  let ids = [];
  let cursor = 0;

  const row = (id, at) => {
    const cells = columns.map((column) => {
      const cell = column.cell ? column.cell(id) : column.value(id);
      const title = typeof cell === "string" && cell.length > 12 ? cell : null;
      return el("td", { class: column.right ? "right" : null, title }, typeof cell === "number" ? number(cell) : cell);
    });
    const props = { "aria-rowindex": at + 2, "aria-selected": String(isChosen(id)), tabindex: at === cursor ? 0 : -1 };
    return el("tr", { ...props, data: { at } }, cells);
  };
  const spacer = (rows) => {
    if (rows <= 0) return null;
    const cell = el("td", { colspan: columns.length });
    cell.style.height = `${rows * ROW}px`;
    return el("tr", { class: "spacer", "aria-hidden": "true" }, cell);
  };
  const paint = () => {
    const focused = body.contains(document.activeElement);
    const first = Math.max(Math.floor(scroller.scrollTop / ROW) - SPARE, 0);
    const last = Math.min(Math.ceil((scroller.scrollTop + (scroller.clientHeight || 600)) / ROW) + SPARE, ids.length);
    const rows = ids.slice(first, last).map((id, at) => row(id, first + at));
    body.replaceChildren(...[spacer(first), ...rows, spacer(ids.length - last)].filter(Boolean));
    if (focused) body.querySelector(`[data-at="${cursor}"]`)?.focus({ preventScroll: true });
  };
  const move = (to) => {
    cursor = Math.max(0, Math.min(to, ids.length - 1));
    const [top, room] = [cursor * ROW, scroller.clientHeight - ROW * 1.2];
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    if (top + ROW > scroller.scrollTop + room) scroller.scrollTop = top + ROW - room;
    paint();
    body.querySelector(`[data-at="${cursor}"]`)?.focus({ preventScroll: true });
  };

  scroller.addEventListener("scroll", () => requestAnimationFrame(paint), { passive: true });
  body.addEventListener("click", (event) => {
    const line = event.target.closest("tr[data-at]");
    if (!line) return;
    cursor = Number(line.dataset.at);
    choose(ids[cursor]);
  });
  body.addEventListener("keydown", (event) => {
    const page = Math.max(Math.floor(scroller.clientHeight / ROW) - 2, 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    if (step === undefined && event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    if (step === undefined) choose(ids[cursor]);
    else move(cursor + step);
  });

  const show = (next) => {
    const wanted = state.sort || order;
    const column = columns.find(({ key }) => key === wanted.replace(/^-/, "")) ?? columns[0];
    ids = sorted(next, column.value, wanted.startsWith("-"));
    cursor = Math.max(0, Math.min(cursor, ids.length - 1));
    sheet.setAttribute("aria-rowcount", ids.length + 1);
    empty.hidden = ids.length > 0;
    columns.forEach(({ key }, at) => {
      const sort = wanted === key ? "ascending" : wanted === `-${key}` ? "descending" : "none";
      heads[at].setAttribute("aria-sort", sort);
    });
    paint();
  };
  return { element: el("div", { class: "table" }, scroller, empty), show, mark: paint, enter: () => move(0) };
}

function sized(column, width) {
  if (width) column.style.width = width;
  return column;
}

/** The head of a column, which sorts by it, and the other way when it is pressed again. */
function head({ key, label, right }, order) {
  const press = () => {
    const now = state.sort || order;
    const first = right ? `-${key}` : key;
    const other = right ? key : `-${key}`;
    const next = now === first ? other : first;
    state.change({ sort: next === order ? "" : next });
  };
  return el("th", { scope: "col", class: right ? "right" : null, "aria-sort": "none" }, button(null, press, label));
}

/** Ids by what `value` says of them, numbers by size, texts by their code points; equal ones stay in their order. */
function sorted(ids, value, backwards) {
  const keyed = ids.map((id) => [value(id), id]);
  const sign = backwards ? -1 : 1;
  keyed.sort(([a, x], [b, y]) => (a < b ? -sign : a > b ? sign : x - y));
  return keyed.map(([, id]) => id);
}
