// Which columns the table shows, and in which order.

import { useRef, useState } from "preact/hooks";
import { useApp } from "../../parts/context.ts";
import { Menu } from "../../parts/menu.tsx";
import { count } from "../../parts/text.ts";

const mostListed = 200;

export function Picker() {
  const { ledger, shown: found, go, say } = useApp();
  const [search, setSearch] = useState("");
  const [dragged, setDragged] = useState<string | null>(null);
  const list = useRef<HTMLUListElement>(null);
  const shown = found.wanted.map(({ label }) => label);
  const empty = new Set(found.hidden.map(({ label }) => label));
  const chosen = new Set(shown);
  const kindOf = (label: string) => {
    const { kind } = ledger.columns().get(label)!;
    return kind === "run" || kind === "detail" || kind === "seed" ? "" : kind;
  };
  const hit = (label: string) => label.toLowerCase().includes(search.toLowerCase());
  const others = [...ledger.columns().keys()].filter((label) => !chosen.has(label) && label !== "run_id" && hit(label));

  const move = (label: string, to: number) => {
    const rest = shown.filter((other) => other !== label);
    const place = Math.min(rest.length, Math.max(0, to));
    rest.splice(place, 0, label);
    go({ columns: rest }, true);
    say(`${label} is column ${place + 1} of ${rest.length}`);
  };
  const onKeyDown = (event: KeyboardEvent, label: string) => {
    const step = event.key === "ArrowUp" ? -1 : event.key === "ArrowDown" ? 1 : 0;
    if (!step) return;
    event.preventDefault();
    if (event.altKey) return move(label, shown.indexOf(label) + step);
    const boxes = [...list.current!.querySelectorAll("input")];
    boxes[boxes.indexOf(event.currentTarget as HTMLInputElement) + step]?.focus();
  };
  const item = (label: string, visible: boolean) => (
    <li key={label} draggable={visible} class={label === dragged ? "dragged" : undefined}
      onDragStart={() => setDragged(label)} onDragEnd={() => setDragged(null)}
      onDragOver={(event) => {
        if (!dragged || !visible) return;
        event.preventDefault();
        if (dragged !== label) move(dragged, shown.indexOf(label));
      }}
      onDrop={(event) => event.preventDefault()}>
      <label class="check">
        <input type="checkbox" checked={visible} onKeyDown={(event) => onKeyDown(event, label)}
          aria-describedby={visible ? "picker-keys" : undefined}
          onChange={() => go({ columns: visible ? shown.filter((other) => other !== label) : [...shown, label] }, true)} />
        <span>{label}</span>
      </label>
      <span class="muted">{empty.has(label) ? "empty here" : kindOf(label)}</span>
      {visible && <span class="handle" aria-hidden="true">⠿</span>}
    </li>
  );

  return (
    <Menu label="Columns">
      <input type="search" aria-label="Find a column" placeholder="find a column" value={search} onInput={(event) => setSearch(event.currentTarget.value)} />
      <p id="picker-keys" class="muted">Drag to order, or Alt with ↑ and ↓.</p>
      <ul class="picker" ref={list}>
        {shown.filter(hit).map((label) => item(label, true))}
        {others.slice(0, mostListed).map((label) => item(label, false))}
      </ul>
      {others.length > mostListed && <p class="muted">and {count(others.length - mostListed, "more column")}: find them by name</p>}
      <button type="button" onClick={() => go({ columns: [] }, true)}>Usual columns</button>
    </Menu>
  );
}
