// The pictures that runs have under one name, side by side.

import { useMemo } from "preact/hooks";
import { useApp } from "../parts/context.ts";
import { imageUrl, shortId } from "../parts/text.ts";
import { sharedPictures, type Picture } from "../query/images.ts";

export function Pictures({ places, colours, named }: { places: number[]; colours: Map<number, string>; named: (place: number) => string }) {
  const { ledger, href } = useApp();
  const pictures = useMemo(() => sharedPictures(ledger, places), [ledger, ledger.version, places.join()]);
  const figure = ({ place, preview }: Picture, first: Picture | undefined, name: string) => {
    const url = imageUrl(preview);
    return (
      <figure key={place}>
        <figcaption>
          <span class="swatch" style={{ background: colours.get(place) }} />
          <a href={href({ view: "run", id: ledger.ids[place] })}>{shortId(ledger.ids[place])}</a> <span class="muted">{named(place)}</span>
        </figcaption>
        {url ? <a href={href({ view: "run", id: ledger.ids[place] })}><img src={url} alt={`${name} of run ${ledger.ids[place]}`} /></a> : <p class="muted">An image of a kind that isn't shown.</p>}
        {first && first.place !== place && <p class="muted">the same picture as of {shortId(ledger.ids[first.place])}</p>}
      </figure>
    );
  };
  return (
    <>
      {[...pictures].map(([name, all]) => (
        <section key={name} class="pictures" aria-label={`Pictures: ${name}`}>
          <h3>{name}</h3>
          <div>{all.map((picture) => figure(picture, all.find(({ content }) => content === picture.content), name))}</div>
        </section>
      ))}
    </>
  );
}
