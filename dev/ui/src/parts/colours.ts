// The colours of runs and of groups.

export const palette = ["#3f7fd6", "#d27a1f", "#2b9a6c", "#a35fc6", "#b99a12", "#3f9fb3", "#d3577f", "#7d6b5d"];

/** A colour between two, both as `#rrggbb`. */
function mixed(a: string, b: string, share: number): string {
  const parts = [1, 3, 5].map((at) => {
    const [x, y] = [a, b].map((colour) => parseInt(colour.slice(at, at + 2), 16));
    return Math.round(x + (y - x) * share).toString(16).padStart(2, "0");
  });
  return `#${parts.join("")}`;
}

/** Enough for as many runs as are drawn at once; the first eight are the ones that are told apart best. */
const ofRuns = [...palette, ...palette.map((colour) => mixed(colour, "#ffffff", 0.38)), ...palette.map((colour) => mixed(colour, "#000000", 0.32))];

/** A colour for each of some runs: the same wherever the same runs are shown, in whatever order. */
export function coloursOf(places: number[]): Map<number, string> {
  const sorted = [...places].sort((a, b) => a - b);
  return new Map(sorted.map((place, i) => [place, ofRuns[i % ofRuns.length]]));
}
