// What was watched: the window with its gaps, counts, sources, and what was not seen.

const moment = (text) => (text ? new Date(text).getTime() : NaN);

/** A time of the window, to the minute; of an hour and less, minutes say little, and it is to the second. */
function stamp(text) {
  const { from, to } = data.coverage;
  return time(text).slice(0, moment(to) - moment(from) > 3_600_000 ? 16 : 19);
}

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
      el("span", null, stamp(from)),
      el("span", { class: "strong" }, words),
      el("span", null, `${stamp(to)} UTC`),
    ),
  ];
}

/** Numbers of the coverage: what it is, value, whether it is less than one would wish, what it means. */
function figures() {
  const it = data.coverage;
  const part = ([seen, all]) => (seen === all ? number(all) : `${number(seen)} of ${number(all)}`);
  const lacks = ([seen, all]) => seen < all;
  return [
    ["nodes watched", part(it.nodes), lacks(it.nodes), "Nodes with a recorder, or of which a capture was read"],
    ["pods watched", part(it.pods), lacks(it.pods), "Pods whose own traffic was recorded"],
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
