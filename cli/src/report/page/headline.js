// The headline: the verdict in one glance, and the tabs with their counts.

function drawHeadline() {
  const { status, headline, detail } = data.verdict;
  const { verdict, mark: sign } = OUTCOMES[status] ?? OUTCOMES.observed;
  document.title = dots(safe(headline), data.title && safe(data.title), "Ringfence");
  const read = [...data.inputs.flows, ...data.inputs.cluster, ...data.inputs.policies].map(safe);
  const from = read.length > 4 ? `${read.slice(0, 3).join(", ")} and ${number(read.length - 3)} more` : read.join(", ");
  byId("verdict").replaceChildren(
    el("div", { class: `seal v-${verdict}` }, icon({ verdict, mark: sign })),
    el(
      "div",
      null,
      el("h1", null, safe(headline)),
      el("p", { class: "detail" }, safe(detail)),
      el("p", { class: "quiet", title: read.join(", ") }, dots(data.title && safe(data.title), from, safe(data.tool))),
    ),
  );
}

const TAB_COUNTS = {
  findings: () => data.findings.length,
  workloads: () => data.nodes.length,
  edges: () => data.edges.length,
  policies: () => data.policies.length,
};

/** The tabs; arrow keys move between them as in every tab list (WAI-ARIA authoring practices). */
function drawTabs() {
  const tab = (name) => {
    const label = name[0].toUpperCase() + name.slice(1);
    const total = TAB_COUNTS[name]?.();
    const press = () => state.change({ tab: name });
    const props = { role: "tab", id: `tab-${name}`, "aria-controls": `view-${name}`, data: { tab: name } };
    return button(props, press, label, total === undefined ? null : el("span", { class: "count" }, number(total)));
  };
  const tabs = TABS.map(tab);
  byId("tabs").replaceChildren(...tabs);
  byId("tabs").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = TABS.at((TABS.indexOf(state.tab) + step) % TABS.length);
    state.change({ tab: next });
    byId(`tab-${next}`).focus();
  });
  onChange((changed) => changed.has("tab") && markTab());
  markTab();
}

function markTab() {
  for (const name of TABS) {
    const chosen = name === state.tab;
    byId(`tab-${name}`).setAttribute("aria-selected", String(chosen));
    byId(`tab-${name}`).tabIndex = chosen ? 0 : -1;
    byId(`view-${name}`).hidden = !chosen;
  }
  // What was watched and what changes is not filtered.
  byId("legend").parentElement.hidden = ["coverage", "change"].includes(state.tab) || data.edges.length === 0;
}
