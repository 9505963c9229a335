// The map as SVG. How much is drawn depends on the scale: far away namespaces and workloads without names, near by
// names and the lines inside namespaces. Where there are many lines, those between namespaces are bundled; single ones
// appear with what is chosen or pointed at. Only what is on the screen, and a margin, is in the document.

/** Scales (pixels per unit) from which names of workloads are drawn, and, of many lines, those inside namespaces. */
const DETAIL = { names: 0.34, lines: 0.5 };
/** So many lines are all drawn. */
const FEW_LINES = 300;
/** Lines in one path: more make painting slow, fewer the document large. */
const BATCH = 60;
const NAME_FONT = "500 13px system-ui, sans-serif";

const layers = {};
/** What the last drawing held: the region, the scale, and lines and bundles that a pointer can hit. */
const drawn = { region: null, k: 0, links: [], bundles: [] };

function makeLayers() {
  const root = svg("g", { id: "world", "aria-hidden": "true" });
  for (const name of ["bundles", "boxes", "lines", "nodes", "titles", "focus"]) {
    layers[name] = svg("g", { class: `layer-${name}` });
    root.append(layers[name]);
  }
  byId("map").append(root);
  layers.root = root;
}

/** Whether a line is shown: any of its edges is. */
const linkShown = (line) => line.edges.some((id) => shown.edges[id]);
/** The worst edge of a line that is shown. */
const shownEdge = (line) => data.edges[line.edges.find((id) => shown.edges[id]) ?? line.edges[0]];

/** Draws everything anew for the present viewport. */
function draw() {
  const { k } = viewport;
  const px = 1 / k;
  const region = viewport.region(0.5);
  const visible = links.filter(linkShown);
  const bundled = visible.length > FEW_LINES;
  const single = (line) => !bundled || lineStandsOut(line) || (k >= DETAIL.lines && isInside(line));
  Object.assign(drawn, { region, k, links: [], bundles: [] });
  drawBoxes(region, px);
  drawBundles(bundled ? visible : [], px);
  drawLines(visible.filter(single), region, px);
  drawNodes(region, px);
  drawFocus();
}

/** Lines that no bundle hides: alarms, as long as they are few enough to be read; else the bundles show them. */
const isAlarm = (edge) => VERDICTS[edge.verdict]?.alarm === true;
const fewAlarms = links.filter((line) => isAlarm(data.edges[line.edges[0]])).length <= FEW_LINES;
const lineStandsOut = (line) => fewAlarms && isAlarm(shownEdge(line));

/** Whether a line stays inside a namespace. */
const isInside = (line) => data.nodes[line.client].box === data.nodes[line.server].box;

function drawBundles(visible, px) {
  const bundles = new Map();
  for (const line of visible) {
    const [from, to] = [data.nodes[line.client].box, data.nodes[line.server].box];
    if (from === to) continue;
    const key = from * data.namespaces.length + to;
    if (!bundles.has(key)) bundles.set(key, { from, to, edges: 0, problems: 0, verdict: null });
    const bundle = bundles.get(key);
    const edge = shownEdge(line);
    if (!fewAlarms && isAlarm(edge) && (bundle.verdict === null || rankOf(edge) < RANK.get(bundle.verdict)))
      bundle.verdict = edge.verdict;
    for (const id of line.edges) {
      bundle.edges += shown.edges[id];
      bundle.problems += shown.edges[id] && isProblem(data.edges[id]);
    }
  }
  for (const bundle of bundles.values()) bundle.line = arc(data.namespaces[bundle.from], data.namespaces[bundle.to]);
  drawn.bundles = [...bundles.values()];
  const paths = drawn.bundles.map((bundle) => {
    const width = Math.min(1 + Math.log2(bundle.edges) * 0.55, 6) * px;
    bundle.width = width;
    const look = { class: bundle.verdict ? `bundle alarm v-${bundle.verdict}` : "bundle", "stroke-width": width };
    return svg("path", {
      ...look,
      d: path(bundle.line),
      "stroke-dasharray": bundle.verdict && dashes(bundle.verdict, px),
    });
  });
  layers.bundles.replaceChildren(...paths);
}

