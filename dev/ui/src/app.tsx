// The page: header, views, and the state they share.

import { render, type ComponentChild } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Ledger } from "./data/ledger.ts";
import { follow, type Connection } from "./data/live.ts";
import type { PageData } from "./data/page.ts";
import { AppContext, type App } from "./parts/context.ts";
import { bytes, count, time } from "./parts/text.ts";
import { shownColumns } from "./query/columns.ts";
import { chooseRows, chosenBest, matching } from "./query/rows.ts";
import { fromHash, initial, kept, toHash, type State, type View } from "./query/state.ts";
import { Compare } from "./views/compare.tsx";
import { Integrity, verdict } from "./views/integrity.tsx";
import { Models } from "./views/models.tsx";
import { Plots } from "./views/plots.tsx";
import { RunPage } from "./views/run.tsx";
import { Runs } from "./views/table.tsx";

type Theme = "auto" | "light" | "dark";

function useTheme(): [Theme, () => void] {
  const [theme, setTheme] = useState((kept.get("theme") as Theme) ?? "auto");
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    kept.set("theme", theme);
  }, [theme]);
  const next = { auto: "dark", dark: "light", light: "auto" } as const;
  return [theme, () => setTheme(next[theme] ?? "auto")];
}

/** What was chosen for this ledger before, under what the address says. */
function restored(ledger: Ledger): Partial<State> {
  if (!ledger.id) return {};
  const fields = ["columns", "best", "maximize", "over"] as const;
  try {
    const chosen = JSON.parse(kept.get(ledger.id) ?? "{}");
    const known = fields.filter((field) => typeof chosen[field] === typeof initial[field]).map((field) => [field, chosen[field]]);
    // Read as an address is, which takes nothing that there isn't.
    return fromHash(toHash({ ...initial, ...Object.fromEntries(known) }));
  } catch {
    return {};
  }
}

