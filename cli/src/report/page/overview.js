// What stands in the details while nothing is chosen: where to look first.

function overviewParts() {
  const groups = Map.groupBy(data.findings.keys(), (id) => data.findings[id].rule);
  const rank = ([, ids]) => Math.min(...ids.map((id) => SEVERITY_RANK.indexOf(data.findings[id].severity)));
  const ordered = [...groups].sort((a, b) => rank(a) - rank(b) || b[1].length - a[1].length);
  const reasons = Map.groupBy(data.left_out, ({ reason }) => reason);
  const open = data.nodes.filter(({ ingress, egress }) => ingress === "open" && egress === "open").length;
  const isolated = data.nodes.filter(({ ingress }) => ingress !== null).length;
  const { unseen } = data.coverage;
  return [
    el("h2", null, data.findings.length ? "Where to look first" : "Nothing to look at"),
    data.findings.length
      ? null
      : el("p", { class: "quiet" }, "No finding. Choose a workload or a line to see its evidence."),
    ordered.slice(0, 8).map(group),
    ordered.length > 8
      ? el("p", null, link({ tab: "findings" }, `All ${number(data.findings.length)} findings`))
      : null,
    open
      ? part(
          "Open",
          null,
          el(
            "p",
            null,
            `${number(open)} of ${count(isolated, "workload")} ${open === 1 ? "is" : "are"} not isolated in any direction.`,
          ),
        )
      : null,
    part(
      "Left out on purpose",
      data.left_out.length,
      el(
        "ul",
        { class: "plainlist" },
        [...reasons].map(([reason, items]) =>
          el("li", null, safe(reason), el("span", { class: "count" }, number(items.length))),
        ),
      ),
    ),
    part(
      "Not seen",
      unseen.length,
      el(
        "ul",
        { class: "plainlist" },
        unseen.slice(0, 5).map((text) => el("li", null, safe(text))),
        unseen.length > 5 ? el("li", null, link({ tab: "coverage" }, `${number(unseen.length - 5)} more`)) : null,
      ),
    ),
  ];
}

/** All findings of one rule: the first few of them. */
function group([rule, ids]) {
  const { severity } = data.findings[ids[0]];
  const known = SEVERITIES[severity] ?? SEVERITIES.note;
  const item = (id) => {
    const subject = subjectOf(id);
    const { about, edges } = data.findings[id];
    const text = edges.length === 1 ? edgeName(data.edges[edges[0]]) : safe(about);
    return el("li", null, link(subject, text));
  };
  const title = VERDICTS[rule]?.label ?? STATUSES[rule]?.label ?? safe(rule);
  const mine = VERDICTS[rule] ? { verdict: rule } : known;
  return el(
    "section",
    { class: "part group" },
    el("h3", null, icon(mine, known.label), title, el("span", { class: "count" }, number(ids.length))),
    el("ul", { class: "plainlist" }, ids.slice(0, 4).map(item)),
    ids.length > 4 ? el("p", { class: "fine" }, link({ tab: "findings", q: rule }, `all ${number(ids.length)}`)) : null,
  );
}
