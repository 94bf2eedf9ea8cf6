// Extended regular expressions as R has them, in so far as every machine understands them alike; what is beyond is
// refused. Without backtracking: however an expression is written, the time is that of its length times the text's.

/** What is wrong with an expression, and at which of its characters. */
export class RegexError extends Error {
  constructor(message: string, readonly at: number) {
    super(message);
  }
}

type Test = (char: string) => boolean;

type Node =
  | { is: "char"; test: Test }
  | { is: "start" | "end" | "empty" }
  | { is: "all" | "any"; of: Node[] }
  | { is: "repeat"; of: Node; least: number; most: number };

type Step = { test: Test } | { start: true } | { end: true } | { to: number[] } | { found: true };

const most = 255;
const longest = 5000;
const special = ".*+?()[]{}^$|\\";
const lower = (char: string) => (char >= "A" && char <= "Z" ? char.toLowerCase() : char);

class Parser {
  private chars: string[];
  private next = 0;
  private depth = 0;

  constructor(pattern: string, private ignoreCase: boolean) {
    this.chars = [...pattern];
    const foreign = this.chars.findIndex((char) => char > "\x7f");
    if (ignoreCase && foreign >= 0) this.refuse("Whether letters beyond a to z are the same in another case differs between machines", foreign);
  }

  whole(): Node {
    const whole = this.any();
    if (this.next < this.chars.length) this.refuse("This `)` closes nothing; `\\\\)` is one as it stands");
    return whole;
  }

  private refuse(why: string, at = this.next): never {
    throw new RegexError(`${why}.`, at);
  }

  private any(): Node {
    if (++this.depth > 100) this.refuse("This is nested too deeply");
    const of = [this.all()];
    while (this.chars[this.next] === "|") {
      this.next++;
      of.push(this.all());
    }
    this.depth--;
    return of.length > 1 ? { is: "any", of } : of[0];
  }

  private all(): Node {
    const of: Node[] = [];
    while (this.next < this.chars.length && !"|)".includes(this.chars[this.next])) of.push(this.repeated());
    return of.length === 1 ? of[0] : { is: "all", of };
  }

  private repeated(): Node {
    const start = this.next;
    if ("*+?{".includes(this.chars[start])) this.refuse(`There is nothing that this \`${this.chars[start]}\` could repeat; \`\\\\${this.chars[start]}\` is one as it stands`);
    const one = this.one();
    const times = this.times();
    if (!times) return one;
    if (one.is === "start" || one.is === "end") this.refuse("`^` and `$` can't be repeated", start);
    if (this.next < this.chars.length && "*+?{".includes(this.chars[this.next])) {
      this.refuse("Two repetitions in a row, as in `.*?`, aren't among what all regular expressions have in common");
    }
    return { is: "repeat", of: one, ...times };
  }

  private times(): { least: number; most: number } | null {
    const char = this.chars[this.next];
    const simple = { "*": [0, Infinity], "+": [1, Infinity], "?": [0, 1] }[char];
    if (simple) {
      this.next++;
      return { least: simple[0], most: simple[1] };
    }
    if (char !== "{") return null;
    const [text, least, comma, upTo] = /^\{(\d+)(,?)(\d*)\}/.exec(this.chars.slice(this.next).join("")) ?? this.refuse("A repetition is written `{2}`, `{2,}` or `{2,5}`; `\\\\{` is a brace as it stands");
    const times = { least: Number(least), most: upTo ? Number(upTo) : comma ? Infinity : Number(least) };
    if (times.least > most || (times.most > most && times.most < Infinity) || times.most < times.least) this.refuse(`A repetition goes from 0 up to ${most}, the smaller number first`);
    this.next += text.length;
    return times;
  }

  private char(char: string): Node {
    if (!this.ignoreCase) return { is: "char", test: (other) => other === char };
    const folded = lower(char);
    return { is: "char", test: (other) => lower(other) === folded };
  }

  private one(): Node {
    const char = this.chars[this.next];
    if (char === "(") return this.group();
    if (char === "[") return this.set();
    if (char === "\\") return this.escaped();
    this.next++;
    if (char === ".") return { is: "char", test: () => true };
    if (char === "^") return { is: "start" };
    return char === "$" ? { is: "end" } : this.char(char);
  }

  private group(): Node {
    const start = this.next++;
    if (this.chars[this.next] === "?") this.refuse("What begins with `(?` is Perl's, which `grepl()` understands only with `perl = TRUE`");
    const inner = this.any();
    if (this.chars[this.next] !== ")") this.refuse("This `(` is never closed", start);
    this.next++;
    return inner.is === "all" && !inner.of.length ? { is: "empty" } : inner;
  }

