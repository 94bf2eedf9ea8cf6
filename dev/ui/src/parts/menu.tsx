// A button that opens a panel.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** `name` says to who can't see it what a label that is only a sign stands for. */
export function Menu({ label, name, children }: { label: string; name?: string; children: ComponentChildren }) {
  const menu = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const close = (event: Event) => {
      const element = menu.current;
      if (!element?.open) return;
      if (event instanceof KeyboardEvent) {
        if (event.key !== "Escape") return;
        element.querySelector("summary")!.focus();
      } else if (element.contains(event.target as Node)) return;
      element.open = false;
    };
    addEventListener("pointerdown", close);
    addEventListener("keydown", close);
    return () => {
      removeEventListener("pointerdown", close);
      removeEventListener("keydown", close);
    };
  }, []);
  return (
    <details class={name ? "menu sign" : "menu"} ref={menu}>
      <summary aria-label={name} title={name}>{label}</summary>
      <div class="panel">{children}</div>
    </details>
  );
}
