// The map on the screen: what is lifted above the rest, where it stands, and the keys that move on it.

/** Nodes and lines that are lifted above the rest: what is chosen, and what is pointed at. */
function focus(pointed = hover) {
  const nodes = new Set();
  const lines = new Set();
  const lift = (id) => {
    nodes.add(id);
    for (const edge of [...around[id].out, ...around[id].in]) if (shown.edges[edge]) lines.add(links[linkOf[edge]]);
  };
  const liftEdge = (id) => {
    lines.add(links[linkOf[id]]);
    nodes.add(data.edges[id].client).add(data.edges[id].server);
  };
  if (state.node !== null) lift(state.node);
  if (state.edge !== null) liftEdge(state.edge);
  if (state.policy !== null) {
    const policy = data.policies[state.policy];
    policy.selects.forEach((id) => nodes.add(id));
    const rules = state.rule === null ? policy.rules : [state.rule];
    for (const rule of rules) for (const edge of data.rules[rule].edges) lines.add(links[linkOf[edge]]);
  }
  if (state.finding !== null) data.findings[state.finding].nodes.forEach((id) => nodes.add(id));
  if (pointed?.node !== undefined) lift(pointed.node);
  if (pointed?.line) lines.add(pointed.line);
  const bundles = drawn.bundles.filter(
    (one) => one === pointed?.bundle || one.from === pointed?.box || one.to === pointed?.box,
  );
  return { nodes, lines: [...lines], bundles };
}

/**
 * After each change of the viewport. Drawn anew is only what shows something that is not drawn, or is drawn for a scale
 * far from this one; when the map stands (`stood`), in any case.
 */
function moved(stood = false) {
  const { x, y, k } = viewport;
  const scale = k / drawn.k;
  if (stood || !drawn.region || scale > 1.6 || scale < 0.62 || !holds(drawn.region, viewport.region())) draw();
  const box = data.namespaces[boxUnder(viewport.width / 2, viewport.height / 2)];
  byId("where").textContent = box && k >= DETAIL.lines && box.y < y ? safe(box.name) : "";
  layers.root.setAttribute("transform", `scale(${k}) translate(${-x} ${-y})`);
}

let settling = 0;

/** Keeps where the map stands in the hash, once it stands. */
function settle() {
  clearTimeout(settling);
  settling = setTimeout(() => {
    draw();
    const { x, y, width, height, k } = viewport;
    const middle = [x + width / k / 2, y + height / k / 2].map(Math.round);
    state.change({ at: [...middle, Number(k.toPrecision(3))] }, true);
  }, 200);
}

/** Shows everything. */
function fit() {
  clearTimeout(settling);
  if (state.at === null) flyToAll();
  else state.change({ at: null }, true);
}

function flyToAll() {
  const { x, y, k } = viewport;
  viewport.fit();
  const target = { x: viewport.x, y: viewport.y, k: viewport.k };
  Object.assign(viewport, { x, y, k });
  fly(target, moved);
}

function zoomBy(factor, x, y) {
  cancelAnimationFrame(flight);
  viewport.zoom(factor, x, y);
  moved();
  settle();
}

/**
 * Brings a box of the map into sight. The hash need not say so, because the choice that it holds does the same again;
 * but where the map stood before does not hold any more.
 */
function reveal(box, most = 1, always = false) {
  if (viewport.width === 0) return;
  const target = viewport.towards(box, most, always);
  if (!target) return;
  fly(target, (stood) => {
    moved(stood);
    if (stood && state.at !== null) settle();
  });
}

