// The map under the pointer and the keyboard: pan, zoom, point at, choose.

/** What the pointer is over: {node}, {line}, {bundle} or, far away, {box}; null. */
let hover = null;

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
  if (pointed?.node !== undefined) lift(pointed.node);
  if (pointed?.line) lines.add(pointed.line);
  const bundles = drawn.bundles.filter((one) => one === pointed?.bundle || one.from === pointed?.box || one.to === pointed?.box);
  return { nodes, lines: [...lines], bundles };
}

/**
 * After each change of the viewport. Only if it shows what is not drawn, or drawn for a scale far from this one, is it
 * drawn anew; `settle` does it in any case.
 */
function moved() {
  const { x, y, k } = viewport;
  const scale = k / drawn.k;
  if (!drawn.region || scale > 1.6 || scale < 0.62 || !holds(drawn.region, viewport.region())) draw();
  layers.root.setAttribute("transform", `scale(${k}) translate(${-x} ${-y})`);
}

let settling = 0;

/** Keeps where the map stands in the hash, once it stands. */
function settle() {
  clearTimeout(settling);
  settling = setTimeout(() => {
    draw();
    const { x, y, k } = viewport;
    state.change({ at: [Math.round(x), Math.round(y), Number(k.toPrecision(3))] }, true);
  }, 200);
}

function fit() {
  clearTimeout(settling);
  const from = { x: viewport.x, y: viewport.y, k: viewport.k };
  viewport.fit();
  const target = { x: viewport.x, y: viewport.y, k: viewport.k };
  Object.assign(viewport, from);
  state.change({ at: null }, true);
  fly(target, moved);
}

function zoomBy(factor, x, y) {
  viewport.zoom(factor, x, y);
  moved();
  settle();
}

/** Brings a box of the map into sight. */
function reveal(box, most = 1, always = false) {
  if (viewport.width === 0) return;
  const target = viewport.towards(box, most, always);
  if (!target) return;
  fly(target, moved);
  settle();
}

/** What is under a point of the screen. */
function hit(px, py) {
  const [x, y] = viewport.under(px, py);
  const slack = 3 / viewport.k;
  const inside = (box) => x >= box.x - slack && x <= box.x + box.width + slack && y >= box.y - slack && y <= box.y + box.height + slack;
  const node = data.nodes.findIndex(inside);
  if (node >= 0) return { node };
  const nearest = (lines, curveOf) => {
    let [best, least] = [null, 6 / viewport.k];
    for (const line of lines) {
      const far = distance(curveOf(line), [x, y], least);
      if (far < least) [best, least] = [line, far];
    }
    return best;
  };
  const line = nearest(drawn.links, (one) => one.curve);
  if (line) return { line };
  if (drawn.bundles.length === 0) return null;
  const box = boxUnder(px, py);
  if (box >= 0) return { box };
  const bundle = nearest(drawn.bundles, (one) => one.line);
  return bundle ? { bundle } : null;
}

/** The namespace at a point of the screen, or -1. */
function boxUnder(px, py) {
  const [x, y] = viewport.under(px, py);
  return data.namespaces.findIndex((box) => holds(box, { x, y, width: 0, height: 0 }));
}

/** The words beside the pointer. */
function tipParts({ node, line, bundle, box }) {
  if (box !== undefined) {
    const inside = data.nodes.reduce((sum, one) => sum + (one.box === box), 0);
    const ends = (edge, key) => data.nodes[edge[key]].box === box;
    const ids = idsOf(shown.edges).filter((id) => ends(data.edges[id], "client") || ends(data.edges[id], "server"));
    const problems = ids.filter((id) => isProblem(data.edges[id])).length;
    const words = dots(count(inside, "endpoint"), count(ids.length, "edge"), problems && count(problems, "problem"));
    return [el("strong", null, safe(data.namespaces[box].name)), el("span", null, words), el("span", null, "Double click: closer")];
  }
  if (node !== undefined) {
    const it = data.nodes[node];
    const { out, in: into } = around[node];
    const about = dots(it.kind ?? it.type, it.pods !== null && count(it.pods, "pod"), `${into.length} in, ${out.length} out`);
    return [el("strong", null, fullName(it)), el("span", null, about), worst[node] ? mark(VERDICTS, worst[node]) : null];
  }
  if (bundle) {
    const [from, to] = [bundle.from, bundle.to].map((box) => safe(data.namespaces[box].name));
    const words = dots(count(bundle.edges, "edge"), bundle.problems && count(bundle.problems, "problem"));
    return [el("strong", null, `${from} → ${to}`), el("span", null, words)];
  }
  const ids = line.edges.filter((id) => shown.edges[id]);
  const row = (id) => el("span", null, mark(VERDICTS, data.edges[id].verdict), ` ${portOf(data.edges[id])}`);
  const [from, to] = [line.client, line.server].map((id) => shortName(data.nodes[id]));
  const more = ids.length > 4 ? el("span", null, `and ${ids.length - 4} more`) : null;
  return [el("strong", null, `${from} → ${to}`), ids.slice(0, 4).map(row), more];
}

function showTip(x, y) {
  const tip = byId("tip");
  tip.hidden = hover === null;
  if (!hover) return;
  tip.replaceChildren(...tipParts(hover).flat().filter(Boolean));
  const [width, height] = [tip.offsetWidth, tip.offsetHeight];
  tip.style.left = `${Math.min(x + 14, viewport.width - width - 8)}px`;
  tip.style.top = `${y + 18 + height > viewport.height ? Math.max(y - height - 10, 4) : y + 18}px`;
}

