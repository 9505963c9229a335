// The map under the pointer: what it is over, what it drags, what it chooses.

/** What the pointer is over: {node}, {line}, {bundle} or, far away, {box}; null. */
let hover = null;

/** What is under a point of the screen. */
function hit(px, py) {
  const [x, y] = viewport.under(px, py);
  const slack = 3 / viewport.k;
  const inside = (box) =>
    x >= box.x - slack && x <= box.x + box.width + slack && y >= box.y - slack && y <= box.y + box.height + slack;
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
    return [
      el("strong", null, safe(data.namespaces[box].name)),
      el("span", null, words),
      el("span", null, "Double click: closer"),
    ];
  }
  if (node !== undefined) {
    const it = data.nodes[node];
    const { out, in: into } = around[node];
    const about = dots(
      it.kind ?? it.type,
      it.pods !== null && count(it.pods, "pod"),
      `${into.length} in, ${out.length} out`,
    );
    return [
      el("strong", null, fullName(it)),
      el("span", null, about),
      worst[node] ? mark(VERDICTS, worst[node]) : null,
    ];
  }
  if (bundle) {
    const [from, to] = [bundle.from, bundle.to].map((box) => safe(data.namespaces[box].name));
    const words = dots(count(bundle.edges, "edge"), bundle.problems && count(bundle.problems, "problem"));
    return [el("strong", null, `${from} → ${to}`), el("span", null, words)];
  }
  const ids = line.edges.filter((id) => shown.edges[id]);
  const row = (id) => el("span", null, mark(VERDICTS, data.edges[id].verdict), ` ${portOf(data.edges[id])}`);
  const [from, to] = [line.client, line.server].map((id) => shortName(data.nodes[id]));
  const why = ids.length === 1 && data.edges[ids[0]].why;
  const more = ids.length > 4 ? el("span", null, `and ${ids.length - 4} more`) : null;
  return [el("strong", null, `${from} → ${to}`), ids.slice(0, 4).map(row), why && el("span", null, safe(why)), more];
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
  const same =
    hover?.node === next?.node &&
    hover?.line === next?.line &&
    hover?.bundle === next?.bundle &&
    hover?.box === next?.box;
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
  else state.change(NOTHING);
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
    cancelAnimationFrame(flight);
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
