// The details of one node of the map: a workload, a machine, addresses outside, or one that nobody held.

const KINDS = { node: "Node", external: "Outside the cluster", unresolved: "Unresolved address" };

function workloadParts(id) {
  const node = data.nodes[id];
  const { out, in: into, findings, left } = around[id];
  const [exposures, others] = [findings.filter(isExposed), findings.filter((finding) => !isExposed(finding))];
  const denied = [...into, ...out].filter((edge) => isProblem(data.edges[edge]));
  const type =
    KINDS[node.type] ??
    dots(node.kind && safe(node.kind), node.namespace !== null && safe(data.namespaces[node.namespace].name));
  return [
    el("p", { class: "eyebrow" }, type),
    el("h2", null, safe(node.name)),
    el(
      "p",
      { class: "quiet" },
      dots(
        node.pods !== null && count(node.pods, "pod"),
        `${count(into.length, "edge")} in`,
        `${count(out.length, "edge")} out`,
      ),
    ),
    summary(node, denied),
    members(node),
    part("Findings", others.length, findingList(others)),
    part(
      "In, from clients",
      into.length,
      edgeTable(into, (edge) => edge.client),
    ),
    part(
      "Out, to servers",
      out.length,
      edgeTable(out, (edge) => edge.server),
    ),
    part("Policies", node.policies.length, node.policies.map(policyOf)),
    part("Exposures", exposures.length, findingList(exposures)),
    part("Left out on purpose", left.length, el("ul", { class: "plainlist" }, left.map(leftItem))),
  ];
}

const isExposed = (finding) => isExposure(data.findings[finding]);

/** Isolation in each direction, and what of its edges does not fare well. */
function summary(node, denied) {
  const direction = (name, value) =>
    value === null
      ? null
      : el("span", { class: "fact", title: ISOLATION[value] }, el("span", { class: "label" }, name), guardMark(value));
  const tallies = Object.keys(VERDICTS).flatMap((verdict) => {
    const some = denied.filter((edge) => data.edges[edge].verdict === verdict).length;
    return some
      ? [el("span", { class: `fact v-${verdict}` }, icon({ verdict }), ` ${number(some)} ${VERDICTS[verdict].label}`)]
      : [];
  });
  const facts = [direction("Ingress", node.ingress), direction("Egress", node.egress), ...tallies].filter(Boolean);
  return facts.length ? el("div", { class: "summary" }, facts) : null;
}

/** The addresses of what stands for several. */
function members({ members: addresses, name }) {
  if (!addresses || (addresses.length === 1 && addresses[0] === name)) return null;
  const list = (some) => el("p", { class: "mono addresses" }, some.map(safe).join(" "));
  if (addresses.length <= 6) return part("Addresses", null, list(addresses));
  return part("Addresses", addresses.length, [
    list(addresses.slice(0, 6)),
    el("details", null, el("summary", null, "all of them"), list(addresses)),
  ]);
}

/** A policy with its rules, in the details of a workload. */
function policyOf(id) {
  const policy = data.policies[id];
  const head = el("p", { class: "policyline" }, policyLink(id), el("span", { class: "fine" }, placeOf(policy)));
  const none = el("p", { class: "fine" }, "It has no rules: what it isolates is denied.");
  return el("div", { class: "policy" }, head, policy.rules.length ? ruleList(policy.rules, false) : none);
}
