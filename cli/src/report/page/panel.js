// The details of what is chosen.

function panelParts() {
  if (state.node !== null) return workloadParts(state.node);
  if (state.edge !== null) return edgeParts(state.edge);
  if (state.policy !== null) return policyParts(state.policy);
  if (state.finding !== null) return findingParts(state.finding);
  return overviewParts();
}

function drawPanel() {
  const panel = byId("panel");
  const focused = panel.contains(document.activeElement);
  const clear = () => state.change(NOTHING);
  const close = chosenIn(state)
    ? button({ class: "close plain", "aria-label": "Close", title: "Close (Escape)" }, clear, "×")
    : null;
  const onMap = chosenIn(state) && state.tab !== "map" ? link({ tab: "map" }, "Show on the map") : null;
  const head = close ? el("div", { class: "panelhead" }, onMap, close) : null;
  panel.replaceChildren(...[head, panelParts()].flat(Infinity).filter(Boolean));
  panel.classList.toggle("chosen", chosenIn(state));
  const marked = panel.querySelector(".yaml .marked");
  if (marked) marked.scrollIntoView({ block: "nearest" });
  else panel.scrollTop = 0;
  // What had the focus is gone; whoever used the keys goes on from here.
  if (focused) panel.focus({ preventScroll: true });
}

function startPanel() {
  drawPanel();
  onChange((changed) => {
    if (![...CHOICES, "rule", "tab", "missing"].some((key) => changed.has(key))) return;
    drawPanel();
    if (changed.has("node") && state.node !== null) say(chosenNode(state.node));
  });
}

/** What a screen reader says of a node that was chosen. */
function chosenNode(id) {
  const { out, in: into } = around[id];
  const verdict = worst[id] ? `, ${VERDICTS[worst[id]].label}` : "";
  return `${fullName(data.nodes[id])}: ${count(into.length, "edge")} in, ${out.length} out${verdict}`;
}

/** Tells screen readers. */
function say(text) {
  byId("announce").textContent = text;
}
