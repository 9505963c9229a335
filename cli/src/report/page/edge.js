// The details of one edge: the verdict, why, and by what evidence.

function edgeParts(id) {
  const edge = data.edges[id];
  const known = VERDICTS[edge.verdict];
  const findings = findingsOfEdge.get(id) ?? [];
  const others = links[linkOf[id]].edges.filter((other) => other !== id);
  const outcomes = edge.outcomes.map(([outcome, times]) => `${number(times)} ${safe(outcome)}`).join(", ");
  const pods = dots(
    edge.client_pods && `from ${count(edge.client_pods, "pod")}`,
    edge.server_pods && `to ${count(edge.server_pods, "pod")}`,
  );
  const left = data.left_out.flatMap((one, at) => (one.edges.includes(id) ? [at] : []));
  return [
    el("p", { class: "eyebrow" }, `Edge · ${CLASSES[edge.class] ?? safe(edge.class)}`),
    el(
      "h2",
      { class: "ends" },
      nodeLink(edge.client),
      el("span", { class: "to" }, " → "),
      nodeLink(edge.server),
      el("span", { class: "mono port" }, portOf(edge)),
    ),
    el(
      "div",
      { class: `decision v-${edge.verdict}` },
      icon({ verdict: edge.verdict }),
      el(
        "div",
        null,
        el("strong", null, known?.label ?? safe(edge.verdict)),
        edge.why ? el("p", null, safe(edge.why)) : null,
      ),
    ),
    facts([
      ["Connections", number(edge.connections)],
      ["Outcomes", outcomes],
      ["Pods", pods],
      ["First", edge.first && `${time(edge.first)} UTC`],
      ["Last", edge.last && `${time(edge.last)} UTC`],
      ["How sure", DIRECTIONS[edge.direction] ?? safe(edge.direction)],
      ["Service", edge.service && safe(edge.service)],
      ["Names", edge.names.map(safe).join(", ")],
      ["Backend", edge.ambiguous && "a Service was dialled, and it is not known which backend answered"],
    ]),
    part("Findings", findings.length, findingList(findings)),
    part("Allowed by", edge.rules.length, ruleList(edge.rules, true)),
    part("Left out on purpose", left.length, el("ul", { class: "plainlist" }, left.map(leftItem))),
    part(
      "Between the same two",
      others.length,
      edgeTable(others, (other) => other.server),
    ),
  ];
}
