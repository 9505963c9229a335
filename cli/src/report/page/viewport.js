// What part of the map is on the screen. Units: the map's own; `k` is screen pixels per unit.

const ZOOM = { least: 0.02, most: 3, step: 1.25 };
const MARGIN = 28; // around a fitted map, in pixels
const KEY = 18; // more below, for the key of the map

const viewport = {
  x: 0, // left edge of the screen, in units of the map
  y: 0,
  k: 1,
  width: 0, // of the screen, in pixels
  height: 0,

  /** The part that is seen, {x, y, width, height} in units of the map; `share` of it is added on each side. */
  region(share = 0) {
    const [width, height] = [this.width / this.k, this.height / this.k];
    const [dx, dy] = [width * share, height * share];
    return { x: this.x - dx, y: this.y - dy, width: width + 2 * dx, height: height + 2 * dy };
  },

  /** The point of the map under a point of the screen. */
  under: (x, y) => [viewport.x + x / viewport.k, viewport.y + y / viewport.k],

  /** Shows everything. */
  fit() {
    const { x, y, width, height } = extent;
    const room = (size) => Math.max(size - 2 * MARGIN, 50);
    this.k = Math.min(room(this.width) / width, room(this.height - KEY) / height, 1.15);
    this.x = x + width / 2 - this.width / this.k / 2;
    this.y = y + height / 2 - (this.height - KEY) / this.k / 2;
  },

  /** Changes the scale, and leaves the point of the map that is under (px, py) of the screen where it is. */
  zoom(factor, px = this.width / 2, py = this.height / 2) {
    const k = Math.max(ZOOM.least, Math.min(ZOOM.most, this.k * factor));
    const [x, y] = this.under(px, py);
    Object.assign(this, { k, x: x - px / k, y: y - py / k });
  },

  /** Where the screen has to be for `box` to be in its middle, no closer than `most`; null if it is well in sight. */
  towards(box, most, always = false) {
    const seen = this.region(-0.06);
    const inside = box.x >= seen.x && box.x + box.width <= seen.x + seen.width;
    const level = box.y >= seen.y && box.y + box.height <= seen.y + seen.height;
    if (!always && inside && level && this.k >= most / 2) return null;
    const fit = Math.min((this.width * 0.8) / box.width, (this.height * 0.8) / box.height, most);
    const k = Math.max(fit, always ? 0 : Math.min(this.k, most));
    return { k, x: middle(box, "x", "width", this.width / k), y: middle(box, "y", "height", this.height / k) };
  },
};

/** Where a screen of this size begins to have `box` in its middle, as far as it shows no void beside the map. */
function middle(box, key, side, size) {
  const wanted = box[key] + box[side] / 2 - size / 2;
  const [first, last] = [extent[key] - size * 0.06, extent[key] + extent[side] - size * 0.94];
  return first > last ? (first + last) / 2 : Math.max(first, Math.min(wanted, last));
}

/** The whole map. */
const extent = (() => {
  const boxes = data.namespaces;
  if (boxes.length === 0) return { x: 0, y: 0, width: 100, height: 100 };
  const [x, y] = [Math.min(...boxes.map((box) => box.x)), Math.min(...boxes.map((box) => box.y))];
  const right = Math.max(...boxes.map((box) => box.x + box.width));
  const bottom = Math.max(...boxes.map((box) => box.y + box.height));
  return { x, y, width: Math.max(right - x, 1), height: Math.max(bottom - y, 1) };
})();

const meet = (a, b) => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
const holds = (outer, inner) =>
  inner.x >= outer.x &&
  inner.y >= outer.y &&
  inner.x + inner.width <= outer.x + outer.width &&
  inner.y + inner.height <= outer.y + outer.height;

const calm = matchMedia("(prefers-reduced-motion: reduce)");
/** The next step of a movement, for `cancelAnimationFrame`. */
let flight = 0;

/**
 * Moves to `target` ({x, y, k}) in a quarter of a second, at once where people asked for less motion. Calls `moved`
 * after each step, with true after the last.
 */
function fly(target, moved) {
  cancelAnimationFrame(flight);
  const from = { x: viewport.x, y: viewport.y, k: viewport.k };
  if (calm.matches || document.hidden) {
    Object.assign(viewport, target);
    moved(true);
    return;
  }
  const start = performance.now();
  const step = (now) => {
    const t = Math.min((now - start) / 250, 1);
    const eased = 1 - (1 - t) ** 3;
    // The scale goes by equal factors and the middle of the screen in a straight line: that is what looks even.
    const k = from.k * (target.k / from.k) ** eased;
    const centre = (view, key, size) => view[key] + size / view.k / 2;
    const at = (key, size) => {
      const [a, b] = [centre(from, key, size), centre(target, key, size)];
      return a + (b - a) * eased - size / k / 2;
    };
    Object.assign(viewport, { k, x: at("x", viewport.width), y: at("y", viewport.height) });
    moved(t === 1);
    if (t < 1) flight = requestAnimationFrame(step);
  };
  flight = requestAnimationFrame(step);
}
