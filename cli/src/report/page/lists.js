// The tabs beside the map: what their tables show, and what a row opens.

const SEVERITY_RANK = Object.keys(SEVERITIES);
const nodeText = (id) => shortName(data.nodes[id]);
const problemsOf = (id) => [...around[id].out, ...around[id].in].filter((edge) => isProblem(data.edges[edge])).length;
const statusCount = (policy) => policy.rules.filter((rule) => !["used", null].includes(data.rules[rule].status)).length;
const some = (value) => (value ? value : "");

/** Isolation of a node in a direction, as one word with a mark. */
function guardMark(state) {
  const table = {
    isolated: { label: "isolated", verdict: "allowed" },
    open: { label: "open", verdict: "uncovered" },
    unknown: { label: "not known", verdict: "left_out" },
  };
  return state === null ? "" : mark(table, state);
}

const COLUMNS = {
  findings: [
    {
      key: "severity",
      label: "Severity",
      width: "104px",
      value: (id) => SEVERITY_RANK.indexOf(data.findings[id].severity),
      cell: (id) => mark(SEVERITIES, data.findings[id].severity),
    },
    { key: "rule", label: "Rule", width: "18%", value: (id) => safe(data.findings[id].rule) },
    { key: "about", label: "About", width: "30%", value: (id) => safe(data.findings[id].about) },
    { key: "message", label: "Message", value: (id) => messageOf(data.findings[id]) },
    { key: "place", label: "Place", width: "16%", value: (id) => placeOf(data.findings[id]) },
  ],
  workloads: [
    // Workloads first.
    {
      key: "name",
      label: "Name",
      value: (id) => (data.nodes[id].type === "workload" ? "" : "\uffff") + nodeText(id),
      cell: nodeText,
    },
    { key: "kind", label: "Kind", width: "13%", value: (id) => safe(data.nodes[id].kind ?? data.nodes[id].type) },
    {
      key: "pods",
      label: "Pods",
      width: "68px",
      right: true,
      value: (id) => data.nodes[id].pods ?? -1,
      cell: (id) => some(data.nodes[id].pods),
    },
    {
      key: "ingress",
      label: "Ingress",
      width: "112px",
      value: (id) => data.nodes[id].ingress ?? "~",
      cell: (id) => guardMark(data.nodes[id].ingress),
    },
    {
      key: "egress",
      label: "Egress",
      width: "112px",
      value: (id) => data.nodes[id].egress ?? "~",
      cell: (id) => guardMark(data.nodes[id].egress),
    },
    { key: "in", label: "In", width: "68px", right: true, value: (id) => around[id].in.length },
    { key: "out", label: "Out", width: "68px", right: true, value: (id) => around[id].out.length },
    {
      key: "problems",
      label: "Problems",
      width: "104px",
      right: true,
      value: problemsOf,
      cell: (id) => (worst[id] ? [icon({ verdict: worst[id] }), ` ${number(problemsOf(id))}`] : ""),
    },
    {
      key: "policies",
      label: "Policies",
      width: "88px",
      right: true,
      value: (id) => data.nodes[id].policies.length,
      cell: (id) => some(data.nodes[id].policies.length),
    },
  ],
  edges: [
    {
      key: "verdict",
      label: "Verdict",
      width: "152px",
      value: (id) => rankOf(data.edges[id]),
      cell: (id) => mark(VERDICTS, data.edges[id].verdict),
    },
    { key: "client", label: "Client", value: (id) => nodeText(data.edges[id].client) },
    { key: "server", label: "Server", value: (id) => nodeText(data.edges[id].server) },
    {
      key: "port",
      label: "Port",
      width: "100px",
      value: (id) => data.edges[id].port ?? 0,
      cell: (id) => portOf(data.edges[id]),
    },
    {
      key: "class",
      label: "Class",
      width: "96px",
      value: (id) => CLASSES[data.edges[id].class] ?? safe(data.edges[id].class),
    },
    { key: "count", label: "Connections", width: "116px", right: true, value: (id) => data.edges[id].connections },
    { key: "last", label: "Last (UTC)", width: "164px", value: (id) => time(data.edges[id].last) },
    { key: "sure", label: "How sure", width: "104px", value: (id) => safe(data.edges[id].direction).replace("_", " ") },
  ],
  policies: [
    { key: "name", label: "Name", width: "26%", value: (id) => policyName(data.policies[id]) },
    { key: "kind", label: "Kind", width: "16%", value: (id) => safe(data.policies[id].kind) },
    { key: "selects", label: "Selects", width: "88px", right: true, value: (id) => data.policies[id].selects.length },
    { key: "rules", label: "Rules", width: "76px", right: true, value: (id) => data.policies[id].rules.length },
    {
      key: "look",
      label: "To look at",
      width: "104px",
      right: true,
      value: (id) => statusCount(data.policies[id]),
      cell: (id) => some(statusCount(data.policies[id])),
    },
    {
      key: "managed",
      label: "Written by",
      width: "112px",
      value: (id) => (data.policies[id].managed ? "Ringfence" : "hand"),
    },
    { key: "place", label: "Place", value: (id) => placeOf(data.policies[id]) },
  ],
};