function useAddress(ledger: Ledger): [State, App["go"]] {
  const read = () => {
    const state = fromHash(location.hash);
    const before = restored(ledger);
    return {
      ...state,
      columns: state.columns.length ? state.columns : (before.columns ?? []),
      ...(state.best || state.maximize ? {} : { best: before.best ?? "", maximize: before.maximize ?? "" }),
      ...(state.over !== "last" ? {} : { over: before.over ?? "last" }),
    };
  };
  const [state, setState] = useState(read);
  const current = useRef(state);
  current.current = state;

  const go: App["go"] = (change, refine = false) => {
    const next = { ...current.current, ...change };
    current.current = next;
    setState(next);
    if (ledger.id && ["columns", "best", "maximize", "over"].some((field) => field in change)) {
      kept.set(ledger.id, JSON.stringify({ columns: next.columns, best: next.best, maximize: next.maximize, over: next.over }));
    }
    const hash = toHash(next);
    if (hash === location.hash) return;
    // Whole, since in a frame by srcdoc a part would be taken for one of the page around it.
    if (refine) location.replace(location.href.replace(/#.*|$/, hash));
    else location.hash = hash;
  };

  useEffect(() => {
    const onChange = () => {
      if (location.hash !== toHash(current.current)) setState(read());
    };
    addEventListener("hashchange", onChange);
    return () => removeEventListener("hashchange", onChange);
  }, [ledger]);
  return [state, go];
}

const titles: { [view in View]: string } = {
  runs: "Runs", compare: "Compare", plots: "Plots", run: "Run", models: "Models", integrity: "Integrity",
};
const tabs: View[] = ["runs", "compare", "plots", "models", "integrity"];

function Page({ ledger, version, connection, why = "" }: { ledger: Ledger; version: number; connection: Connection | null; why?: string }) {
  const [address, go] = useAddress(ledger);
  const [theme, nextTheme] = useTheme();
  const [said, say] = useState("");
  const main = useRef<HTMLElement>(null);
  const matched = useMemo(() => matching(ledger, address), [ledger, version, address.where, address.search, address.void]);
  const best = useMemo(() => chosenBest(ledger, address, matched), [matched, address.best]);
  const state: State = { ...address, best };
  const { sort, descending, maximize, over } = state;
  const rows = useMemo(() => chooseRows(ledger, state, matched), [matched, sort, descending, best, maximize, over]);
  const shown = useMemo(() => shownColumns(ledger, state, rows.places), [ledger, rows, state.columns, state.empty]);
  const live = connection === "live";
  const asOf = useRef(ledger.written);
  const wasLive = useRef(live);
  if (wasLive.current && !live) asOf.current = Date.now();
  wasLive.current = live;
  const href = (change: Partial<State>) => toHash({ ...address, ...change });
  const app = { ledger, state, live, asOf: asOf.current, rows, shown, go, href, say };

  useEffect(() => {
    document.title = `${titles[state.view]}${state.view === "run" ? ` ${state.id}` : ""} · ${ledger.file} · fitledger`;
  }, [state.view, state.id, ledger]);
  const first = useRef(true);
  useEffect(() => {
    if (!first.current) main.current?.focus({ preventScroll: true });
    if (state.view !== "runs") scrollTo(0, 0);
    first.current = false;
  }, [state.view, state.id]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const typing = (event.target as Element).closest("input, select, textarea");
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      const box = document.querySelector<HTMLElement>("#where");
      if (!box) return;
      event.preventDefault();
      box.focus();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);

  useEffect(() => {
    // In a frame by srcdoc the browser would take `#…` for an address of the page around it.
    const onClick = (event: MouseEvent) => {
      const link = (event.target as Element).closest('a[href^="#"]');
      if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      go(fromHash(link.getAttribute("href")!));
    };
    addEventListener("click", onClick);
    return () => removeEventListener("click", onClick);
  }, []);

  const tab = (view: View) => {
    const chosen = view === "compare" ? state.selected.length : 0;
    return (
      <a href={href({ view, id: "" })} aria-current={state.view === view ? "page" : undefined} key={view}>
        {titles[view]}
        {chosen > 0 && <span class="badge" aria-label={`, ${count(chosen, "run")} selected`}>{chosen}</span>}
      </a>
    );
  };

  return (
    <AppContext.Provider value={app}>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>Skip to the content</a>
      <header class="top">
        <div class="name">
          <h1>{ledger.file}</h1>
          <p>
            {count(ledger.n, "run")} · {count(ledger.seq, "row")} · <a class="quiet" href={href({ view: "integrity" })}>{verdict(ledger.integrity, ledger.seq).short}</a>
          </p>
        </div>
        <nav aria-label="Views">{tabs.map(tab)}</nav>
        <div class="aside">
          {connection ? (
            <span class={`live ${connection}`} role="status">
              {connection === "live" ? "live" : connection === "gone" ? why || "connection lost, trying again" : "connecting"}
            </span>
          ) : (
            <span class="muted written">as of {time(ledger.written).slice(0, 16)} UTC</span>
          )}
          <button type="button" class="plain" onClick={nextTheme} aria-label={`Colours: ${theme}. Change`} title={`Colours: ${theme}`}>
            {theme === "auto" ? "◐" : theme === "dark" ? "●" : "○"}
          </button>
        </div>
      </header>
      {ledger.omitted.length > 0 && (
        <ul class="omitted" aria-label="Left out of this page">{ledger.omitted.map((text) => <li key={text}>{text}</li>)}</ul>
      )}
      <main id="main" tabIndex={-1} ref={main} class={state.view}>
        {state.view === "runs" && <Runs />}
        {state.view === "compare" && <Compare />}
        {state.view === "plots" && <Plots />}
        {state.view === "run" && <RunPage />}
        {state.view === "models" && <Models />}
        {state.view === "integrity" && <Integrity />}
      </main>
      <div class="hidden" role="status" aria-live="polite">{said}</div>
    </AppContext.Provider>
  );
}

function Message({ title, text }: { title: string; text: string }) {
  return <main class="empty"><h1>{title}</h1><p>{text}</p></main>;
}

// From so many characters on, reading them takes a moment that wants a word.
const large = 5_000_000;

function start() {
  const root = document.querySelector("#app")!;
  const source = document.querySelector("#ledger")!;
  const show = (page: ComponentChild) => render(page, root);
  const size = source.textContent!.length;
  root.replaceChildren();
  if (size < large) return open(show, source);
  show(<Message title="fitledger" text={`Reading a ledger of ${bytes(size)} …`} />);
  // Two frames: one to draw the word, one to be sure that it is drawn.
  requestAnimationFrame(() => requestAnimationFrame(() => open(show, source)));
}

/** The same runs stay selected where they have other places by now. */
function keepSelected(before: Ledger, now: Ledger) {
  const state = fromHash(location.hash);
  const selected = state.selected.flatMap((place) => now.place(before.ids[place]) ?? []);
  if (selected.join() !== state.selected.join()) location.replace(location.href.replace(/#.*|$/, toHash({ ...state, selected })));
}

function open(show: (page: ComponentChild) => void, source: Element) {
  const fail = (text: string) => show(<Message title="This page can't be shown" text={text} />);
  let data: PageData;
  try {
    data = JSON.parse(source.textContent!);
    source.remove();
  } catch {
    return fail("It has no data of a ledger. view_runs() in R writes a page with them.");
  }
  if (data.format !== 1) return fail("Its data are of a later format than this page knows. Write it anew with view_runs().");
  if (!data.live) return show(<Page ledger={new Ledger(data)} version={0} connection={null} />);

  let ledger: Ledger | null = null;
  let connection: Connection = "waiting";
  let why = "";
  const update = () => {
    if (ledger) show(<Page key={ledger.id} ledger={ledger} version={ledger.version} connection={connection} why={why} />);
    else show(<Message title="fitledger" text={connection === "gone" ? why || "The live server doesn't answer. It ends with the R session that started it." : "Waiting for the ledger …"} />);
  };
  update();
  follow(data.live.poll, {
    data: (data) => {
      const before = ledger;
      ledger = new Ledger(data);
      if (before) keepSelected(before, ledger);
      update();
    },
    patch: (patch, seq) => { ledger!.apply(patch, seq); update(); },
    connection: (now, reason) => {
      if (now === connection && reason === why) return;
      connection = now;
      why = reason;
      update();
    },
  });
}

start();
