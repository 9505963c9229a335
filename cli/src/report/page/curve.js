// Lines of the map: where they begin and end, and how far a point is from one.

const STEPS = 14;

/**
 * A line between two boxes ({x, y, width, height}) as a cubic curve of four points [x, y]. It leaves and arrives
 * level, on the sides that face each other; between boxes above each other it bows out to the right.
 */
function curve(from, to) {
  const [ay, by] = [from.y + from.height / 2, to.y + to.height / 2];
  const gap = to.x >= from.x + from.width ? 1 : from.x >= to.x + to.width ? -1 : 0;
  if (from === to) {
    const right = from.x + from.width;
    return [
      [right, ay - 8],
      [right + 36, ay - 22],
      [right + 36, ay + 22],
      [right, ay + 8],
    ];
  }
  if (gap === 0) {
    const [ax, bx] = [from.x + from.width, to.x + to.width];
    const bow = Math.max(ax, bx) + Math.min(22 + Math.abs(by - ay) * 0.12, 80);
    return [
      [ax, ay],
      [bow, ay],
      [bow, by],
      [bx, by],
    ];
  }
  const [ax, bx] = gap > 0 ? [from.x + from.width, to.x] : [from.x, to.x + to.width];
  const reach = gap * Math.max(24, Math.abs(bx - ax) * 0.45);
  return [
    [ax, ay],
    [ax + reach, ay],
    [bx - reach, by],
    [bx, by],
  ];
}

/** A line between two namespaces, from the sides that face each other, spread along them by where it goes. */
function arc(from, to) {
  const centre = (box) => [box.x + box.width / 2, box.y + box.height / 2];
  const [[ax, ay], [bx, by]] = [centre(from), centre(to)];
  const [dx, dy] = [bx - ax, by - ay];
  const side = (box, [x, y], sign) => {
    const shift = (along, room) =>
      Math.max(-0.36, Math.min(0.36, (along / (Math.abs(dx) + Math.abs(dy) + 1)) * 0.7)) * room;
    if (Math.abs(dx) * box.height > Math.abs(dy) * box.width)
      return [x + Math.sign(dx) * sign * (box.width / 2), y + sign * shift(dy, box.height)];
    return [x + sign * shift(dx, box.width), y + Math.sign(dy) * sign * (box.height / 2)];
  };
  const [start, end] = [side(from, [ax, ay], 1), side(to, [bx, by], -1)];
  const bend = 0.12;
  const [mx, my] = [(end[1] - start[1]) * bend, (start[0] - end[0]) * bend];
  const third = (t) => [start[0] + (end[0] - start[0]) * t + mx, start[1] + (end[1] - start[1]) * t + my];
  return [start, third(1 / 3), third(2 / 3), end];
}

const round = (value) => Math.round(value * 10) / 10;
const pair = ([x, y]) => `${round(x)} ${round(y)}`;

/** As path data. */
const path = ([a, b, c, d]) => `M${pair(a)}C${pair(b)} ${pair(c)} ${pair(d)}`;

/** The head of an arrow at the end of a curve, as path data; `size` in units of the map. */
function arrow([, , [cx, cy], [x, y]], size) {
  const length = Math.hypot(x - cx, y - cy) || 1;
  const [ux, uy] = [((x - cx) / length) * size, ((y - cy) / length) * size];
  const wing = (turn) => [x - ux + turn * uy * 0.55, y - uy - turn * ux * 0.55];
  return `M${pair(wing(1))}L${pair([x, y])}L${pair(wing(-1))}Z`;
}

/** The point at `t` (0 to 1) of a curve. */
function pointAt([a, b, c, d], t) {
  const s = 1 - t;
  const mix = (i) => s * s * s * a[i] + 3 * s * s * t * b[i] + 3 * s * t * t * c[i] + t * t * t * d[i];
  return [mix(0), mix(1)];
}

/** How far a point is from a curve, in units of the map; Infinity where it is surely farther than `limit`. */
function distance(line, [x, y], limit) {
  const xs = line.map((point) => point[0]);
  const ys = line.map((point) => point[1]);
  if (x < Math.min(...xs) - limit || x > Math.max(...xs) + limit) return Infinity;
  if (y < Math.min(...ys) - limit || y > Math.max(...ys) + limit) return Infinity;
  let nearest = Infinity;
  let [px, py] = line[0];
  for (let step = 1; step <= STEPS; step++) {
    const [qx, qy] = pointAt(line, step / STEPS);
    const [dx, dy] = [qx - px, qy - py];
    const t = Math.max(0, Math.min(1, ((x - px) * dx + (y - py) * dy) / (dx * dx + dy * dy || 1)));
    nearest = Math.min(nearest, Math.hypot(px + t * dx - x, py + t * dy - y));
    [px, py] = [qx, qy];
  }
  return nearest;
}
