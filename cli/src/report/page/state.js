// What is shown: all of it is in the hash of the address, so that a link shares a view.

/** What can be chosen, one of it at a time; and the change that chooses nothing. */
const CHOICES = ["node", "edge", "policy", "finding"];
const NOTHING = Object.fromEntries(CHOICES.map((key) => [key, null]));

const TABS = ["map", "findings", "workloads", "edges", "policies", "coverage", ...(data.change ? ["change"] : [])];

const state = {
  tab: "map",
  q: "",
  ns: null, // index of a box
  class: new Set(), // empty: all
  verdict: new Set(), // empty: all
  problems: false,
  node: null,
  edge: null,
  policy: null,
  finding: null, // only one that is about nothing else here
  rule: null, // a rule of `policy` that is pointed at
  missing: "", // a node that the address names and the report does not have
  sort: "", // `column` or `-column`, of the table of the tab
  theme: "", // `light` or `dark`; empty: as the system says
  at: null, // [x, y, scale] of the map, of the middle of the screen; null: fitted

  /**
   * Takes new values and draws what depends on them. Choosing a node, an edge, a policy or a tab is a step that the
   * browser's Back undoes; `quiet` and all other changes are not.
   */
  change(values, quiet = false) {
    const before = state.hash();
    const changed = assign(state, values);
    const hash = state.hash();
    if (hash !== before) {
      const step = !quiet && ["tab", ...CHOICES].some((key) => changed.has(key));
      history[step ? "pushState" : "replaceState"](null, "", hash || "#");
    }
    for (const listener of listeners) listener(changed);
  },

  /** The hash of this state, or of what it would be with `values`. */
  hash(values) {
    return values ? written(assigned(values)) : written(state);
  },

  /** The same, for a link. */
  href: (values) => state.hash(values) || "#",
};

const listeners = [];

/** Calls `listener` with the set of names that changed, after each change. */
const onChange = (listener) => listeners.push(listener);

/** What is chosen excludes each other. */
function completed(values) {
  const chosen = CHOICES.filter((key) => values[key] !== undefined && values[key] !== null);
  if (chosen.length === 0) return "policy" in values && !("rule" in values) ? { ...values, rule: null } : values;
  const none = { ...NOTHING, rule: null };
  return { ...none, ...values };
}

function assign(target, values) {
  const changed = new Set();
  const all = { missing: "", ...completed(values) };
  if (all.tab !== undefined && all.tab !== target.tab && all.sort === undefined) all.sort = "";
  for (const [key, value] of Object.entries(all)) {
    if (same(target[key], value)) continue;
    target[key] = value;
    changed.add(key);
  }
  return changed;
}

function assigned(values) {
  const copy = { ...state };
  assign(copy, values);
  return copy;
}

function same(a, b) {
  const list = (value) => (value instanceof Set || Array.isArray(value) ? [...value].join() : value);
  return list(a) === list(b);
}

/** Readable hashes: `/`, `:` and `,` may stand in one as they are. */
const encode = (text) => encodeURIComponent(text.toWellFormed()).replace(/%(2F|3A|2C)/g, decodeURIComponent);

function written(values) {
  const parts = [];
  const put = (key, value) => value && parts.push(`${key}=${encode(value)}`);
  put("tab", values.tab === "map" ? "" : values.tab);
  put("q", values.q);
  put("ns", values.ns === null ? "" : data.namespaces[values.ns].name);
  put("class", [...values.class].join(","));
  put("verdict", [...values.verdict].join(","));
  put("problems", values.problems ? "1" : "");
  put("node", values.node === null ? "" : nodeKeys.key(values.node));
  put("edge", values.edge === null ? "" : String(values.edge));
  put("policy", values.policy === null ? "" : policyKeys.key(values.policy));
  put("finding", values.finding === null ? "" : String(values.finding));
  put("rule", values.rule === null ? "" : String(values.rule));
  put("sort", values.sort);
  put("theme", values.theme);
  put("at", values.at ? values.at.join(",") : "");
  return parts.length ? `#${parts.join("&")}` : "";
}

/** The state that a hash means. What it names and the data does not have is left out. */
function parsed(hash) {
  const given = new Map();
  for (const part of hash.replace(/^#/, "").split("&")) {
    const [key, value] = part.split(/=(.*)/s);
    try {
      given.set(key, decodeURIComponent(value ?? ""));
    } catch {
      // A stray `%`: not something that this page wrote.
    }
  }
  const text = (key) => given.get(key) ?? "";
  const known = (key, table) =>
    new Set(
      text(key)
        .split(",")
        .filter((word) => Object.hasOwn(table, word)),
    );
  const index = (key, list) => (/^\d+$/.test(text(key)) && Number(text(key)) < list.length ? Number(text(key)) : null);
  const box = data.namespaces.findIndex(({ name }) => name === text("ns"));
  const at = text("at").split(",").map(Number);
  return {
    tab: TABS.includes(text("tab")) ? text("tab") : "map",
    q: text("q"),
    ns: text("ns") && box >= 0 ? box : null,
    class: known("class", CLASSES),
    verdict: known("verdict", VERDICTS),
    problems: text("problems") === "1",
    node: text("node") ? nodeKeys.id(text("node")) : null,
    edge: index("edge", data.edges),
    policy: text("policy") ? policyKeys.id(text("policy")) : null,
    finding: index("finding", data.findings),
    rule: index("rule", data.rules),
    missing: text("node") && nodeKeys.id(text("node")) === null ? text("node") : "",
    sort: text("sort"),
    theme: ["light", "dark"].includes(text("theme")) ? text("theme") : "",
    at: at.length === 3 && at.every(Number.isFinite) && at[2] > 0 ? at : null,
  };
}

/** Takes the state from the address. */
function load() {
  const values = parsed(location.hash);
  const changed = new Set();
  for (const [key, value] of Object.entries(values)) {
    if (same(state[key], value)) continue;
    state[key] = value;
    changed.add(key);
  }
  for (const listener of listeners) listener(changed);
}
