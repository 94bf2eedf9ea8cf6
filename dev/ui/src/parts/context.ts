// What every part of the page may look at and do.

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Ledger } from "../data/ledger.ts";
import type { Shown } from "../query/columns.ts";
import type { Rows } from "../query/rows.ts";
import type { State } from "../query/state.ts";

export interface App {
  ledger: Ledger;
  state: State;
  /** What is recorded comes in as it is recorded. */
  live: boolean;
  /** When what is shown was so, in ms, of a page that isn't live, or no longer. */
  asOf: number;
  rows: Rows;
  /** The columns that the table has of them. */
  shown: Shown;
  /** Changes what is shown; a step back in the browser's history undoes it unless it only refines the last one. */
  go: (change: Partial<State>, refine?: boolean) => void;
  /** The address of a changed state, for links. */
  href: (change: Partial<State>) => string;
  /** Says something to who can't see it. */
  say: (text: string) => void;
}

export const AppContext = createContext<App | null>(null);
export const useApp = () => useContext(AppContext)!;
