// Pieces that the details of workloads, edges and policies share.

const nodeLink = (id) => link({ node: id }, shortName(data.nodes[id]));
const policyLink = (id) => link({ policy: id }, policyName(data.policies[id]));

/** A part with a heading and how many it holds; none if it holds nothing. */
function part(title, items, content) {
  if (items === 0) return null;
  const total = items === null ? null : el("span", { class: "count" }, number(items));
  return el("section", { class: "part" }, el("h3", null, title, total), content);
}

/** At most `most` of many, and a button for the rest. `wrap(elements)`: what holds them. */
function folded(ids, most, make, wrap) {
  const holder = wrap(ids.slice(0, most).map(make));
  if (ids.length <= most) return holder;
  const target = holder.querySelector("tbody") ?? holder;
  const more = button(
    { class: "more" },
    () => {
      target.append(...ids.slice(most).map(make).flat());
      more.remove();
    },
    `Show all ${number(ids.length)}`,
  );
  return [holder, more];
}

/** `11-07 09:12 to 11-20 10:00 UTC`; the year is in the head of the page. */
function period(edge) {
  const [first, last] = [time(edge.first).slice(5, 16), time(edge.last).slice(5, 16)];
  if (!first) return "";
  return first === last ? `${first} UTC` : `${first} to ${last} UTC`;
}

/** What is known of an edge beside its verdict, in few words. */
function evidence(edge) {
  const failed = edge.outcomes.filter(([outcome]) => !["established", "answered"].includes(outcome));
  const rest = failed.map(([outcome, times]) => `${number(times)} ${safe(outcome)}`).join(", ");
  const names = edge.names.slice(0, 2).map(safe).join(", ");
  const via = edge.service && `via ${safe(edge.service)}`;
  const sure = DIRECTIONS[edge.direction] ?? safe(edge.direction);
  return dots(period(edge), sure, rest, via, names, edge.ambiguous && "backend not known");
}

/** Rows of edges seen from one of their sides; `other` says which node is the peer. */
function edgeTable(ids, other) {
  const worstFirst = sorted(ids, (id) => rankOf(data.edges[id]) * 1e12 - data.edges[id].connections, false);
  const row = (id) => {
    const edge = data.edges[id];
    const known = VERDICTS[edge.verdict];
    const why = edge.why && edge.verdict !== "allowed" ? el("span", { class: "why" }, safe(edge.why)) : null;
    const facts = el(
      "tr",
      null,
      el("td", null, icon({ verdict: edge.verdict }, known?.label ?? safe(edge.verdict))),
      el("td", null, nodeLink(other(edge))),
      el("td", { class: "mono" }, link({ edge: id }, portOf(edge))),
      el("td", { class: "right" }, number(edge.connections)),
    );
    const words = el("td", { colspan: 3 }, why, el("span", { class: "fine" }, evidence(edge)));
    return [facts, el("tr", { class: `words v-${edge.verdict}` }, el("td"), words)];
  };
  const heads = [
    el("th", null, el("span", { class: "unseen" }, "Verdict")),
    el("th", null, "Peer"),
    el("th", null, "Port"),
    el("th", { class: "right" }, "Count"),
  ];
  const wrap = (rows) => tableOf("edges", heads, rows);
  return folded(worstFirst, 30, row, wrap);
}

/** The mark of the verdict that a finding is about; of others that of their severity. */
function findingIcon({ rule, severity }) {
  const known = SEVERITIES[severity] ?? SEVERITIES.note;
  return icon(VERDICTS[rule]?.mark ? { verdict: rule } : known, known.label);
}

/**
 * A finding: how bad, what, where, what to do. What is said already is not said again: what the verdict of the chosen
 * edge says, and advice that is in `told`.
 */
function findingItem(id, told) {
  const finding = data.findings[id];
  const { about, help, message, rule } = finding;
  const said = state.edge !== null && data.edges[state.edge].why === message;
  const advice = help && !told.has(help) && el("p", { class: "help" }, safe(help));
  told.add(help);
  const subject = subjectOf(id);
  const place = placeOf(finding);
  return el(
    "li",
    { class: "finding" },
    findingIcon(finding),
    el(
      "div",
      null,
      el("p", null, el("span", { class: "rulename" }, safe(rule)), said ? null : ` ${messageOf(finding)}`),
      el(
        "p",
        { class: "fine" },
        subjectChosen(subject) ? safe(about) : link(subject, safe(about)),
        place && ` · ${place}`,
      ),
      advice,
    ),
  );
}

function findingList(ids) {
  const bySeverity = sorted(ids, (id) => SEVERITY_RANK.indexOf(data.findings[id].severity), false);
  const told = new Set();
  return folded(
    bySeverity,
    12,
    (id) => findingItem(id, told),
    (items) => el("ul", { class: "findings" }, items),
  );
}

/** A rule of a policy: direction, what it allows, what it was good for and by what evidence. */
function ruleItem(id, named) {
  const rule = data.rules[id];
  const { policy } = rule;
  const chosen = state.policy === policy && state.rule === id;
  const edges = rule.edges.slice(0, 6).map((edge) => [" ", link({ edge }, edgeName(data.edges[edge]))]);
  const more = rule.edges.length > 6 ? ` and ${number(rule.edges.length - 6)} more` : "";
  return el(
    "li",
    { class: chosen ? "rule chosen" : "rule", data: { rule: id } },
    el(
      "p",
      { class: "ruleline" },
      el("span", { class: "direction" }, safe(rule.direction)),
      link({ policy, rule: id }, safe(rule.text)),
      rule.status ? mark(STATUSES, rule.status) : null,
    ),
    rule.message ? el("p", { class: "why" }, safe(rule.message)) : null,
    rule.evidence ? el("p", { class: "fine" }, safe(rule.evidence)) : null,
    named
      ? el(
          "p",
          { class: "fine" },
          policyLink(policy),
          " · ",
          placeOf({ file: data.policies[policy].file, line: rule.line }),
        )
      : null,
    named || edges.length === 0
      ? null
      : el(
          "details",
          null,
          el("summary", null, count(rule.edges.length, "edge")),
          el("p", { class: "fine" }, edges, more),
        ),
  );
}

const ruleList = (ids, named) =>
  folded(
    ids,
    40,
    (id) => ruleItem(id, named),
    (items) => el("ul", { class: "rules" }, items),
  );

/** A line of what was left out on purpose. */
function leftItem(id) {
  const left = data.left_out[id];
  return el("li", null, el("span", { class: "rulename" }, safe(left.reason)), " ", safe(left.text));
}

/** Facts as pairs; those without a value are left out. */
function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false);
  return el(
    "dl",
    { class: "facts" },
    known.map(([name, value]) => el("div", null, el("dt", null, name), el("dd", null, value))),
  );
}
