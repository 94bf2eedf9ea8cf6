// Whether the ledger holds, and up to where.

import type { Integrity as Found } from "../data/page.ts";
import { useApp } from "../parts/context.ts";
import { count, time } from "../parts/text.ts";

interface Verdict {
  short: string;
  title: string;
  text: string;
  next?: string;
}

/** What was found, in a ledger that may have grown to a row since. */
export function verdict(found: Found | null, last: number): Verdict {
  if (!found) {
    return {
      short: "not verified", title: "Not verified",
      text: "Nobody has recomputed the chain for this page. In R:",
    };
  }
  const rows = count(found.rows, "row");
  const hold = found.rows === 1 ? "holds" : "hold";
  switch (found.status) {
    case "ok":
      return {
        short: last > found.rows ? `verified up to row ${found.rows.toLocaleString("en")}` : "verified", title: "Verified",
        text: `The whole chain was recomputed: ${found.rows ? `${rows} ${hold}` : "there is no row yet"}.`,
        next: "Without a checkpoint that was kept elsewhere, a cut between rows or a file written anew would not show.",
      };
    case "pending":
      return { short: "verified, a row is being written", title: "Verified, and being written", text: `${rows} ${hold}, and another was being written.` };
    case "torn":
      return {
        short: "unfinished write", title: "It ends in a write that never finished", text: `${rows} ${hold}, then a write that never finished.`,
        next: "The next write sets it aside, in a file beside the ledger.",
      };
    case "truncated":
      return {
        short: "rows missing", title: "Rows are missing", text: `Rows that the checkpoint covers are missing after row ${found.rows}.`,
        next: "Look for a copy of the file that has the missing rows.",
      };
    case "corrupt":
      return {
        short: "damaged", title: "Damaged", text: found.rows ? `The first ${rows} ${hold}, the next doesn't.` : "No row holds.",
        next: found.row === 0
          ? "Compare with a copy of the file; the first line is the same in every ledger."
          : "Compare with a copy of the file. repair_ledger() in R saves what holds.",
      };
    case "forked":
      return {
        short: "not what the checkpoint covers", title: "Not the ledger of the checkpoint",
        text: "Every row holds, but they are not those that the checkpoint covers.",
        next: "Somebody wrote the file anew, or the checkpoint is of another ledger.",
      };
  }
}

export function Integrity() {
  const { ledger } = useApp();
  const found = ledger.integrity;
  const { title, text, next } = verdict(found, ledger.seq);
  const good = found?.status === "ok" || found?.status === "pending";
  const later = found && ledger.seq > found.rows ? ledger.seq - found.rows : 0;
  return (
    <div class="prose">
      <h2 class={found && !good ? "wrong" : undefined}>
        <span aria-hidden="true">{!found ? "" : good ? "✓ " : "✕ "}</span>{title}
      </h2>
      <p>{text}</p>
      {found && found.row !== null && (
        <p>
          {found.row === 0 ? "The header" : `Row ${found.row.toLocaleString("en")}`}, at byte {(found.byte ?? 0).toLocaleString("en")}
          {found.why ? `: ${found.why}.` : "."}
        </p>
      )}
      {next && <p>{next}</p>}
      {later > 0 && <p>{count(later, "row")} came in since, which nobody has checked yet.</p>}
      {found && <p class="muted">This is what R found when the page was made, {time(ledger.written)} UTC. Check again in R:</p>}
      <pre>{`verify_ledger(${JSON.stringify(ledger.file)})`}</pre>
      <p class="muted">A hash chain shows every change to a row. That is tamper-evident, not tamper-proof: to show that rows were not cut off or all written anew, keep what <code>checkpoint_ledger()</code> returns elsewhere, and give it to <code>verify_ledger()</code>.</p>
      {found && found.problems.length > 0 && (
        <>
          <h3>Beside the chain</h3>
          <table>
            <thead><tr><th scope="col" class="number">Row</th><th scope="col">Kind</th><th scope="col">Problem</th></tr></thead>
            <tbody>
              {found.problems.map(({ row, kind, problem }, i) => (
                <tr key={i}><td class="number">{row}</td><td>{kind}</td><td>{problem}</td></tr>
              ))}
            </tbody>
          </table>
        </>
      )}
      <dl class="facts">
        <dt>File</dt><dd>{ledger.file}</dd>
        {ledger.id && <><dt>Ledger</dt><dd><code>{ledger.id}</code></dd></>}
        <dt>Last row</dt><dd>{ledger.seq.toLocaleString("en")}</dd>
      </dl>
    </div>
  );
}
