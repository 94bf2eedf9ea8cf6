// The pictures among the artifacts of runs.

import type { Ledger } from "../data/ledger.ts";
import { isFields, own, type Preview } from "../data/page.ts";

export interface Picture {
  place: number;
  /** The hash of its bytes: two of one hash are one picture. */
  content: string;
  preview: Preview & { kind: "image" };
}

function picturesIn(ledger: Ledger, place: number): [name: string, picture: Picture][] {
  const nodes = ledger.nodesNamedBy(place);
  return Object.entries(ledger.extra("artifacts", place) ?? {}).flatMap(([name, entry]) => {
    const [, content] = (isFields(entry) && typeof entry.content === "number" ? nodes[entry.content] : undefined) ?? [];
    const preview = content === undefined ? undefined : own(ledger.previews, content.replace("sha256:", ""));
    return content !== undefined && preview?.kind === "image" ? [[name, { place, content, preview }]] : [];
  });
}

/** By the names of those that two or more of the runs have, in the order in which they come. */
export function sharedPictures(ledger: Ledger, places: number[]): Map<string, Picture[]> {
  const found = new Map<string, Picture[]>();
  for (const place of places) {
    for (const [name, picture] of picturesIn(ledger, place)) found.set(name, [...(found.get(name) ?? []), picture]);
  }
  return new Map([...found].filter(([, pictures]) => pictures.length > 1));
}
