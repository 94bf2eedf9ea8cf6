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

/** The same for each of some runs. */
const same = (n, item) => ({ levels: [item], codes: n ? [0] : [], times: n ? [n] : [] });
const detail = (name, type, more) => ({ kind: name === "seed" ? "seed" : "detail", name, label: name, type, ...more });

export function madeLedger(n) {
  const next = random(n);
  const models = ["ridge", "lasso", "tree", "forest", "boosting"];
  const column = (kind, name, type, value) => ({ kind, name, label: name, type, values: Array.from({ length: n }, value) });
  const texts = (kind, name, levels, code) => ({ kind, name, label: name, type: "character", levels, codes: Array.from({ length: n }, code) });
  const start = Date.UTC(2026, 0, 5);
  const lambda = column("parameter", "lambda", "double", () => 10 ** (next() * 6 - 3));
  const model = texts("parameter", "model", models, () => Math.floor(next() * models.length));
  const statuses = ["finished", "failed", "void"];
  const status = Array.from({ length: n }, () => (next() < 0.01 ? 1 : next() < 0.005 ? 2 : 0));
  const ended = Array.from({ length: Math.min(n, 5000) }, (_, i) => Math.floor(next() * 900));
  const lineage = models.map((label) => ({ label, edges: [[-1, "ran at", 0], [-1, "ran in", 1]] }));
  const commit = "0123456789abcdef0123456789abcdef01234567";
  return {
    format: 1, file: "made.csv", ledger: "0123456789abcdef0123456789abcdef", seq: n + 2, written: start + n * 1000, version: "0.1.0",
    integrity: { status: "ok", rows: n + 2, row: null, byte: null, why: null, problems: [] },
    kinds: ["parameter", "metric", "tag", "seed", "data", "code", "package", "environment", "session"],
    sessions: [{
      id: "abcdefghijkm", context: { id: "abcdefghijkm", user: "ann", host: "lab", r: "R 4.5.0", git: { commit, branch: "main", dirty: false } },
      facts: [["code", null, "commit", commit], ["package", null, "R", "R 4.5.0", "stats", "4.5.0"]], edges: [],
    }],
    runs: {
      n,
      id: Array.from({ length: n }, (_, i) => `20260105-000000-${base36(i * 7919 + 46656, 12)}`),
      began: Array.from({ length: n }, (_, i) => start + i * 1000),
      columns: [
        model,
        lambda,
        column("parameter", "depth", "integer", () => (next() < 0.3 ? null : 1 + Math.floor(next() * 12))),
        column("parameter", "scaled", "logical", () => next() < 0.5),
        { kind: "parameter", name: "note", label: "note", type: "character", levels: Array.from({ length: n }, () => `text ${Math.floor(next() * 1e6)}`), codes: Array.from({ length: n }, (_, i) => i) },
        column("metric", "rmse", "double", (_, i) => 1 + Math.abs(Math.log10(lambda.values[i])) / 5 + next() / 4),
        column("metric", "accuracy", "double", () => (next() < 0.05 ? null : 0.5 + next() / 2)),
        detail("status", "character", { levels: statuses, codes: status }),
        detail("duration", "difftime", { at: ended.map((_, i) => i), values: ended.map((ms) => ms / 1000) }),
        detail("user", "character", same(n, "ann")),
        detail("host", "character", same(n, "lab")),
        detail("commit", "character", same(n, commit)),
        detail("dirty", "logical", { values: n ? [false] : [], times: n ? [n] : [] }),
        detail("seed", "integer", { values: Array.from({ length: n }, (_, i) => i) }),
        detail("data", "character", { levels: [], codes: [], at: [] }),
        detail("looks", "integer", { values: n ? [0] : [], times: n ? [n] : [] }),
      ],
      session: same(n, 0), facts: { levels: [], codes: [], at: [] }, lineage: { levels: lineage, codes: model.codes },
      ended: Object.fromEntries(ended.map((ms, i) => [i, start + i * 1000 + ms])),
    },
    series: {}, previews: {}, models: [], stages: [], edges: [], nodes: [["commit", commit, ""], ["session", "abcdefghijkm", "ann, lab"]], omitted: [],
  };
}
