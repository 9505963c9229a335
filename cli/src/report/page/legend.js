// The legend is the filter: a chip shows how a verdict or class looks, how often it is there, and shows only it.

/** A short line as the map draws it. */
function sample(verdict, thin) {
  const dash = VERDICTS[verdict]?.dash;
  const line = svg("path", { d: "M0 6h18", "stroke-dasharray": dash, class: thin ? "thin" : null });
  return svg("svg", { class: `sample v-${verdict}`, viewBox: "0 0 18 12", "aria-hidden": "true" }, line);
}

/** Classes that the platform makes for itself, which the map draws thin. */
const PLATFORM = new Set(["dns", "apiserver", "node", "probe", "metadata"]);

function tally(key) {
  const counts = new Map();
  for (const edge of data.edges) counts.set(edge[key], (counts.get(edge[key]) ?? 0) + 1);
  return counts;
}

/** Chips of a filter that is a set. */
function chips(key, table, look) {
  const counts = tally(key);
  const present = Object.keys(table).filter((name) => counts.has(name));
  return present.map((name) => {
    const press = () => {
      const next = new Set(state[key]);
      if (!next.delete(name)) next.add(name);
      state.change({ [key]: next.size === present.length ? new Set() : next });
    };
    const props = { class: "chip", data: { [key]: name }, title: "Show only this; press again for all" };
    const label = table[name].label ?? table[name];
    return button(props, press, look(name), label, el("span", { class: "count" }, number(counts.get(name))));
  });
}

function drawLegend() {
  const verdicts = chips("verdict", VERDICTS, (name) => [sample(name), icon({ verdict: name })]);
  const classes = chips("class", CLASSES, (name) => sample("observed", PLATFORM.has(name)));
  const bar = (ingress, egress) =>
    svg(
      "svg",
      { class: "guards", viewBox: "0 0 5 14", "aria-hidden": "true" },
      svg("rect", { class: `guard ${ingress}`, x: 0.5, y: 0.5, width: 4, height: 6 }),
      svg("rect", { class: `guard ${egress}`, x: 0.5, y: 7.5, width: 4, height: 6 }),
    );
  const guards = [
    [bar("isolated", "isolated"), "isolated by policies"],
    [bar("isolated", "open"), "ingress only"],
    [bar("open", "open"), "open"],
  ];
  const keys = data.policies.length ? guards.map(([look, text]) => el("span", { class: "key" }, look, text)) : [];
  byId("legend").replaceChildren(
    el("div", { class: "row", role: "group", "aria-label": "Verdict" }, verdicts),
    el("div", { class: "row", role: "group", "aria-label": "Class" }, classes),
  );
  byId("guards").replaceChildren(...keys);
  onChange((changed) => (changed.has("class") || changed.has("verdict")) && markLegend());
  markLegend();
}

function markLegend() {
  for (const chip of byId("legend").querySelectorAll("button")) {
    const [key] = Object.keys(chip.dataset);
    const pressed = state[key].has(chip.dataset[key]);
    chip.setAttribute("aria-pressed", String(pressed));
    chip.classList.toggle("pale", state[key].size > 0 && !pressed);
  }
}

/** The fields of the bar: search, namespace, problems, theme. */
function drawFilters() {
  const search = byId("search");
  search.addEventListener("input", () => state.change({ q: search.value }));
  const namespace = byId("namespace");
  const names = data.namespaces.map(({ name }, id) => [name, id]).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  namespace.append(el("option", { value: "" }, "All namespaces"));
  namespace.append(...names.map(([name, id]) => el("option", { value: id }, safe(name))));
  namespace.addEventListener("change", () =>
    state.change({ ns: namespace.value === "" ? null : Number(namespace.value) }),
  );
  byId("problems").addEventListener("click", () => state.change({ problems: !state.problems }));
  byId("clear").addEventListener("click", clearFilters);
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (state.theme ? state.theme === "dark" : system.matches);
  byId("theme").addEventListener("click", () => {
    const other = isDark() ? "light" : "dark";
    state.change({ theme: (other === "dark") === system.matches ? "" : other });
  });
  const sync = () => {
    if (search.value !== state.q) search.value = state.q;
    namespace.value = state.ns === null ? "" : String(state.ns);
    byId("problems").setAttribute("aria-pressed", String(state.problems));
    byId("matches").textContent = shown.any ? matches() : "";
    byId("clear").hidden = !shown.any;
    const label = isDark() ? "Light" : "Dark";
    byId("theme").textContent = label;
    byId("theme").setAttribute("aria-label", `${label} colours`);
    if (state.theme) document.documentElement.dataset.theme = state.theme;
    else delete document.documentElement.dataset.theme;
  };
  system.addEventListener("change", sync);
  onChange(sync);
  sync();
}
