// Days and times as texts name them. Days are counted from 1970, times are in ms.

const day = 864e5;

export const dayOf = (ms: number) => Math.floor(ms / day);

/** The day that a text such as 2026-11-23 names; null if there is none. */
export function readDay(text: string): number | null {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return null;
  const ms = Date.parse(`${text}T00:00:00Z`);
  // Some readers take the 30th of February for a day in March.
  return Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== text ? null : dayOf(ms);
}

interface Clock {
  day: number;
  /** Since midnight. */
  ms: number;
}

function readClock(text: string): Clock | null {
  const match = /^(\d{4}-\d{2}-\d{2})(?: (\d{2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?)?$/.exec(text);
  if (!match) return null;
  const date = readDay(match[1]);
  const [hours, minutes, seconds] = [match[2], match[3], match[4]].map((part) => Number(part ?? 0));
  if (date === null || hours > 23 || minutes > 59 || seconds >= 60) return null;
  return { day: date, ms: ((hours * 60 + minutes) * 60 + seconds) * 1000 };
}

/** A time as R's as.POSIXct() reads it, in UTC or in the time zone of this machine. */
export function readMoment(text: string, utc: boolean): number | null {
  const clock = readClock(text);
  if (!clock) return null;
  const ms = clock.day * day + clock.ms;
  if (utc) return ms;
  const [whole, rest] = [Math.floor(clock.ms / 1000), clock.ms % 1000];
  const date = new Date(clock.day * day);
  return new Date(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate(), 0, 0, whole).getTime() + rest;
}

/** A time in UTC unless it says its offset, as conditions of R read a text beside a time. */
export function readTime(text: string): number | null {
  const match = /^(\d{4}-\d{2}-\d{2})(?:([ T])(\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)(Z|[+-]\d{2}:?\d{2})?)?$/.exec(text.trim());
  if (!match) return null;
  const [, date, , time, offset = "Z"] = match;
  const ms = readMoment(time ? `${date} ${time}` : date, true);
  if (ms === null || offset === "Z") return ms;
  const [, sign, hours, minutes] = /^([+-])(\d{2}):?(\d{2})$/.exec(offset)!;
  return ms - (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
}

/** The day that it is on this machine. */
export function today(): number {
  const now = new Date();
  return dayOf(Date.UTC(now.getFullYear(), now.getMonth(), now.getDate()));
}
