// Names that somebody may have meant.

/** Up to three names that a slip of the keyboard may have meant. */
export function nearest(name: string, names: string[]): string[] {
  const most = Math.min(3, Math.ceil(name.length / 3));
  const near: [number, string][] = [];
  for (const candidate of names.slice(0, 5000)) {
    const far = distance(name.toLowerCase(), candidate.toLowerCase());
    if (far <= most) near.push([far, candidate]);
  }
  return near.sort((a, b) => a[0] - b[0]).slice(0, 3).map(([, candidate]) => candidate);
}

function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 3) return Infinity;
  let before = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      row[j] = Math.min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    before = row;
  }
  return before[b.length];
}
