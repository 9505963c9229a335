// Elements. All text goes through textContent: names and labels of a cluster are written by strangers.

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id, which page.html has. */
const byId = (id) => document.getElementById(id);

/**
 * An HTML element. `props`: `class`, `on` (listeners by event), `data` (data-*), and attributes; null and false are
 * left out, true is an empty attribute. `children`: nodes, texts, lists of them; null is left out.
 */
function el(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same for SVG. */
function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (name === "data") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/** A link that changes the state; it is a real link, so that it can be copied and opened elsewhere. */
function link(change, ...children) {
  const open = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    state.change(change);
  };
  return el("a", { href: state.href(change), on: { click: open } }, children);
}

/** A button. `props` as for `el`. */
function button(props, press, ...children) {
  return el("button", { type: "button", ...props, on: { click: press } }, children);
}

/** Texts joined to one, a dot between; what is empty is left out. */
const dots = (...parts) => parts.filter(Boolean).join(" · ");

/** Control characters and those that turn the direction of text must not disguise what a name says. */
const safe = (text) => String(text ?? "").replace(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, "\ufffd");

const widths = new Map();
let ruler;

/** The width of a text in pixels in `font` (CSS font shorthand). */
function widthOf(text, font) {
  const key = font + text;
  if (!widths.has(key)) {
    ruler ??= document.createElement("canvas").getContext("2d");
    ruler.font = font;
    widths.set(key, ruler.measureText(text).width);
  }
  return widths.get(key);
}

/** The text, or its beginning and an ellipsis, at most `room` pixels wide; empty if not even that fits. */
function cut(text, room, font) {
  if (widthOf(text, font) <= room) return text;
  let [low, high] = [0, Math.min(text.length, 200)];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (widthOf(text.slice(0, middle) + "…", font) <= room) low = middle;
    else high = middle - 1;
  }
  return low < 2 ? "" : text.slice(0, low) + "…";
}

/** A table of rows under its headings. */
function tableOf(name, heads, rows) {
  return el("table", { class: name }, el("thead", null, el("tr", null, heads)), el("tbody", null, rows));
}
