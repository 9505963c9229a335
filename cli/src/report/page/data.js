// The data of the report, and what is asked of it often: names, neighbours, the worst of a node. Built once.

const data = JSON.parse(byId("data").textContent);

const RANK = new Map(Object.keys(VERDICTS).map((verdict, rank) => [verdict, rank]));
const isProblem = (edge) => VERDICTS[edge.verdict]?.problem === true;
const rankOf = (edge) => RANK.get(edge.verdict) ?? RANK.size;

/** `shop/Deployment/web`; of what is no workload, its name. The key of a node in links, where no other has it. */
function fullName(node) {
  const namespace = node.namespace === null ? null : data.namespaces[node.namespace]?.name;
  return safe([namespace, node.namespace === null ? null : node.kind, node.name].filter(Boolean).join("/"));
}

/** `shop/web`, for tables. */
function shortName(node) {
  const namespace = node.namespace === null ? null : data.namespaces[node.namespace]?.name;
  return safe([namespace, node.name].filter(Boolean).join("/"));
}

/** `shop/api`; a cluster-wide policy has no namespace. */
const policyName = (policy) => safe([policy.namespace, policy.name].filter(Boolean).join("/"));

/** `8080/TCP`; protocols without ports have none. */
const portOf = (edge) => (edge.port ? `${edge.port}/${edge.protocol}` : String(edge.protocol));

/** `shop/web → shop/api:8080/TCP`. */
function edgeName(edge) {
  return `${shortName(data.nodes[edge.client])} → ${shortName(data.nodes[edge.server])} ${portOf(edge)}`;
}

/** `policies/shop/api.yaml:12`. */
const placeOf = ({ file, line }) => (file ? safe(line ? `${file}:${line}` : file) : "");

/** By node: its edges as a client and as a server, findings, what was left out. */
const around = data.nodes.map(() => ({ out: [], in: [], findings: [], left: [] }));
data.edges.forEach((edge, id) => {
  around[edge.client].out.push(id);
  around[edge.server].in.push(id);
});
data.findings.forEach((finding, id) => finding.nodes.forEach((node) => around[node].findings.push(id)));
data.left_out.forEach((left, id) => left.nodes.forEach((node) => around[node].left.push(id)));

/** By edge: findings about it. */
const findingsOfEdge = new Map();
data.findings.forEach((finding, id) => {
  for (const edge of finding.edges) findingsOfEdge.set(edge, [...(findingsOfEdge.get(edge) ?? []), id]);
});

/** What a finding says, without what it is about: that stands beside it. */
function messageOf({ about, message }) {
  return safe(message.startsWith(`${about}: `) ? message.slice(about.length + 2) : message);
}

const isExposure = (finding) => finding.rule.startsWith("exposure/");

/** By node: the worst verdict of its edges that is a problem, or null. */
const worst = around.map(({ out, in: into }) => {
  let verdict = null;
  for (const id of [...out, ...into]) {
    const edge = data.edges[id];
    if (isProblem(edge) && (verdict === null || rankOf(edge) < RANK.get(verdict))) verdict = edge.verdict;
  }
  return verdict;
});

/** By node: the same, if it is one that the map shows before all else. */
const alarm = worst.map((verdict) => (VERDICTS[verdict]?.alarm ? verdict : null));

/**
 * What the map draws as one line: all edges of one client and one server. `verdict` is the worst of them, which comes
 * first in `edges`.
 */
const links = [];
const linkOf = new Array(data.edges.length);
{
  const byPair = new Map();
  data.edges.forEach((edge, id) => {
    const pair = edge.client * data.nodes.length + edge.server;
    if (!byPair.has(pair)) {
      byPair.set(pair, links.length);
      links.push({ client: edge.client, server: edge.server, edges: [] });
    }
    linkOf[id] = byPair.get(pair);
    links[linkOf[id]].edges.push(id);
  });
  for (const line of links) line.edges.sort((a, b) => rankOf(data.edges[a]) - rankOf(data.edges[b]) || a - b);
}

/** Names of links (in the hash) to ids and back; an id as a number works too, and stands where a name is not unique. */
function keys(list, name) {
  const byName = new Map();
  list.forEach((item, id) => byName.set(name(item), byName.has(name(item)) ? null : id));
  return {
    id: (key) => byName.get(key) ?? (/^\d+$/.test(key) && Number(key) < list.length ? Number(key) : null),
    key: (id) => (byName.get(name(list[id])) === id && !/^\d+$/.test(name(list[id])) ? name(list[id]) : String(id)),
  };
}

const nodeKeys = keys(data.nodes, fullName);
const policyKeys = keys(data.policies, policyName);
