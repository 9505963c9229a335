// What was watched: the window with its gaps, counts, sources, and what was not seen.

const moment = (text) => (text ? new Date(text).getTime() : NaN);

/** A bar for `from` .. `to` (RFC 3339) inside the window of the report, as shares of its width. */
function span(className, from, to, title) {
  const { from: begin, to: end } = data.coverage;
  const [start, length] = [moment(begin), moment(end) - moment(begin)];
  const share = (at) => (length > 0 ? Math.min(Math.max((at - start) / length, 0), 1) : 0);
  const bar = el("span", { class: className, title });
  const [left, right] = [share(moment(from)), length > 0 ? share(moment(to)) : 1];
  bar.style.left = `${left * 100}%`;
  bar.style.width = `max(2px, ${(right - left) * 100}%)`;
  return bar;
}

/** The window as a bar: what was watched, and gaps in it. */
function windowBar() {
  const { from, to, gaps } = data.coverage;
  if (!from || !to) return el("p", { class: "quiet" }, "No time is known: nothing was recorded.");
  const missing = gaps.map(([start, end]) =>
    span("gap", start, end, `nothing recorded ${time(start)} to ${time(end)} UTC`),
  );
  const lost = gaps.reduce((sum, [start, end]) => sum + moment(end) - moment(start), 0);
  const watched = duration(moment(to) - moment(from) - lost);
  const words = dots(`${watched} watched`, gaps.length && `${count(gaps.length, "gap")} of ${duration(lost)}`);
  return [
    el("div", { class: "window", role: "img", "aria-label": `${time(from)} to ${time(to)} UTC, ${words}` }, missing),
    el(
      "div",
      { class: "ends" },
      el("span", null, time(from).slice(0, 16)),
      el("span", { class: "strong" }, words),
      el("span", null, `${time(to).slice(0, 16)} UTC`),
    ),
  ];
}

/** Numbers of the coverage: what it is, value, whether it is less than one would wish, what it means. */
function figures() {
  const it = data.coverage;
  const part = ([seen, all]) => (seen === all ? number(all) : `${number(seen)} of ${number(all)}`);
  return [
    [
      "nodes watched",
      part(it.nodes),
      it.nodes[0] < it.nodes[1],
      "Nodes with a recorder, or of which a capture was read",
    ],
    ["pods watched", part(it.pods), it.pods[0] < it.pods[1], "Pods whose own traffic was recorded"],
    ["connections", number(it.connections), it.connections === 0, "Each is counted once, wherever it was seen"],
    ["lost", number(it.lost), it.lost > 0, "Packets that the recorder says it dropped"],
    [
      "unresolved",
      number(it.unresolved),
      it.unresolved > 0,
      "Edges with an address inside a pod range that no pod held",
    ],
    [
      "guessed",
      number(it.guessed),
      it.guessed > 0,
      "Edges without any evidence which side is the server; they make no rule",
    ],
    [
      "ambiguous",
      number(it.ambiguous),
      it.ambiguous > 0,
      "A Service was dialled, and it is not known which backend answered",
    ],
  ];
}

function figureList() {
  const item = ([label, value, lacking, title]) =>
    el("div", { class: lacking ? "figure lacking" : "figure", title }, el("dd", null, value), el("dt", null, label));
  return el(
    "dl",
    { class: "figures" },
    figures()
      .filter(([, value], at) => at < 6 || value !== "0")
      .map(item),
  );
}

/** Learning: whether new edges still come. */
function learningLine() {
  const { learning } = data.coverage;
  if (!learning) return null;
  const settled = learning.status === "settled";
  const sign = icon(
    settled ? { verdict: "allowed" } : { verdict: "uncovered", mark: STATUSES.insufficient_evidence.mark },
  );
  return el("p", { class: "learning" }, sign, safe(learning.headline));
}

/** The short form for the head of the page. */
function drawCoverage() {
  const { unseen } = data.coverage;
  const more = unseen.length ? `${count(unseen.length, "thing")} not seen` : "more";
  byId("coverage").replaceChildren(
    ...[windowBar(), figureList()].flat(),
    el("div", { class: "between" }, learningLine() ?? el("span"), link({ tab: "coverage" }, more)),
  );
}

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
      source.damage ? mark({ damage: { label: safe(source.damage), verdict: "broken" } }, "damage") : null,
    ),
  );
}

/** Everything of it, as parts of a page. */
function coverageParts() {
  const { sources, unseen, learning } = data.coverage;
  const list = (items) =>
    el(
      "ul",
      { class: "plainlist" },
      items.map((text) => el("li", null, safe(text))),
    );
  const part = (title, ...content) => el("section", null, el("h2", null, title), content);
  const kinds = Object.entries(data.inputs).filter(([, names]) => names.length);
  const inputs = kinds.map(([kind, names]) =>
    el("div", null, el("dt", null, kind), el("dd", { class: "mono" }, names.map(safe).join(", "))),
  );
  const reasons = Map.groupBy(data.left_out, ({ reason }) => reason);
  const about = (left) => {
    if (left.edges.length) return [" ", link({ edge: left.edges[0] }, "show")];
    return left.nodes.length ? [" ", link({ node: left.nodes[0] }, "show")] : null;
  };
  const left = [...reasons].map(([reason, items]) => [
    el("h3", null, safe(reason), el("span", { class: "count" }, number(items.length))),
    el(
      "ul",
      { class: "plainlist" },
      items.slice(0, 200).map((item) => el("li", null, safe(item.text), about(item))),
    ),
    items.length > 200
      ? el("p", { class: "quiet" }, `and ${number(items.length - 200)} more; filter the edges by their verdict`)
      : null,
  ]);
  return [
    part(
      "What was not seen",
      unseen.length ? list(unseen) : el("p", { class: "quiet" }, "Nothing is known to be missing."),
    ),
    learning ? part("Learning", learningLine(), list(learning.facts)) : null,
    sources.length
      ? part("Sources", el("table", { class: "sources" }, el("tbody", null, sources.map(sourceRow))))
      : null,
    left.length ? part("Left out on purpose", left) : null,
    inputs.length ? part("Read", el("dl", { class: "inputs" }, inputs)) : null,
  ].filter(Boolean);
}
