// Ledgers as view_runs() would hand them to the page, of any size.

/** Random numbers that are the same in every run of the tests. */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const base36 = (x, n) => Math.floor(x).toString(36).padStart(n, "0").slice(-n);

export function madeLedger(n) {
  const next = random(n);
  const models = ["ridge", "lasso", "tree", "forest", "boosting"];
  const column = (name, type, value) => ({ name, type, values: Array.from({ length: n }, value) });
  const start = Date.UTC(2026, 0, 5);
  const lambda = column("lambda", "double", () => 10 ** (next() * 6 - 3));
  const codes = Array.from({ length: n }, () => Math.floor(next() * models.length));
  const status = {};
  const voided = [];
  for (let place = 0; place < n; place++) {
    if (next() < 0.01) status[place] = "failed";
    else if (next() < 0.005) voided.push(place);
  }
  return {
    format: 1, file: "made.csv", ledger: "0123456789abcdef0123456789abcdef", seq: n + 2, written: start + n * 1000, version: "0.1.0",
    integrity: { status: "ok", rows: n + 2, row: null, byte: null, why: null, problems: [] },
    sessions: [{ id: "abcdefghijkm", context: { id: "abcdefghijkm", user: "ann", host: "lab", r: "R 4.5.0", packages: { stats: "4.5.0" }, git: { commit: "0123456789abcdef0123456789abcdef01234567", branch: "main", dirty: false } } }],
    runs: {
      n,
      id: Array.from({ length: n }, (_, i) => `20260105-000000-${base36(i * 7919 + 46656, 12)}`),
      began: Array.from({ length: n }, (_, i) => start + i * 1000),
      session: new Array(n).fill(0),
      status, void: voided, ended: Object.fromEntries(Array.from({ length: Math.min(n, 5000) }, (_, i) => [i, start + i * 1000 + Math.floor(next() * 900)])),
      params: [
        { name: "model", type: "character", levels: models, codes },
        lambda,
        column("depth", "integer", () => (next() < 0.3 ? null : 1 + Math.floor(next() * 12))),
        column("scaled", "logical", () => next() < 0.5),
        column("note", "character", () => `text ${Math.floor(next() * 1e6)}`),
      ],
      metrics: [
        column("rmse", "double", (_, i) => 1 + Math.abs(Math.log10(lambda.values[i])) / 5 + next() / 4),
        column("accuracy", "double", () => (next() < 0.05 ? null : 0.5 + next() / 2)),
      ],
      seed: { name: "seed", type: "integer", values: Array.from({ length: n }, (_, i) => i) },
    },
    series: {}, previews: {}, models: [], stages: [], omitted: [],
  };
}
