// What was said of a run that one should know before one rests on it, and how long one that runs has been running.

import { useEffect, useState } from "preact/hooks";
import type { Ledger } from "../data/ledger.ts";
import { isFields } from "../data/page.ts";
import { useApp } from "./context.ts";
import { duration, plain, time } from "./text.ts";

export interface Remark {
  /** In a word; empty of what a status says already. */
  what: string;
  text: string;
}

export function remarksOf(ledger: Ledger, place: number): Remark[] {
  const remarks: Remark[] = [];
  const condition = ledger.extra("condition", place);
  if (isFields(condition)) remarks.push({ what: "error", text: plain(condition.message ?? "") });
  const reason = ledger.extra("void_reason", place);
  if (reason) remarks.push({ what: "void", text: reason });
  for (const note of ledger.extra("notes", place) ?? []) remarks.push({ what: "note", text: note.text });
  return remarks.filter(({ text }) => text);
}

const second = 1000;

/** The time, second by second, while a page is live. */
function useNow(live: boolean): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!live) return;
    const timer = setInterval(() => setNow(Date.now()), second);
    return () => clearInterval(timer);
  }, [live]);
  return now;
}

/** For how long a run has been running; in a page that isn't live, as of when it was written or heard of the ledger last. */
export function Elapsed({ place, whole = false }: { place: number; whole?: boolean }) {
  const { ledger, live, asOf: then } = useApp();
  const now = useNow(live);
  const asOf = `as of ${time(then).slice(0, 16)} UTC`;
  const took = Math.max(0, (live ? now : then) - ledger.began.num[place]) / 1000;
  const text = duration(live ? Math.floor(took) : took);
  return <span class="elapsed" title={live ? "still running" : `running, ${asOf}`}>{whole && !live ? `${text}, ${asOf}` : text}</span>;
}
