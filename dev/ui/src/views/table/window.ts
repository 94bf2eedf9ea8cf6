// A table of which only the visible lines exist.

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { TargetedEvent } from "preact";

export const rowHeight = 30;
// Browsers draw nothing beyond some height (Firefox from 17 million pixels); more rows scroll in larger steps.
const tallest = 12_000_000;
const overscan = 12;

/** `lines` are runs, or below 0 what may mean something else in another version. */
export function useWindow(lines: Int32Array | Uint32Array, version: number) {
  const n = lines.length;
  const box = useRef<HTMLDivElement>(null);
  const [scroll, setScroll] = useState(0);
  const [view, setView] = useState({ height: 800, width: 1000 });
  const total = n * rowHeight;
  const height = Math.min(total, tallest);
  const scale = height > view.height ? Math.max(1, (total - view.height) / (height - view.height)) : 1;
  const top = scroll * scale;
  const first = Math.max(0, Math.floor(top / rowHeight));

  useLayoutEffect(() => {
    const element = box.current!;
    const resize = () => setView({ height: element.clientHeight - rowHeight, width: element.clientWidth });
    const observer = new ResizeObserver(resize);
    resize();
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  // What is being looked at stays where it is while runs come in above it.
  const anchor = useRef({ version, line: -1, row: 0 });
  useLayoutEffect(() => {
    const before = anchor.current;
    const now = before.version !== version && before.line >= 0 && scroll > 0 ? lines.indexOf(before.line) : -1;
    if (now >= 0) box.current!.scrollTop += ((now - before.row) * rowHeight) / scale;
    anchor.current = { version, line: lines[first] ?? -1, row: first };
  });

  const show = (row: number) => {
    const element = box.current!;
    const y = row * rowHeight;
    if (y < top) element.scrollTop = y / scale;
    else if (y + rowHeight > top + view.height) element.scrollTop = Math.ceil((y + rowHeight - view.height) / scale);
  };
  return {
    box, height, show,
    width: view.width,
    page: Math.max(1, Math.floor(view.height / rowHeight) - 1),
    from: Math.max(0, first - overscan),
    to: Math.min(n, Math.ceil((top + view.height) / rowHeight) + overscan),
    offset: (row: number) => row * rowHeight - top + scroll,
    onScroll: (event: TargetedEvent<HTMLElement>) => setScroll(event.currentTarget.scrollTop),
  };
}
