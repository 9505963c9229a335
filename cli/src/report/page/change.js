// The tab about proposed policies: what they open and close, and each rule that is another.

const CHANGES = { added: "+", removed: "−", widened: "▲", narrowed: "▼", changed: "~" };

/** A table of rows under headings; the last cell may be long. */
function changeTable(heads, rows, cells) {
  const make = (row) =>
    el(
      "tr",
      null,
      cells(row).map((cell) => el("td", null, cell)),
    );
  const headings = heads.map((head) => el("th", { scope: "col" }, head));
  const wrap = (made) => tableOf("sources", headings, made);
  return folded(rows, FIRST, make, wrap);
}

const pairCells = ({ client, server, ports, seen }) => [
  safe(client),
  safe(server),
  safe(ports),
  seen === null ? "" : seen ? "seen" : el("strong", null, "never seen"),
];

const ruleCells = (rule) => [
  el("span", { class: "mark" }, CHANGES[rule.change] ?? "", " ", safe(rule.change)),
  el("span", { class: "mono" }, safe(rule.policy)),
  [safe(rule.text), rule.was && el("div", { class: "fine" }, `was: ${safe(rule.was)}`)],
  [
    rule.evidence && safe(rule.evidence),
    rule.note && el("div", null, el("strong", null, safe(rule.note))),
    rule.place && el("div", { class: "fine mono" }, safe(rule.place)),
  ],
];

/** Everything of it, as sections of a page. */
function changeParts() {
  const { opens, closes, isolated, rules } = data.change;
  const section = (title, items, content, nothing) =>
    el(
      "section",
      null,
      el("h2", null, title, el("span", { class: "count" }, number(items.length))),
      items.length ? content() : el("p", { class: "quiet" }, nothing),
    );
  const pairs = (items) => () => changeTable(["Client", "Server", "Ports", "Traffic"], items, pairCells);
  return [
    section("What opens", opens, pairs(opens), "Nothing."),
    section(
      "Rules",
      rules,
      () => changeTable(["", "Policy", "Rule", "Evidence"], rules, ruleCells),
      "No rule changes.",
    ),
    isolated.length > 0 &&
      section("Isolated from now on", isolated, () =>
        listOf(isolated, ([workload, directions]) => `${safe(workload)}: ${safe(directions)}`),
      ),
    closes.length > 0 && section("Closed, and nobody was seen to use it", closes, pairs(closes)),
  ].filter(Boolean);
}