/** Lines of one look in few paths; arrow heads apart, since they are filled and have no dashes. */
function drawLines(visible, region, px) {
  const looks = new Map();
  for (const line of visible) {
    const [from, to] = [data.nodes[line.client], data.nodes[line.server]];
    if (!meet(from, region) && !meet(to, region)) continue;
    const edge = shownEdge(line);
    const look = `line v-${edge.verdict}${PLATFORM.has(edge.class) ? " thin" : ""}`;
    if (!looks.has(look)) looks.set(look, { verdict: edge.verdict, curves: [] });
    line.curve ??= curve(from, to);
    looks.get(look).curves.push(line.curve);
    drawn.links.push(line);
  }
  const order = [...looks].sort(([, a], [, b]) => (RANK.get(b.verdict) ?? 99) - (RANK.get(a.verdict) ?? 99));
  const paths = [];
  for (const [look, { verdict, curves }] of order) {
    for (let at = 0; at < curves.length; at += BATCH) {
      const part = curves.slice(at, at + BATCH);
      paths.push(svg("path", { class: look, d: part.map(path).join(""), "stroke-dasharray": dashes(verdict, px) }));
      paths.push(svg("path", { class: `${look} tips`, d: part.map((one) => arrow(one, tipSize(px))).join("") }));
    }
  }
  layers.lines.setAttribute("stroke-width", Math.min(1.3 * px, 8));
  layers.lines.replaceChildren(...paths);
}

const tipSize = (px) => Math.min(7 * px, 30);

function dashes(verdict, px) {
  const dash = VERDICTS[verdict]?.dash;
  return dash
    ? dash
        .split(" ")
        .map((part) => Number(part) * Math.min(px, 6))
        .join(" ")
    : null;
}

function drawNodes(region, px) {
  const named = viewport.k >= DETAIL.names;
  const parts = [];
  const shapes = new Map();
  data.nodes.forEach((node, id) => {
    if (!meet(node, region)) return;
    if (named) {
      parts.push(nodeShape(id, px));
      return;
    }
    const look = `endpoint ${node.type}${alarm[id] ? ` v-${alarm[id]} worst` : ""}${shown.nodes[id] ? "" : " off"}`;
    if (!shapes.has(look)) shapes.set(look, []);
    shapes.get(look).push(`M${round(node.x)} ${round(node.y)}h${node.width}v${node.height}h${-node.width}z`);
  });
  for (const [look, rects] of shapes) parts.push(svg("path", { class: look, d: rects.join("") }));
  layers.nodes.setAttribute("stroke-width", px);
  layers.nodes.setAttribute("font-size", nameSize(px));
  layers.nodes.replaceChildren(...parts);
}

/** The size of names: 13 units, on a small scale so many that they are still legible. */
const nameSize = (px) => Math.max(13, 9.5 * px);

/** A node with its name, in the group's own coordinates. `more`: further classes. */
function nodeShape(id, px, more = "") {
  const node = data.nodes[id];
  const { x, y, width, height, type } = node;
  const size = nameSize(px);
  const corner = { external: height / 2, unresolved: height / 2, node: 2 }[type] ?? Math.min(7, height / 4);
  const verdict = alarm[id];
  const guard = type === "workload" && node.ingress !== null;
  const left = type === "external" || type === "unresolved" ? height / 2.4 : guard ? 15 : 11;
  const pods = node.pods !== null && size === 13 ? `${number(node.pods)}×` : "";
  const right = (verdict ? 22 : 8) + (pods ? 8 + widthOf(pods, NAME_FONT) * 0.85 : 0);
  const text = cut(safe(node.name), ((width - left - right) * 13) / size, NAME_FONT);
  const look = `endpoint ${type}${verdict ? ` v-${verdict} worst` : ""}${shown.nodes[id] ? "" : " off"} ${more}`;
  const middle = { y: height / 2, "dominant-baseline": "central" };
  return svg(
    "g",
    { class: look, transform: `translate(${x} ${y})`, data: { node: id } },
    svg("rect", { class: "shape", width, height, rx: corner }),
    guard && svg("rect", { class: `guard ${node.ingress}`, x: 5, y: 5, width: 4, height: height / 2 - 5.5 }),
    guard &&
      svg("rect", { class: `guard ${node.egress}`, x: 5, y: height / 2 + 0.5, width: 4, height: height / 2 - 5.5 }),
    text && svg("text", { class: "name", x: left, ...middle }, text),
    pods && svg("text", { class: "pods", x: width - (verdict ? 25 : 9), "text-anchor": "end", ...middle }, pods),
    verdict &&
      svg("path", {
        class: "sign",
        d: VERDICTS[verdict].mark,
        transform: `translate(${width - 20} ${height / 2 - 6})`,
      }),
  );
}

