// Follows a live server: the whole data once, then only what is new.

import type { PageData, Patch } from "./page.ts";

export type Connection = "waiting" | "live" | "gone";

interface Follower {
  data: (data: PageData) => void;
  patch: (patch: Patch, seq: number) => void;
  /** `why` is the server's word for it, where it has one. */
  connection: (connection: Connection, why: string) => void;
}

interface News {
  reset?: boolean;
  seq: number;
  mark: string;
  patch: Patch;
}

const patience = 10_000;
const slowest = 5_000;

async function get(path: string): Promise<unknown> {
  const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(patience) });
  if (response.status === 204) return null;
  if (response.ok) return response.json();
  throw new Error(response.status === 503 ? String((await response.json()).error) : "");
}

export async function follow(poll: number, to: Follower): Promise<never> {
  let mark: string | null = null;
  let wait = poll;
  for (;;) {
    try {
      if (mark === null) {
        const data = (await get("data")) as PageData;
        to.data(data);
        mark = data.mark;
      } else {
        const news = (await get(`data?since=${encodeURIComponent(mark)}`)) as News | null;
        if (news?.reset) {
          mark = null;
          continue;
        }
        if (news) {
          to.patch(news.patch, news.seq);
          mark = news.mark;
        }
      }
      to.connection("live", "");
      wait = poll;
    } catch (e) {
      to.connection("gone", e instanceof Error && !(e instanceof TypeError || e instanceof DOMException) ? e.message : "");
      wait = Math.min(slowest, wait * 2);
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}