/** What to open for a finding: its edge, its policy with the rule of the line, its workload, or itself. */
function subjectOf(id) {
  const finding = data.findings[id];
  if (finding.edges.length) return { edge: finding.edges[0] };
  if (finding.policies.length) {
    const policy = finding.policies[0];
    const rule = data.policies[policy].rules.find(
      (id) => data.rules[id].line === finding.line && finding.line !== null,
    );
    return { policy, rule: rule ?? null };
  }
  return finding.nodes.length ? { node: finding.nodes[0] } : { finding: id };
}

const subjectChosen = (subject) => Object.entries(subject).every(([key, value]) => state[key] === value);

const LISTS = {
  findings: {
    label: "Findings",
    order: "severity",
    choose: (id) => state.change(subjectOf(id)),
    isChosen: (id) => subjectChosen(subjectOf(id)),
    flags: () => shown.findings,
  },
  workloads: {
    label: "Workloads and other endpoints",
    order: "name",
    choose: (id) => state.change({ node: id }),
    isChosen: (id) => state.node === id,
    flags: () => shown.nodes,
  },
  edges: {
    label: "Edges",
    order: "verdict",
    choose: (id) => state.change({ edge: id }),
    isChosen: (id) => state.edge === id,
    flags: () => shown.edges,
  },
  policies: {
    label: "Policies",
    order: "name",
    choose: (id) => state.change({ policy: id }),
    isChosen: (id) => state.policy === id,
    flags: () => shown.policies,
  },
};

/** The tables by tab; each is made when its tab is opened for the first time. */
const made = {};

function startLists() {
  onChange((changed) => drawTab(changed));
  drawTab(new Set(["tab"]));

  function drawTab(changed) {
    const list = LISTS[state.tab];
    if (!list) {
      const parts = { coverage: coverageParts, change: changeParts }[state.tab];
      if (parts && !made[state.tab]) {
        byId(`view-${state.tab}`).append(...parts());
        made[state.tab] = true;
      }
      return;
    }
    const fresh = !made[state.tab];
    if (fresh) {
      made[state.tab] = table({ ...list, columns: COLUMNS[state.tab] });
      byId(`view-${state.tab}`).append(made[state.tab].element);
    }
    const filters = ["q", "ns", "class", "verdict", "problems", "sort", "tab"];
    if (fresh || filters.some((key) => changed.has(key))) made[state.tab].show(idsOf(list.flags()));
    else if ([...CHOICES, "rule"].some((key) => changed.has(key))) made[state.tab].mark();
  }
}

/** A whole table at once, for paper. */
function wholeTable(name, ids) {
  const columns = COLUMNS[name];
  const cell = (column, id) => {
    const content = column.cell ? column.cell(id) : column.value(id);
    return el("td", { class: column.right ? "right" : null }, typeof content === "number" ? number(content) : content);
  };
  const heads = columns.map(({ label, right }) => el("th", { class: right ? "right" : null }, label));
  const row = (id) =>
    el(
      "tr",
      null,
      columns.map((column) => cell(column, id)),
    );
  return tableOf("paper", heads, ids.map(row));
}
