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
    el("td", null, source.from ? `${time(source.from).slice(0, 16)} to ${time(source.to).slice(0, 16)}` : "no frame"),
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
  const show = (left) => {
    if (left.edges.length) return [" ", link({ edge: left.edges[0] }, "show")];
    return left.nodes.length ? [" ", link({ node: left.nodes[0] }, "show")] : null;
  };
  return [...reasons].map(([reason, items]) => [
    el("h3", null, safe(reason), el("span", { class: "count" }, number(items.length))),
    listOf(items, (left) => [safe(left.text), show(left)]),
  ]);
}

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
