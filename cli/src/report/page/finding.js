// The details of a finding that is about no edge, policy or workload of this report.

function findingParts(id) {
  const finding = data.findings[id];
  return [
    el("p", { class: "eyebrow" }, "Finding"),
    el("h2", null, safe(finding.about)),
    el("p", null, mark(SEVERITIES, finding.severity)),
    facts([
      ["Rule", el("span", { class: "mono" }, safe(finding.rule))],
      ["What", messageOf(finding)],
      ["What to do", safe(finding.help)],
      ["Where", placeOf(finding)],
    ]),
  ];
}