function point(next, x, y) {
  const same = hover?.node === next?.node && hover?.line === next?.line && hover?.bundle === next?.bundle && hover?.box === next?.box;
  hover = next;
  showTip(x, y);
  if (same) return;
  byId("map").classList.toggle("over", next?.node !== undefined || next?.line !== undefined);
  drawFocus();
}

/** Whether a choice is being made on the map itself, which then stays where it is. */
let pressing = false;

/** Chooses what is under the pointer; nothing clears. */
function press(target) {
  pressing = true;
  if (target?.node !== undefined) state.change({ node: target.node });
  else if (target?.line) state.change({ edge: target.line.edges.find((id) => shown.edges[id]) });
  else state.change({ node: null, edge: null, policy: null });
  pressing = false;
}

function listenToPointers(map) {
  const held = new Map();
  let travelled = 0;
  const spot = (event) => {
    const frame = map.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  };
  map.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    map.setPointerCapture(event.pointerId);
    held.set(event.pointerId, spot(event));
    if (held.size === 1) travelled = 0;
  });
  map.addEventListener("pointermove", (event) => {
    const [x, y] = spot(event);
    const last = held.get(event.pointerId);
    if (!last) {
      point(hit(x, y), x, y);
      return;
    }
    const others = [...held].filter(([id]) => id !== event.pointerId);
    travelled += Math.hypot(x - last[0], y - last[1]);
    held.set(event.pointerId, [x, y]);
    if (travelled < 4) return;
    if (hover) point(null, x, y);
    if (others.length) {
      const [, [ox, oy]] = others[0];
      viewport.zoom(Math.hypot(x - ox, y - oy) / (Math.hypot(last[0] - ox, last[1] - oy) || 1), ox, oy);
    } else {
      viewport.x -= (x - last[0]) / viewport.k;
      viewport.y -= (y - last[1]) / viewport.k;
    }
    map.classList.add("dragged");
    moved();
  });
  const release = (event) => {
    if (!held.delete(event.pointerId)) return;
    map.classList.remove("dragged");
    if (travelled >= 4) settle();
    else if (event.type === "pointerup") press(hit(...spot(event)));
  };
  map.addEventListener("pointerup", release);
  map.addEventListener("pointercancel", release);
  map.addEventListener("pointerleave", () => point(null, 0, 0));
  map.addEventListener("dblclick", (event) => {
    const box = data.namespaces[boxUnder(...spot(event))];
    if (box && viewport.k < 0.9) reveal(box, 1, true);
    else zoomBy(ZOOM.step ** 2, ...spot(event));
  });
  map.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      if (hover) point(null, 0, 0);
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
      zoomBy(Math.exp(-Math.max(-240, Math.min(240, event.deltaY * lines)) * 0.0018), ...spot(event));
    },
    { passive: false },
  );
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
  map.setAttribute("aria-label", `Service map: ${count(data.nodes.length, "endpoint")}, ${count(data.edges.length, "edge")}`);
  makeLayers();
  listenToPointers(map);
  map.addEventListener("keydown", onMapKey);
  const control = (text, label, act) => button({ "aria-label": label, title: label }, act, text);
  byId("zoom").append(
    control("+", "Closer (+)", () => zoomBy(ZOOM.step)),
    control("−", "Farther (−)", () => zoomBy(1 / ZOOM.step)),
    control("Fit", "Show everything (0)", fit),
  );
  // Also when its tab comes into sight.
  new ResizeObserver(measure).observe(map);
  onChange((changed) => {
    if (changed.has("at")) stand();
    if (["q", "ns", "class", "verdict", "problems"].some((key) => changed.has(key))) draw();
    else if (["node", "edge", "policy", "rule"].some((key) => changed.has(key))) drawFocus();
    if (["node", "edge", "policy"].some((key) => changed.has(key)) && state.tab === "map") revealChosen();
  });
}

/** Takes the size of the screen. */
function measure() {
  const { clientWidth: width, clientHeight: height } = byId("map");
  if (width === 0 || height === 0) return;
  const first = viewport.width === 0;
  Object.assign(viewport, { width, height });
  if (state.at === null) viewport.fit();
  drawn.region = null;
  stand();
  if (state.at === null) moved();
  if (first) revealChosen();
}

/** Takes the place that the hash says. */
function stand() {
  if (state.at === null || viewport.width === 0) return;
  const [x, y, k] = state.at;
  const stands = Math.abs(x - viewport.x) * k < 2 && Math.abs(y - viewport.y) * k < 2 && Math.abs(k / viewport.k - 1) < 0.01;
  if (!stands) Object.assign(viewport, { x, y, k });
  moved();
}

/** Brings what is chosen into sight, close enough to be read. */
function revealChosen() {
  if (pressing || !chosenIn(state)) return;
  const { nodes, lines } = focus(null);
  for (const line of lines) if (state.node === null) nodes.add(line.client).add(line.server);
  const boxes = [...nodes].map((id) => data.nodes[id]);
  if (boxes.length === 0) return;
  const [x, y] = [Math.min(...boxes.map((box) => box.x)), Math.min(...boxes.map((box) => box.y))];
  const [right, bottom] = [Math.max(...boxes.map((box) => box.x + box.width)), Math.max(...boxes.map((box) => box.y + box.height))];
  reveal({ x, y, width: right - x, height: bottom - y }, 0.7);
}