/** What is chosen and what is under the pointer, with its lines and neighbours, above everything else. */
function drawFocus() {
  const { nodes, lines, bundles } = focus();
  const px = 1 / viewport.k;
  const lifted = new Set(nodes);
  for (const line of lines) lifted.add(line.client).add(line.server);
  const paths = bundles.map(({ line, width }) =>
    svg("path", { class: "bundle", d: path(line), "stroke-width": width }),
  );
  const curves = lines.flatMap((line) => {
    const { verdict } = shownEdge(line);
    line.curve ??= curve(data.nodes[line.client], data.nodes[line.server]);
    return [
      svg("path", { class: `line v-${verdict}`, d: path(line.curve), "stroke-dasharray": dashes(verdict, px) }),
      svg("path", { class: `line tips v-${verdict}`, d: arrow(line.curve, tipSize(px) * 1.2) }),
    ];
  });
  const named = viewport.k >= DETAIL.names;
  const shapes = [...lifted].map((id) =>
    nodeShape(id, px, `${nodes.has(id) ? "chosen" : "near"}${named ? "" : " bare"}`),
  );
  layers.focus.setAttribute("stroke-width", Math.min(2 * px, 14));
  layers.focus.setAttribute("font-size", nameSize(px));
  layers.focus.replaceChildren(
    ...paths,
    ...curves,
    ...shapes,
    ...(named ? portLabels(lines, lifted, px) : captions(nodes, lifted, px)),
  );
  byId("map").classList.toggle("dimmed", lifted.size > 0 && chosenIn(state));
}

/** Names beside nodes that are too small for them; those that would cover another are left out. */
function captions(nodes, around, px) {
  const size = 12 * px;
  const taken = [];
  const texts = [];
  for (const id of [...nodes, ...[...around].filter((id) => !nodes.has(id))].slice(0, 60)) {
    const node = data.nodes[id];
    const text = cut(safe(node.name), 170, NAME_FONT);
    const width = ((widthOf(text, NAME_FONT) + 8) * size) / 13;
    const place = { x: node.x + node.width / 2 - width / 2, y: node.y - size * 1.35, width, height: size * 1.3 };
    if (taken.some((other) => meet(other, place))) continue;
    taken.push(place);
    const at = { x: node.x + node.width / 2, y: node.y - size * 0.4, "text-anchor": "middle" };
    texts.push(svg("text", { class: "caption", ...at, "font-size": size, "stroke-width": 4 * px }, text));
  }
  return texts;
}

/** The ports of lines that are lifted, in their middle; those that would cover a name or each other are left out. */
function portLabels(lines, around, px) {
  const size = Math.min(11 * px, 30);
  const taken = [...around].map((id) => data.nodes[id]);
  return lines.slice(0, 60).flatMap((line) => {
    const ports = [...new Set(line.edges.filter((id) => shown.edges[id]).map((id) => portOf(data.edges[id])))];
    const text = ports.length > 2 ? `${ports[0]} and ${ports.length - 1} more` : ports.join(", ");
    const width = (widthOf(text, NAME_FONT) * size) / 13 + 4 * px;
    for (const share of [0.5, 0.35, 0.65]) {
      const [x, y] = pointAt(line.curve, share);
      const place = { x: x - width / 2, y: y - size * 0.65, width, height: size * 1.3 };
      if (taken.some((other) => meet(other, place))) continue;
      taken.push(place);
      const props = { class: "caption", x, y, "text-anchor": "middle", "dominant-baseline": "central" };
      return [svg("text", { ...props, "font-size": size, "stroke-width": 4 * px }, text)];
    }
    return [];
  });
}

const chosenIn = (values) => CHOICES.some((key) => values[key] !== null);
