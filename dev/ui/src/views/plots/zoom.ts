// A rectangle that is drawn over a plot, to look at what is in it.

import { useRef, useState } from "preact/hooks";
import type { RefObject } from "preact";
import type { Box } from "./chart.tsx";

/** From and to, across and up. */
export type Window = [number, number, number, number];

interface Zoom {
  /** Pixels: left, right, top, bottom. */
  to: (drawn: Window) => void;
  back: () => void;
  isZoomed: boolean;
  /** Where nothing was drawn. */
  click: (x: number, y: number) => void;
}

// A hand that clicks isn't quite still.
const still = 5;
/** In ms: a second click within it makes the first no click of its own. */
const doubled = 300;

export function useZoom(svg: RefObject<SVGSVGElement | null>, frame: Box, { to, back, isZoomed, click }: Zoom) {
  const [drag, setDrag] = useState<Window | null>(null);
  const start = useRef<[number, number] | null>(null);
  const clicked = useRef(0);
  const at = (event: PointerEvent | MouseEvent): [number, number] => {
    const edge = svg.current!.getBoundingClientRect();
    return [event.clientX - edge.left, event.clientY - edge.top];
  };
  const within = ([x, y]: [number, number]): [number, number] => [
    Math.min(frame.width - frame.right, Math.max(frame.left, x)), Math.min(frame.height - frame.bottom, Math.max(frame.top, y)),
  ];
  const windowTo = (event: PointerEvent): Window | null => {
    if (!start.current) return null;
    const [[x0, y0], [x1, y1]] = [within(start.current), within(at(event))];
    const drawn: Window = [Math.min(x0, x1), Math.max(x0, x1), Math.min(y0, y1), Math.max(y0, y1)];
    return drawn[1] - drawn[0] > still || drawn[3] - drawn[2] > still ? drawn : null;
  };
  return {
    at,
    drawn: drag && { x: drag[0], y: drag[2], width: drag[1] - drag[0], height: drag[3] - drag[2] },
    down: (event: PointerEvent) => {
      if (event.button !== 0) return;
      start.current = at(event);
      svg.current!.setPointerCapture(event.pointerId);
    },
    /** Whether something is being drawn. */
    move: (event: PointerEvent): boolean => {
      const drawn = windowTo(event);
      setDrag(drawn);
      return drawn !== null;
    },
    up: (event: PointerEvent) => {
      const drawn = windowTo(event);
      const from = start.current;
      start.current = null;
      setDrag(null);
      if (!from) return;
      // What is all but a line says one direction; the other stays as it is.
      if (drawn && drawn[1] - drawn[0] > still && drawn[3] - drawn[2] > still) return to(drawn);
      if (drawn) return to(drawn[1] - drawn[0] > still ? [drawn[0], drawn[1], frame.top, frame.height - frame.bottom] : [frame.left, frame.width - frame.right, drawn[2], drawn[3]]);
      const [x, y] = at(event);
      if (!isZoomed) return click(x, y);
      clearTimeout(clicked.current);
      clicked.current = window.setTimeout(() => click(x, y), doubled);
    },
    cancel: () => {
      start.current = null;
      setDrag(null);
    },
    back: () => {
      clearTimeout(clicked.current);
      if (isZoomed) back();
    },
  };
}
