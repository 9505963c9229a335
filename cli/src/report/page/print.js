// Paper: the headline, the coverage, the whole map on one page, and the tables of findings and workloads.

/** The room for the map on paper, in CSS pixels; it says how much of it can be read. page.css has the same height. */
const PAPER = { width: 1030, height: 480 };

let kept = null;

function beforePrint() {
  if (kept) return;
  const map = byId("map");
  kept = { ...viewport };
  const margin = 10;
  const { x, y, width, height } = extent;
  const k = Math.min(PAPER.width / (width + 2 * margin), PAPER.height / (height + 2 * margin));
  Object.assign(viewport, { ...PAPER, k, x: x - margin, y: y - margin });
  hover = null;
  draw();
  layers.root.removeAttribute("transform");
  map.setAttribute("viewBox", [x - margin, y - margin, width + 2 * margin, height + 2 * margin].join(" "));
  const section = (title, name, flags) => {
    const ids = idsOf(flags);
    const { key, value } = COLUMNS[name][0];
    return ids.length && key
      ? el("section", null, el("h2", null, title), wholeTable(name, sorted(ids, value, false)))
      : null;
  };
  const parts = [
    ...(data.change ? changeParts() : []),
    ...coverageParts().slice(0, 2),
    section("Findings", "findings", shown.findings),
    section("Workloads", "workloads", shown.nodes),
  ];
  byId("print").replaceChildren(...parts.filter(Boolean));
}

function afterPrint() {
  if (!kept) return;
  byId("map").removeAttribute("viewBox");
  Object.assign(viewport, kept);
  kept = null;
  byId("print").replaceChildren();
  drawn.region = null;
  if (viewport.width) moved();
}

function startPrint() {
  addEventListener("beforeprint", beforePrint);
  addEventListener("afterprint", afterPrint);
}
