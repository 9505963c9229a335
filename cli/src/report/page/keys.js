// Keys that work everywhere, and the sheet that tells them.

const KEYS = [
  ["/", "search"],
  ["1 – 7", "map, findings, workloads, edges, policies, coverage, and what changes"],
  ["Arrows", "to the next workload of the map, or row of a table"],
  ["Shift + arrows", "move the map"],
  ["+ − 0", "closer, farther, everything"],
  ["Enter", "open the row; from the search to the first match; from the map to the details"],
  ["p", "only problems"],
  ["Escape", "clear the choice, then the search and the filters"],
  ["?", "these keys"],
];

function startKeys() {
  const sheet = byId("keys");
  sheet.append(
    el("h2", { id: "keys-title" }, "Keys"),
    el(
      "dl",
      { class: "facts" },
      KEYS.map(([key, what]) => el("div", null, el("dt", null, el("kbd", null, key)), el("dd", null, what))),
    ),
    button({ class: "chip" }, () => sheet.close(), "Close"),
  );
  sheet.addEventListener("click", (event) => event.target === sheet && sheet.close());
  byId("help").addEventListener("click", () => sheet.showModal());
  document.addEventListener("keydown", onKey);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "Escape") {
    clear(typing);
    return;
  }
  if (event.key === "Enter" && event.target === byId("search")) {
    firstMatch();
    event.preventDefault();
  }
  if (typing) return;
  const act = {
    "/": () => byId("search").focus(),
    "?": () => byId("keys").showModal(),
    p: () => state.change({ problems: !state.problems }),
    "+": () => zoomBy(ZOOM.step),
    "=": () => zoomBy(ZOOM.step),
    "-": () => zoomBy(1 / ZOOM.step),
    0: fit,
  }[event.key];
  const tab = /^[1-9]$/.test(event.key) ? TABS[Number(event.key) - 1] : null;
  if (act) act();
  else if (tab) state.change({ tab });
  else return;
  event.preventDefault();
}

/** Takes back one step: the field, the choice, or all filters. */
function clear(typing) {
  if (typing && state.q === "") document.activeElement.blur();
  else if (typing) state.change({ q: "" });
  else if (!typing && chosenIn(state)) state.change(NOTHING);
  else clearFilters();
}

const clearFilters = () => state.change({ q: "", ns: null, class: new Set(), verdict: new Set(), problems: false });

/** From the search to what it found: the first row, or the workload of the map whose name fits best. */
function firstMatch() {
  if (made[state.tab]) {
    made[state.tab].enter();
    return;
  }
  const asked = state.q.trim().toLowerCase();
  const fits = (id) => data.nodes[id].name.toLowerCase();
  const rank = (id) => (fits(id) === asked ? 0 : fits(id).startsWith(asked) ? 1 : fits(id).includes(asked) ? 2 : 3);
  const [best] = sorted(idsOf(shown.nodes), rank, false);
  if (best === undefined) return;
  state.change({ node: best });
  byId("map").focus();
}
