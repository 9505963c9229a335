// Namespaces on the map: boxes, and their names where there is room for them.

const TITLE_FONT = "600 13px system-ui, sans-serif";

/** The least room between a namespace and the one above it, in units of the map. */
const titleRoom = data.namespaces.reduce((least, box) => {
  const above = data.namespaces.filter(
    (one) => one.y + one.height <= box.y && one.x < box.x + box.width && box.x < one.x + one.width,
  );
  return Math.min(least, ...above.map((one) => box.y - one.y - one.height));
}, Infinity);

/**
 * Where the name of a namespace stands, and its size: inside at the top as long as it is legible there; then above the
 * box; far away in its middle, over what is inside, as on a map of a country.
 */
function titlePlace(px) {
  if (px <= 1.35) return { size: 13, where: "inside" };
  const size = 12 * px;
  return { size, where: size * 1.2 <= Math.min(titleRoom, 100) ? "above" : "over" };
}

function titleOf(box, { size, where }, px) {
  const { x, y, width, height } = box;
  const at = {
    inside: { x: x + 16, y: y + 22 },
    above: { x: x + 2 * px, y: y - size * 0.4 },
    over: { x: x + width / 2, y: y + height / 2, "text-anchor": "middle", "dominant-baseline": "central" },
  }[where];
  const room = width - { inside: 28, above: 0, over: 8 * px }[where];
  const text = cut(safe(box.name), (room * 13) / size, TITLE_FONT);
  return text && svg("text", { class: "title", ...at }, text);
}

function drawBoxes(region, px) {
  const place = titlePlace(px);
  const [boxes, titles] = [[], []];
  data.namespaces.forEach((box, id) => {
    if (!meet(box, region)) return;
    const { x, y, width, height } = box;
    const off = state.ns !== null && state.ns !== id ? " off" : "";
    const inside = hasWorkloads.has(id) ? "" : " outside";
    boxes.push(svg("rect", { class: `box${inside}${off}`, x, y, width, height, rx: Math.min(10, 14 * px) }));
    const title = titleOf(box, place, px);
    if (title && off) title.classList.add("off");
    if (title) titles.push(title);
  });
  layers.boxes.setAttribute("stroke-width", px);
  layers.boxes.replaceChildren(...boxes);
  for (const where of ["above", "over"]) layers.titles.classList.toggle(where, place.where === where);
  layers.titles.setAttribute("font-size", place.size);
  layers.titles.setAttribute("stroke-width", place.where === "inside" ? 0 : 4 * px);
  layers.titles.replaceChildren(...titles);
}

/** Boxes that are namespaces; the others hold machines and addresses. */
const hasWorkloads = new Set(data.nodes.filter(({ type }) => type === "workload").map((node) => node.box));