  private escaped(): Node {
    const char = this.chars[this.next + 1];
    if (char === undefined) this.refuse("Something is missing after this backslash");
    if (char === "d") {
      this.next += 2;
      return { is: "char", test: (other) => other >= "0" && other <= "9" };
    }
    if (/[a-zA-Z]/.test(char)) this.refuse(`What \`\\\\${char}\` means differs between machines and kinds of regular expressions; \`[A-Za-z0-9_]\` says it`);
    if (/[0-9]/.test(char)) this.refuse("References back to a group aren't known here");
    if (!special.includes(char) && char !== "-" && char !== "/") this.refuse(`\`\\\\${char}\` may mean something else than \`${char}\`, which needs no backslash`);
    this.next += 2;
    return this.char(char);
  }

  private set(): Node {
    const start = this.next++;
    const negated = this.chars[this.next] === "^";
    if (negated) this.next++;
    const tests: Test[] = [];
    for (let first = true; ; first = false) {
      const char = this.chars[this.next];
      if (char === undefined) this.refuse("This `[` is never closed", start);
      if (char === "]" && !first) break;
      tests.push(this.member());
    }
    this.next++;
    const { ignoreCase } = this;
    const has = (char: string) => tests.some((test) => test(char)) || (ignoreCase && tests.some((test) => test(char.toLowerCase()) || test(char.toUpperCase())));
    return { is: "char", test: (char) => has(char) !== negated };
  }

  private member(): Test {
    const char = this.chars[this.next];
    if (char === "\\") this.refuse("Within `[ ]` a backslash means different things in R and elsewhere");
    if (char === "[" && ":.=".includes(this.chars[this.next + 1] ?? " ")) {
      if (this.chars.slice(this.next, this.next + 9).join("") !== "[:digit:]") this.refuse("Which letters and signs belong to such a class differs between machines; `[A-Za-z]` says it");
      this.next += 9;
      return (other) => other >= "0" && other <= "9";
    }
    const [dash, to] = [this.chars[this.next + 1], this.chars[this.next + 2]];
    this.next++;
    if (dash !== "-" || to === undefined || to === "]") return (other) => other === char;
    if (![/^[0-9]{2}$/, /^[a-z]{2}$/, /^[A-Z]{2}$/].some((kind) => kind.test(char + to)) || to < char) {
      this.refuse("What lies between two letters is the same on every machine only from 0 to 9, a to z and A to Z", this.next - 1);
    }
    this.next += 2;
    return (other) => other >= char && other <= to;
  }
}

/** The steps of an expression: what to look for, and where to go on. */
function compiled(node: Node): Step[] {
  const steps: Step[] = [];
  const add = (step: Step) => {
    if (steps.length >= longest) throw new RegexError("This is too long when its repetitions are written out.", 0);
    return steps.push(step) - 1;
  };
  const emit = (node: Node): void => {
    if (node.is === "char") add({ test: node.test });
    else if (node.is === "start") add({ start: true });
    else if (node.is === "end") add({ end: true });
    else if (node.is === "all") node.of.forEach(emit);
    else if (node.is === "any") {
      const fork = { to: [] as number[] };
      add(fork);
      const ends = node.of.map((choice) => {
        fork.to.push(steps.length);
        emit(choice);
        const end = { to: [] as number[] };
        add(end);
        return end;
      });
      for (const end of ends) end.to.push(steps.length);
    } else if (node.is === "repeat") {
      for (let i = 0; i < node.least; i++) emit(node.of);
      if (node.most === Infinity) {
        const fork = { to: [steps.length + 1] };
        const at = add(fork);
        emit(node.of);
        add({ to: [at] });
        fork.to.push(steps.length);
      } else {
        const forks: { to: number[] }[] = [];
        for (let i = node.least; i < node.most; i++) {
          const fork = { to: [steps.length + 1] };
          forks.push(fork);
          add(fork);
          emit(node.of);
        }
        for (const fork of forks) fork.to.push(steps.length);
      }
    }
  };
  emit(node);
  add({ found: true });
  return steps;
}

/** Whether an expression is found anywhere in a text. */
export function regex(pattern: string, ignoreCase = false): (text: string) => boolean {
  const node = new Parser(pattern, ignoreCase).whole();
  if (!ignoreCase && ![...pattern].some((char) => special.includes(char))) return (text) => text.includes(pattern);
  const steps = compiled(node);
  const seen = new Uint32Array(steps.length);
  let turn = 0;
  return (text) => {
    const chars = [...text];
    let now: number[] = [];
    for (let i = 0; i <= chars.length; i++) {
      turn++;
      const waiting = [...now, 0];
      const next: number[] = [];
      // From the first character on, since it may be found anywhere.
      while (waiting.length) {
        const at = waiting.pop()!;
        if (seen[at] === turn) continue;
        seen[at] = turn;
        const step = steps[at];
        if ("found" in step) return true;
        if ("to" in step) waiting.push(...step.to);
        else if ("start" in step) { if (i === 0) waiting.push(at + 1); }
        else if ("end" in step) { if (i === chars.length) waiting.push(at + 1); }
        else if (i < chars.length && step.test(chars[i])) next.push(at + 1);
      }
      now = next;
    }
    return false;
  };
}