/** The node nearest to the chosen one in a direction; without one, the first that is shown. */
function neighbour([dx, dy]) {
  const middle = ({ x, y, width, height }) => [x + width / 2, y + height / 2];
  const candidates = idsOf(shown.nodes);
  if (state.node === null) return candidates[0] ?? null;
  const [x, y] = middle(data.nodes[state.node]);
  let [best, least] = [null, Infinity];
  for (const id of candidates) {
    const [nx, ny] = middle(data.nodes[id]);
    const [along, across] = dx ? [(nx - x) * dx, Math.abs(ny - y)] : [(ny - y) * dy, Math.abs(nx - x)];
    if (along > 1 && along + 2 * across < least) [best, least] = [id, along + 2 * across];
  }
  return best;
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function onMapKey(event) {
  const arrow = ARROWS[event.key];
  if (!arrow && event.key !== "Enter") return;
  event.preventDefault();
  if (event.key === "Enter") {
    byId("panel").focus();
  } else if (event.shiftKey) {
    viewport.x += (arrow[0] * 80) / viewport.k;
    viewport.y += (arrow[1] * 80) / viewport.k;
    moved();
    settle();
  } else {
    const next = neighbour(arrow);
    if (next !== null) state.change({ node: next }, true);
  }
}

function startMap() {
  const map = byId("map");
  map.setAttribute(
    "aria-label",
    `Service map: ${count(data.nodes.length, "endpoint")}, ${count(data.edges.length, "edge")}`,
  );
  byId("nothing").hidden = data.nodes.length > 0;
  makeLayers();
  listenToPointers(map);
  map.addEventListener("keydown", onMapKey);
  const control = (text, label, act) => button({ "aria-label": label, title: label }, act, text);
  byId("zoom").append(
    control("+", "Closer (+)", () => zoomBy(ZOOM.step)),
    control("−", "Farther (−)", () => zoomBy(1 / ZOOM.step)),
    control("Fit", "Fit everything (0)", fit),
  );
  // Also when its tab comes into sight.
  new ResizeObserver(measure).observe(map);
  onChange((changed) => {
    if (changed.has("at") && viewport.width) state.at === null ? flyToAll() : stand();
    if (["q", "ns", "class", "verdict", "problems"].some((key) => changed.has(key))) draw();
    else if ([...CHOICES, "rule"].some((key) => changed.has(key))) drawFocus();
    if (state.tab === "map" && ["tab", ...CHOICES].some((key) => changed.has(key))) revealChosen();
    else if (changed.has("ns") && state.ns !== null) reveal(data.namespaces[state.ns]);
  });
}

/** Takes the size of the screen. What the hash says of where the map stands is taken at its word. */
function measure() {
  const { clientWidth: width, clientHeight: height } = byId("map");
  if (width === 0 || height === 0) return;
  Object.assign(viewport, { width, height });
  drawn.region = null;
  if (state.at !== null) {
    stand();
    return;
  }
  viewport.fit();
  moved();
  revealChosen(true);
}

/** Takes the place that the hash says. */
function stand() {
  if (state.at === null || viewport.width === 0) return;
  const [middle, level] = state.at;
  const k = Math.max(ZOOM.least, Math.min(ZOOM.most, state.at[2]));
  const [x, y] = [middle - viewport.width / k / 2, level - viewport.height / k / 2];
  const stands =
    Math.abs(x - viewport.x) * k < 2 && Math.abs(y - viewport.y) * k < 2 && Math.abs(k / viewport.k - 1) < 0.01;
  if (!stands) Object.assign(viewport, { x, y, k });
  moved();
}

/** Brings what is chosen into sight, with its neighbours as long as their names can be read then. */
function revealChosen(atOnce = false) {
  if (pressing || !chosenIn(state)) return;
  const { nodes, lines } = focus(null);
  const all = new Set(nodes);
  for (const line of lines) all.add(line.client).add(line.server);
  if (all.size === 0) return;
  const wide = frame(all);
  const legible = Math.min(viewport.width / wide.width, viewport.height / wide.height) * 0.8 >= DETAIL.names;
  const box = legible || nodes.size === 0 ? wide : frame(nodes);
  if (!atOnce) {
    reveal(box, 0.7);
    return;
  }
  const target = viewport.towards(box, 0.7);
  if (!target) return;
  Object.assign(viewport, target);
  moved(true);
}

/** The smallest box that holds these nodes. */
function frame(ids) {
  const boxes = [...ids].map((id) => data.nodes[id]);
  const [x, y] = [Math.min(...boxes.map((box) => box.x)), Math.min(...boxes.map((box) => box.y))];
  const [right, bottom] = [
    Math.max(...boxes.map((box) => box.x + box.width)),
    Math.max(...boxes.map((box) => box.y + box.height)),
  ];
  return { x, y, width: right - x, height: bottom - y };
}
