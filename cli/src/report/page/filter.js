// Which nodes, edges, policies and findings the search and the filters leave.

/** What is shown: `nodes` and `edges` are arrays of booleans by id; `any`: whether anything is filtered at all. */
const shown = { nodes: [], edges: [], policies: [], findings: [], any: false };

const texts = { nodes: null, edges: null, policies: null, findings: null };

/** All that the search looks at, in lower case; built when it is first used. */
function searchable() {
  if (texts.nodes) return texts;
  const lower = (...parts) => parts.flat().filter(Boolean).join(" ").toLowerCase();
  texts.nodes = data.nodes.map((node) => lower(fullName(node), node.members ?? []));
  const policies = data.policies.map((policy) => lower(policy.kind, policyName(policy)));
  texts.edges = data.edges.map((edge) => {
    const by = edge.rules.map((rule) => policies[data.rules[rule].policy]);
    const own = [
      portOf(edge),
      `:${edge.port}`,
      edge.service,
      edge.class,
      VERDICTS[edge.verdict]?.label,
      edge.names,
      by,
    ];
    return lower(texts.nodes[edge.client], texts.nodes[edge.server], ...own);
  });
  texts.policies = data.policies.map((policy, id) => lower(policies[id], policy.file, policy.text));
  texts.findings = data.findings.map((finding) => {
    const where = [placeOf(finding), finding.nodes.map((node) => texts.nodes[node])];
    return lower(finding.rule, finding.severity, finding.message, finding.about, finding.help, ...where);
  });
  data.policies.forEach((_, id) => {
    for (const node of data.policies[id].selects) texts.nodes[node] += ` ${policies[id]}`;
  });
  return texts;
}

/** Computes `shown` from the state. */
function filter() {
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const all = searchableIf(words.length > 0);
  const says = (list, id) => words.every((word) => list[id].includes(word));
  const { ns } = state;
  const boxOf = (node) => data.nodes[node].box;
  const ofEdges = state.class.size > 0 || state.verdict.size > 0;

  shown.edges = data.edges.map(
    (edge, id) =>
      (state.class.size === 0 || state.class.has(edge.class)) &&
      (state.verdict.size === 0 || state.verdict.has(edge.verdict)) &&
      (!state.problems || isProblem(edge) || findingsOfEdge.has(id)) &&
      (ns === null || boxOf(edge.client) === ns || boxOf(edge.server) === ns) &&
      says(all.edges, id),
  );

  const touched = new Set();
  data.edges.forEach((edge, id) => shown.edges[id] && touched.add(edge.client).add(edge.server));
  shown.nodes = data.nodes.map((node, id) => {
    if (touched.has(id)) return true;
    if (ofEdges || (ns !== null && node.box !== ns)) return false;
    return (!state.problems || around[id].findings.length > 0) && says(all.nodes, id);
  });

  const inside = (nodes) => ns === null || nodes.some((node) => boxOf(node) === ns);
  shown.policies = data.policies.map(
    (policy, id) =>
      (ns === null || policy.namespace === data.namespaces[ns].name || inside(policy.selects)) &&
      (!state.problems || policy.rules.some((rule) => !["used", null].includes(data.rules[rule].status))) &&
      says(all.policies, id),
  );
  shown.findings = data.findings.map((finding, id) => {
    const edges = finding.edges.map((edge) => data.edges[edge]);
    const fits = (edge) =>
      (state.class.size === 0 || state.class.has(edge.class)) &&
      (state.verdict.size === 0 || state.verdict.has(edge.verdict));
    return (
      (!ofEdges || edges.some(fits)) &&
      (!state.problems || finding.severity !== "note") &&
      inside(finding.nodes) &&
      says(all.findings, id)
    );
  });
  shown.any = words.length > 0 || ofEdges || ns !== null || state.problems;
}

/** Without words nothing is looked up. */
const searchableIf = (needed) => (needed ? searchable() : texts);

/** The ids of what is shown of a list. */
const idsOf = (flags) => flags.flatMap((flag, id) => (flag ? [id] : []));

/** What is left, in the words of the tab: `12 endpoints, 30 edges` or `30 of 800`. */
function matches() {
  const sum = (flags) => flags.filter(Boolean).length;
  const flags = { findings: shown.findings, workloads: shown.nodes, edges: shown.edges, policies: shown.policies }[
    state.tab
  ];
  if (flags) return `${number(sum(flags))} of ${number(flags.length)}`;
  return `${count(sum(shown.nodes), "endpoint")}, ${count(sum(shown.edges), "edge")}`;
}
