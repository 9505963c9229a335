// The tab about coverage: what was not seen, how far learning is, the captures, and what was left out on purpose.

/** So many items of a list are shown at first. */
const FIRST = 100;

function sourceRow(source) {
  const words = dots(count(source.frames, "frame"), source.lost > 0 && `${number(source.lost)} lost`);
  const bar = el("div", { class: "track" }, source.from ? span("run", source.from, source.to) : null);
  return el(
    "tr",
    null,
    el("th", { scope: "row", class: "mono" }, safe(source.name)),
    el("td", { class: "wide" }, bar),
    el("td", null, source.from ? `${stamp(source.from)} to ${stamp(source.to)}` : "no frame"),
    el("td", { class: "right" }, words),
    el(
      "td",
      null,
      source.damage ? el("span", { class: "mark v-broken" }, icon({ verdict: "broken" }), safe(source.damage)) : null,
    ),
  );
}

const listOf = (items, make) =>
  folded(
    items,
    FIRST,
    (item) => el("li", null, make(item)),
    (rows) => el("ul", { class: "plainlist" }, rows),
  );

function leftOut() {
  const reasons = Map.groupBy(data.left_out, ({ reason }) => reason);
  const show = ({ nodes, edges }) => {
    if (edges.length > 1)
      return [" ", link({ tab: "edges", verdict: new Set([data.edges[edges[0]].verdict]) }, "show")];
    if (edges.length === 1) return [" ", link({ edge: edges[0] }, "show")];
    return nodes.length ? [" ", link({ node: nodes[0] }, "show")] : null;
  };
  return [...reasons].map(([reason, items]) => [
    el("h3", null, safe(reason), el("span", { class: "count" }, number(leftEdges(items)))),
    listOf(items, (left) => [safe(left.text), show(left)]),
  ]);
}

/** How many edges were left out; what is not about edges counts as one. */
const leftEdges = (items) => items.reduce((sum, { edges }) => sum + Math.max(edges.length, 1), 0);

/** Everything of it, as sections of a page. */
function coverageParts() {
  const { sources, unseen, learning } = data.coverage;
  const section = (title, ...content) => el("section", null, el("h2", null, title), content);
  const table = (rows) => el("table", { class: "sources" }, el("tbody", null, rows));
  const inputs = Object.entries(data.inputs).filter(([, names]) => names.length);
  const input = ([kind, names]) =>
    el("div", null, el("dt", null, kind), el("dd", { class: "mono" }, names.map(safe).join(", ")));
  const nothing = el("p", { class: "quiet" }, "Nothing is known to be missing.");
  return [
    section("What was not seen", unseen.length ? listOf(unseen, safe) : nothing),
    learning && section("Learning", learningLine(), listOf(learning.facts, safe)),
    sources.length > 0 && section("Sources", folded(sources, FIRST, sourceRow, table)),
    data.left_out.length > 0 && section("Left out on purpose", leftOut()),
    inputs.length > 0 && section("Read", el("dl", { class: "inputs" }, inputs.map(input))),
  ].filter(Boolean);
}
