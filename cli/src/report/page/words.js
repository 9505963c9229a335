// Words, marks and orders of what the data names by keys. A mark stands beside every colour.

/**
 * Verdicts, worst first. `problem`: somebody should look at it; `alarm`: and the map shows it before all else.
 * `mark`: a path in a square of 12; `dash`: of the line on the map, in screen pixels.
 */
const VERDICTS = {
  would_deny: { label: "would be denied", problem: true, alarm: true, dash: "7 4", mark: "M3 3l6 6M9 3l-6 6" },
  broken: { label: "broken", problem: true, alarm: true, dash: "10 3 2 3", mark: "M7 1L3.5 6.5H8.5L5 11" },
  not_enforced: {
    label: "not enforced",
    problem: true,
    alarm: true,
    dash: "12 4",
    mark: "M2.5 4.5h7M2.5 7.5h7M8 2L4 10",
  },
  uncovered: { label: "not covered", problem: true, dash: "2 4", mark: "M6 2.5a3.5 3.5 0 1 0 .01 0" },
  allowed: { label: "allowed", dash: null, mark: "M2.5 6.5L5 9l4.5-6" },
  observed: { label: "observed", dash: null, mark: "M6 4.5a1.5 1.5 0 1 0 .01 0" },
  left_out: { label: "left out", dash: "1 4", mark: "M2.5 6h7" },
  attempt: { label: "attempt", dash: "1 6", mark: "M2 6h2M5.5 6h1M8 6h2" },
};

/** Classes of edges, in the order of the legend. */
const CLASSES = {
  app: "workloads",
  external: "external",
  dns: "DNS",
  apiserver: "API server",
  node: "nodes",
  probe: "probes",
  metadata: "metadata",
};

/** What a rule of a policy was good for. `verdict`: whose colour and mark it has. */
const STATUSES = {
  used: { label: "used", verdict: "allowed" },
  not_enforced: { label: "not enforced", verdict: "not_enforced" },
  overbroad: { label: "too broad", verdict: "uncovered", mark: "M1.5 6h9M3.5 3.5L1 6l2.5 2.5M8.5 3.5L11 6 8.5 8.5" },
  unused: { label: "unused", verdict: "uncovered" },
  dead: { label: "dead", verdict: "uncovered", mark: "M3 3l6 6M9 3l-6 6" },
  redundant: { label: "redundant", verdict: "uncovered", mark: "M2.5 4.5h7M2.5 7.5h7" },
  insufficient_evidence: {
    label: "insufficient evidence",
    verdict: "left_out",
    mark: "M4 4.2a2 2 0 1 1 2.8 1.9q-.8.4-.8 1.4M6 9.6v.4",
  },
};

/** Severities of findings, worst first. */
const SEVERITIES = {
  error: { label: "error", verdict: "would_deny" },
  warning: { label: "warning", verdict: "uncovered", mark: "M6 2v5M6 9.4v.4" },
  note: { label: "note", verdict: "observed" },
};

/** The headline's kinds. */
const OUTCOMES = {
  safe: { verdict: "allowed" },
  denies: { verdict: "would_deny" },
  insufficient: { verdict: "uncovered", mark: STATUSES.insufficient_evidence.mark },
  findings: { verdict: "uncovered", mark: SEVERITIES.warning.mark },
  observed: { verdict: "observed" },
};

/** How the client of an edge is known. */
const DIRECTIONS = {
  handshake: "handshake seen",
  first_packet: "by the first packet",
  inferred: "inferred, no handshake seen",
  guessed: "guessed",
};

/** Whether policies isolate a workload in a direction. */
const ISOLATION = {
  isolated: "only what rules allow",
  open: "open, no policy isolates it",
  unknown: "not known",
};

/** An icon of a verdict, status or severity. `text`: for screen readers; absent where a label stands beside it. */
function icon({ verdict, mark }, text) {
  const known = VERDICTS[verdict] ?? VERDICTS.observed;
  const path = svg("path", { d: mark ?? known.mark });
  const role = text ? { role: "img", "aria-label": text } : { "aria-hidden": "true" };
  return svg("svg", { class: `icon v-${verdict}`, viewBox: "0 0 12 12", ...role }, path);
}

/** Icon and label. `key` of `table`; a key that it does not know is shown as it is. */
function mark(table, key) {
  const entry = table[key] ?? { label: safe(key) };
  const verdict = entry.verdict ?? (VERDICTS[key] ? key : "observed");
  return el("span", { class: `mark v-${verdict}` }, icon({ verdict, mark: entry.mark }), entry.label);
}

const NUMBER = new Intl.NumberFormat("en");

/** `1,204`. */
const number = (value) => NUMBER.format(value);

/** `1 edge`, `2 edges`; `many` where the plural is not regular. */
const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

/** `2026-11-21 09:12:03` of an RFC 3339 time, in UTC, to the second. */
function time(text) {
  if (!text) return "";
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? safe(text) : at.toISOString().slice(0, 19).replace("T", " ");
}

/** `13 d 9 h`: a duration in milliseconds, in its two largest units, rounded down. */
function duration(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  const units = [
    ["d", 86400],
    ["h", 3600],
    ["min", 60],
    ["s", 1],
  ];
  const from = units.findIndex(([, size]) => seconds >= size);
  if (from < 0) return "0 s";
  let rest = seconds;
  const parts = units.slice(from, from + 2).map(([unit, size]) => {
    const whole = Math.floor(rest / size);
    rest -= whole * size;
    return whole ? `${whole} ${unit}` : "";
  });
  return parts.filter(Boolean).join(" ");
}
