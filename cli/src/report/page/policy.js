// The details of one policy: its rules, and its text with the rules marked in the margin.

function policyParts(id) {
  const policy = data.policies[id];
  const selects = (nodes) =>
    el(
      "p",
      null,
      nodes.map((node) => [nodeLink(node), " "]),
    );
  const findings = data.findings.flatMap((finding, at) => (finding.policies.includes(id) ? [at] : []));
  return [
    el("p", { class: "eyebrow" }, dots(safe(policy.kind), policy.managed ? "written by Ringfence" : "written by hand")),
    el("h2", null, policyName(policy)),
    el("p", { class: "mono quiet" }, placeOf(policy)),
    part("Selects", policy.selects.length, selects(policy.selects.slice(0, 60))),
    policy.selects.length === 0 ? el("p", { class: "why" }, "It selects no workload that is known here.") : null,
    part("Rules", policy.rules.length, ruleList(policy.rules, false)),
    part("Findings", findings.length, findingList(findings)),
    policy.text ? part("Text", null, policyText(policy)) : null,
  ];
}

/** How many spaces a line begins with. */
const indent = (line) => line.length - line.trimStart().length;

/** The lines (0-based, first and last) of the rule that begins at `start`: all to the next that is no deeper. */
function entry(lines, start) {
  const depth = indent(lines[start] ?? "");
  let end = start;
  while (end + 1 < lines.length) {
    const next = lines[end + 1];
    const same =
      indent(next) === depth && !next.trimStart().startsWith("-") && lines[start].trimStart().startsWith("-");
    if (next.trim() !== "" && indent(next) <= depth && !same) break;
    end += 1;
  }
  return [start, end];
}

function policyText(policy) {
  const lines = policy.text.replace(/\n$/, "").split("\n");
  const first = policy.line ?? 1;
  const byLine = new Map();
  for (const id of policy.rules) if (data.rules[id].line) byLine.set(data.rules[id].line - first, id);
  const chosen =
    state.rule === null || data.rules[state.rule].line === null
      ? null
      : entry(lines, data.rules[state.rule].line - first);
  const row = (text, at) => {
    const rule = byLine.get(at);
    const status = rule === undefined ? null : STATUSES[data.rules[rule].status];
    const sign =
      rule === undefined
        ? null
        : link(
            { policy: data.rules[rule].policy, rule },
            icon(status ?? { verdict: "observed" }, status?.label ?? "rule"),
          );
    const marked = chosen && at >= chosen[0] && at <= chosen[1];
    const look = [marked && "marked", text.trimStart().startsWith("#") && "comment"].filter(Boolean).join(" ");
    return el(
      "li",
      { class: look || null },
      el("span", { class: "number", "aria-hidden": "true" }, String(first + at)),
      el("span", { class: "margin" }, sign),
      el("code", null, safe(text) || " "),
    );
  };
  return el("ol", { class: "yaml", tabindex: 0, "aria-label": "Text of the policy" }, lines.map(row));
}
