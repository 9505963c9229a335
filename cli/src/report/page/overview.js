// What stands in the details while nothing is chosen: where to look first.

/** So many rules, and findings of each, are shown. */
const RULES = 8;
const FINDINGS = 4;

function overviewParts() {
  const groups = Map.groupBy(data.findings.keys(), (id) => data.findings[id].rule);
  const rank = ([, ids]) => Math.min(...ids.map((id) => SEVERITY_RANK.indexOf(data.findings[id].severity)));
  const ordered = [...groups].sort((a, b) => rank(a) - rank(b) || b[1].length - a[1].length);
  const total = data.findings.length;
  return [
    state.missing && el("p", { class: "missing" }, `${safe(state.missing)} is not in this report.`),
    el("h2", null, total ? "Where to look first" : "Nothing to look at"),
    total ? null : el("p", { class: "quiet" }, "No finding. Choose a workload or a line to see its evidence."),
    ordered.slice(0, RULES).map(group),
    ordered.length > RULES && el("p", { class: "part" }, link({ tab: "findings" }, `All ${number(total)} findings`)),
    openPart(),
    leftPart(),
    unseenPart(),
  ];
}

/** Workloads that no policy isolates. */
function openPart() {
  const known = data.nodes.filter(({ ingress }) => ingress !== null).length;
  const open = data.nodes.filter(({ ingress, egress }) => ingress === "open" && egress === "open").length;
  const words = `${number(open)} of ${count(known, "workload")} ${open === 1 ? "is" : "are"} not isolated at all.`;
  return open ? part("Open", null, el("p", null, words)) : null;
}

function leftPart() {
  const reasons = [...Map.groupBy(data.left_out, ({ reason }) => reason)];
  const item = ([reason, items]) =>
    el("li", null, safe(reason), el("span", { class: "count" }, number(leftEdges(items))));
  return part("Left out on purpose", leftEdges(data.left_out), el("ul", { class: "plainlist" }, reasons.map(item)));
}

function unseenPart() {
  const { unseen } = data.coverage;
  const items = unseen.slice(0, FINDINGS).map((text) => el("li", null, safe(text)));
  const rest = unseen.length - items.length;
  const more = rest > 0 && el("li", null, link({ tab: "coverage" }, `${number(rest)} more`));
  return part("Not seen", unseen.length, el("ul", { class: "plainlist" }, items, more));
}

/** All findings of one rule: the first few of them. */
function group([rule, ids]) {
  const item = (id) => {
    const subject = subjectOf(id);
    const { about, edges } = data.findings[id];
    const text = edges.length === 1 ? edgeName(data.edges[edges[0]]) : safe(about);
    return el("li", null, link(subject, text));
  };
  const title = VERDICTS[rule]?.label ?? STATUSES[rule]?.label ?? safe(rule).replaceAll("_", " ");
  return el(
    "section",
    { class: "part group" },
    el("h3", null, findingIcon(data.findings[ids[0]]), title, el("span", { class: "count" }, number(ids.length))),
    el("ul", { class: "plainlist" }, ids.slice(0, FINDINGS).map(item)),
    ids.length > FINDINGS
      ? el("p", { class: "fine" }, link({ tab: "findings", q: rule }, `all ${number(ids.length)}`))
      : null,
  );
}
