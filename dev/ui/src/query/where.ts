// Conditions as R has them: `lambda > 1 & model == "ridge"`. A parser of our own, since what stands in a
// permalink must never be run as code. NA is null; a row for which a condition is NA is left out.

import { compareTexts, type Column } from "../data/column.ts";
import { nearest } from "./near.ts";
import { regex, RegexError } from "./regex.ts";
import { dayOf, readDay, readMoment, readTime, today } from "./times.ts";
import { tokens, WhereError, type Token } from "./tokens.ts";

export { WhereError };

type Cell = number | string | boolean | null;
type Shape = "number" | "text" | "logical" | "time" | "date" | "na";

interface Expression {
  shape: Shape;
  at: number;
  of: (row: number) => Cell;
  /** Of a constant. */
  constant?: Cell[];
}

const constants: { [name: string]: [Shape, Cell] } = {
  TRUE: ["logical", true], FALSE: ["logical", false], T: ["logical", true], F: ["logical", false],
  NA: ["na", null], NA_integer_: ["na", null], NA_real_: ["na", null], NA_character_: ["na", null],
  NaN: ["na", null], Inf: ["number", Infinity], pi: ["number", Math.PI],
};

const roundEven = (x: number) => {
  const down = Math.floor(x);
  if (x - down !== 0.5) return Math.round(x);
  return down % 2 === 0 ? down : down + 1;
};

const numeric: { [name: string]: (x: number) => number } = {
  abs: Math.abs, sqrt: Math.sqrt, exp: Math.exp, log: Math.log, log2: Math.log2, log10: Math.log10,
  log1p: Math.log1p, floor: Math.floor, ceiling: Math.ceil, round: roundEven, trunc: Math.trunc, sign: Math.sign,
};

/** How many values each of the other functions takes, and which of its arguments are given by name. */
const others: { [name: string]: { takes: [least: number, most: number]; named?: string[] } } = {
  "is.na": { takes: [1, 1] }, "is.finite": { takes: [1, 1] }, "is.infinite": { takes: [1, 1] }, nchar: { takes: [1, 1] },
  c: { takes: [0, Infinity] }, startsWith: { takes: [2, 2] }, endsWith: { takes: [2, 2] }, xor: { takes: [2, 2] },
  grepl: { takes: [2, 2], named: ["pattern", "x", "ignore.case", "fixed"] },
  "Sys.time": { takes: [0, 0] }, "Sys.Date": { takes: [0, 0] }, "as.Date": { takes: [1, 1] }, "as.POSIXct": { takes: [1, 1], named: ["tz"] },
};

const functions = [...Object.keys(numeric), ...Object.keys(others)];

const arithmetic: { [op: string]: (a: number, b: number) => number } = {
  "+": (a, b) => a + b, "-": (a, b) => a - b, "*": (a, b) => a * b, "/": (a, b) => a / b,
  "^": (a, b) => (a === 1 || b === 0 ? 1 : a ** b), "%%": (a, b) => a - Math.floor(a / b) * b, "%/%": (a, b) => Math.floor(a / b),
};

const comparisons: { [op: string]: (order: number) => boolean } = {
  "==": (o) => o === 0, "!=": (o) => o !== 0, "<": (o) => o < 0, "<=": (o) => o <= 0, ">": (o) => o > 0, ">=": (o) => o >= 0,
};

const shapeNames: { [shape in Shape]: string } = {
  number: "a number", text: "text", logical: "TRUE or FALSE", time: "a time", date: "a date", na: "NA",
};

const and = (a: Cell, b: Cell) => (a === false || b === false ? false : a === null || b === null ? null : true);
const or = (a: Cell, b: Cell) => (a === true || b === true ? true : a === null || b === null ? null : false);

const mostOperators = 2000;

class Parser {
  private tokens: Token[];
  private next = 0;
  private depth = 0;

  constructor(source: string, private columns: Map<string, Column>) {
    this.tokens = tokens(source);
    // Each rests on the one before it, as deep as there is room, and an address may come from anybody.
    const operators = this.tokens.filter(({ kind, text }) => kind === "op" && !"(),".includes(text));
    if (operators.length > mostOperators) throw new WhereError("This is too long.", operators[mostOperators].at);
  }

  condition(): Expression {
    const whole = this.or();
    const rest = this.peek();
    if (rest.text === "=") throw new WhereError("To compare, write `==`.", rest.at);
    if (rest.kind !== "end") throw new WhereError(`An operator such as \`&\` is missing before \`${rest.text}\`.`, rest.at, rest.length);
    if (whole.shape === "number") {
      throw new WhereError("TRUE or FALSE is needed, this is a number. Compare it: `lambda > 1`.", whole.at);
    }
    return this.logical(whole);
  }

  private peek = () => this.tokens[this.next];

  private take(...ops: string[]): Token | null {
    const token = this.peek();
    return token.kind === "op" && ops.includes(token.text) ? this.tokens[this.next++] : null;
  }

  private expect(op: string, why: string) {
    if (!this.take(op)) throw new WhereError(why, this.peek().at, this.peek().length);
  }

  private or(): Expression {
    if (++this.depth > 200) throw new WhereError("This is nested too deeply.", this.peek().at);
    let left = this.and();
    while (this.take("|", "||")) left = this.connect(left, this.and(), or);
    this.depth--;
    return left;
  }

  private and(): Expression {
    let left = this.not();
    while (this.take("&", "&&")) left = this.connect(left, this.not(), and);
    return left;
  }

  private connect(left: Expression, right: Expression, how: (a: Cell, b: Cell) => Cell): Expression {
    const [a, b] = [this.logical(left).of, this.logical(right).of];
    return { shape: "logical", at: left.at, of: (row) => how(a(row), b(row)) };
  }

  private not(): Expression {
    const bangs: Token[] = [];
    for (let bang = this.take("!"); bang; bang = this.take("!")) bangs.push(bang);
    const whole = this.comparison();
    if (!bangs.length) return whole;
    const { of } = this.logical(whole);
    const odd = bangs.length % 2 === 1;
    return { shape: "logical", at: bangs[0].at, of: (row) => { const x = of(row); return x === null ? null : odd ? !x : x; } };
  }

  private comparison(): Expression {
    const left = this.sum();
    const op = this.take(...Object.keys(comparisons));
    if (!op) return left;
    const right = this.sum();
    const chained = this.peek();
    if (chained.kind === "op" && chained.text in comparisons) {
      throw new WhereError(`Comparisons can't be chained: join two of them by \`&\`.`, chained.at, chained.length);
    }
    return this.compare(left, op, right);
  }

  private compare(left: Expression, op: Token, right: Expression): Expression {
    this.single(left);
    this.single(right);
    const [a, b] = this.alike(left, right, op);
    const test = comparisons[op.text];
    const text = a.shape === "text" || b.shape === "text";
    const equality = op.text === "==" || op.text === "!=";
    const order = text && !equality
      ? (x: Cell, y: Cell) => compareTexts(x as string, y as string)
      : (x: Cell, y: Cell) => (x! < y! ? -1 : x! > y! ? 1 : x === y || (!text && Number(x) === Number(y)) ? 0 : NaN);
    return {
      shape: "logical", at: left.at,
      of: (row) => {
        const x = a.of(row);
        const y = b.of(row);
        return x === null || y === null ? null : test(order(x, y));
      },
    };
  }

  /** Both sides as one shape: a text beside a time or date is read as one. */
  private alike(left: Expression, right: Expression, op: Token): [Expression, Expression] {
    const [a, b] = [left.shape, right.shape];
    if (a === b || a === "na" || b === "na") return [left, right];
    const number = (shape: Shape) => shape === "number" || shape === "logical";
    if (number(a) && number(b)) return [left, right];
    // As the condition of read_runs() has it: a time is compared with a day as the day that it is, in UTC.
    if (a === "time" && b === "date") return [this.day(left), right];
    if (a === "date" && b === "time") return [left, this.day(right)];
    if (a === "text" && (b === "time" || b === "date")) return [this.moment(left, b), right];
    if (b === "text" && (a === "time" || a === "date")) return [left, this.moment(right, a)];
    const hint = a === "text" || b === "text" ? " Text stands in quotes, numbers don't." : "";
    throw new WhereError(`\`${op.text}\` compares ${shapeNames[a]} with ${shapeNames[b]}.${hint}`, op.at, op.length);
  }

  private moment(text: Expression, shape: "time" | "date"): Expression {
    if (!text.constant) throw new WhereError("Compare this with text in quotes, such as \"2026-11-23\".", text.at);
    const constant = text.constant.map((cell) => {
      if (cell === null) return null;
      const ms = readTime(String(cell));
      if (ms === null) throw new WhereError(`\`${cell}\` isn't a date such as 2026-11-23 or a time such as 2026-11-23 14:30.`, text.at);
      return shape === "date" ? dayOf(ms) : ms;
    });
    return { shape, at: text.at, constant, of: () => constant[0] };
  }

  private day(time: Expression): Expression {
    const day = (cell: Cell) => (cell === null ? null : dayOf(cell as number));
    return { shape: "date", at: time.at, constant: time.constant?.map(day), of: (row) => day(time.of(row)) };
  }

  private sum(): Expression {
    let left = this.product();
    for (let op = this.take("+", "-"); op; op = this.take("+", "-")) left = this.shifted(left, op, this.product());
    return left;
  }

  /** Sums and differences, of which one side may be a time, in R with seconds, or a day. */
  private shifted(left: Expression, op: Token, right: Expression): Expression {
    const isMoment = ({ shape }: Expression) => shape === "time" || shape === "date";
    if (!isMoment(left) && !isMoment(right)) return this.calculate(left, op, right);
    this.single(left);
    this.single(right);
    if (isMoment(left) && isMoment(right)) {
      if (op.text === "+") throw new WhereError("Two times can't be added.", op.at);
      if (left.shape === "date" && right.shape === "date") return { ...this.folded(left, right, (a, b) => a - b), shape: "number" };
      throw new WhereError(
        "In R the unit of a difference of times depends on the runs. Compare times: `timestamp > Sys.time() - 3600`, in seconds.", op.at,
      );
    }
    if (op.text === "-" && isMoment(right)) throw new WhereError("A time can't be taken from a number.", op.at);
    const [moment, number] = isMoment(left) ? [left, this.number(right, op)] : [right, this.number(left, op)];
    const unit = (moment.shape === "time" ? 1000 : 1) * (op.text === "-" ? -1 : 1);
    return { ...this.folded(moment, number, (a, b) => a + unit * b), at: left.at, shape: moment.shape };
  }

  /** What is worked out from two sides; of constants it is one. */
  private folded(left: Expression, right: Expression, how: (a: number, b: number) => number): Expression {
    const result = (x: Cell, y: Cell): Cell => {
      if (x === null || y === null) return null;
      const number = how(Number(x), Number(y));
      return Number.isNaN(number) ? null : number;
    };
    const constant = left.constant && right.constant && [result(left.constant[0], right.constant[0])];
    return { shape: "number", at: left.at, constant, of: constant ? () => constant[0] : (row) => result(left.of(row), right.of(row)) };
  }

  private product(): Expression {
    let left = this.special();
    for (let op = this.take("*", "/"); op; op = this.take("*", "/")) left = this.calculate(left, op, this.special());
    return left;
  }

  private special(): Expression {
    let left = this.sign();
    for (;;) {
      const op = this.peek();
      if (op.kind !== "op" || !op.text.startsWith("%")) return left;
      this.next++;
      const right = this.sign();
      if (op.text === "%in%") left = this.isIn(left, op, right);
      else if (op.text in arithmetic) left = this.calculate(left, op, right);
      else throw new WhereError(`\`${op.text}\` isn't known. There are \`%in%\`, \`%%\` and \`%/%\`.`, op.at, op.length);
    }
  }

  private isIn(left: Expression, op: Token, right: Expression): Expression {
    this.single(left);
    if (!right.constant) throw new WhereError("`%in%` needs values on its right: `c(1, 2)`.", right.at);
    const [a, b] = this.alike(left, right, op);
    const set = new Set(b.constant!.map((cell) => (typeof cell === "boolean" ? Number(cell) : cell)));
    return {
      shape: "logical", at: left.at,
      of: (row) => { const x = a.of(row); return set.has(typeof x === "boolean" ? Number(x) : x); },
    };
  }

  private calculate(left: Expression, op: Token, right: Expression): Expression {
    return this.folded(this.number(left, op), this.number(right, op), arithmetic[op.text]);
  }

  private sign(): Expression {
    const op = this.take("-", "+");
    if (!op) return this.power();
    if (++this.depth > 200) throw new WhereError("This is nested too deeply.", op.at);
    const inner = this.number(this.sign(), op);
    this.depth--;
    if (op.text === "+") return inner;
    const minus = (x: Cell) => (x === null ? null : -Number(x));
    const constant = inner.constant?.map(minus);
    return { ...inner, at: op.at, constant, of: (row) => minus(inner.of(row)) };
  }

  private power(): Expression {
    const left = this.primary();
    const op = this.take("^");
    return op ? this.calculate(left, op, this.sign()) : left;
  }

  private primary(): Expression {
    const token = this.tokens[this.next];
    if (token.kind !== "end") this.next++;
    const literal = (shape: Shape, cell: Cell): Expression => ({ shape, at: token.at, constant: [cell], of: () => cell });
    if (token.kind === "number") return literal("number", Number(token.text));
    if (token.kind === "text") return literal("text", token.text);
    if (token.kind === "op" && token.text === "(") {
      const inner = this.or();
      this.expect(")", "A `)` is missing here.");
      return inner;
    }
    if (token.kind !== "name") {
      const what = token.kind === "end" ? "Something is missing at the end." : `\`${token.text}\` isn't understood here.`;
      throw new WhereError(what, token.at, token.length);
    }
    if (this.peek().text === "(" && this.peek().kind === "op") return this.call(token);
    const dollar = this.take("$");
    if (dollar) {
      const field = this.tokens[this.next++];
      if (!field || (field.kind !== "name" && field.kind !== "text")) {
        throw new WhereError("The name of a tag is missing: `tags$by`.", dollar.at);
      }
      const tag = token.text === "tags" && [...this.columns].find(([, { kind, name }]) => kind === "tag" && name === field.text);
      return this.column(tag ? tag[0] : `${token.text}$${field.text}`, token, field.at + field.length - token.at);
    }
    const quoted = token.length === token.text.length + 2;
    if (!quoted && !this.columns.has(token.text) && Object.hasOwn(constants, token.text)) return literal(...constants[token.text]);
    return this.column(token.text, token, token.length);
  }

  /** The arguments of a call: those by place, and those by name. */
  private args(): { args: Expression[]; named: Map<string, Expression> } {
    const [args, named]: [Expression[], Map<string, Expression>] = [[], new Map()];
    this.next++;
    if (this.take(")")) return { args, named };
    do {
      const [name, equals] = [this.peek(), this.tokens[this.next + 1]];
      if (name.kind === "name" && equals?.kind === "op" && equals.text === "=") {
        this.next += 2;
        named.set(name.text, this.or());
      } else args.push(this.or());
    } while (this.take(","));
    this.expect(")", "A `)` or `,` is missing here.");
    return { args, named };
  }

  private call(name: Token): Expression {
    const { args, named } = this.args();
    if (!functions.includes(name.text)) {
      const near = nearest(name.text, functions);
      throw new WhereError(
        `\`${name.text}()\` isn't known here. ${near.length ? `Did you mean ${list(near)}?` : `There are ${list(functions, "and")}.`}`,
        name.at, name.length,
      );
    }
    if (name.text === "c" && !named.size) return this.combine(name, args);
    const { takes: [least, most], named: known = [] } = others[name.text] ?? { takes: [1, 1] };
    for (const [given, { at }] of named) {
      if (!known.includes(given)) throw new WhereError(`\`${name.text}()\` takes no \`${given}\` here${known.length ? `, but ${list(known)}` : ""}.`, at);
    }
    // Arguments by name go before those by place, which take what is left.
    if (name.text === "grepl") for (const [place, given] of ["pattern", "x"].entries()) if (named.has(given)) args.splice(place, 0, named.get(given)!);
    if (args.length < least || args.length > most) {
      const values = ["no value", "one value", "two values"][least];
      throw new WhereError(`\`${name.text}()\` takes ${values} here.`, name.at, name.length);
    }
    for (const arg of [...args, ...named.values()]) this.single(arg);
    const [x, y] = args;
    const always = (shape: Shape, cell: Cell): Expression => ({ shape, at: name.at, constant: [cell], of: () => cell });
    switch (name.text) {
      case "is.na": return { shape: "logical", at: name.at, of: (row) => x.of(row) === null };
      case "is.finite": return this.test(name, x, (cell) => Number.isFinite(Number(cell)));
      case "is.infinite": return this.test(name, x, (cell) => !Number.isFinite(Number(cell)));
      case "xor": return this.connect(x, y, (a, b) => (a === null || b === null ? null : a !== b));
      case "startsWith": return this.texts(name, args, (a, b) => a.startsWith(b));
      case "endsWith": return this.texts(name, args, (a, b) => a.endsWith(b));
      case "nchar": return { ...this.texts(name, args, (text) => [...text].length), shape: "number" };
      case "grepl": return this.grepl(x, y, this.flag(named.get("ignore.case")), this.flag(named.get("fixed")));
      case "Sys.time": return always("time", Date.now());
      case "Sys.Date": return always("date", today());
      case "as.Date": return this.asDate(name, x);
      case "as.POSIXct": return this.asTime(name, x, named.get("tz"));
    }
    const { of, constant } = this.number(x, name);
    const how = (cell: Cell): Cell => {
      const result = cell === null ? NaN : numeric[name.text](Number(cell));
      return Number.isNaN(result) ? null : result;
    };
    return { shape: "number", at: name.at, constant: constant?.map(how), of: (row) => how(of(row)) };
  }

  /** A question to a number, which is answered with no where there is none. */
  private test(name: Token, x: Expression, how: (cell: Cell) => boolean): Expression {
    const { of } = this.number(x, name);
    return { shape: "logical", at: name.at, of: (row) => { const cell = of(row); return cell !== null && how(cell); } };
  }

  private texts(name: Token, args: Expression[], how: (...texts: string[]) => Cell): Expression {
    for (const { shape, at } of args) if (shape !== "text" && shape !== "na") throw new WhereError(`\`${name.text}()\` takes text.`, at);
    return {
      shape: "logical", at: name.at,
      of: (row) => {
        const texts = args.map(({ of }) => of(row));
        return texts.includes(null) ? null : how(...(texts as string[]));
      },
    };
  }

  private flag(given: Expression | undefined): boolean {
    if (!given) return false;
    const value = given.constant?.[0];
    if (typeof value !== "boolean") throw new WhereError("TRUE or FALSE is needed here.", given.at);
    return value;
  }

  /** As in R, where there is no text nothing is found in it. */
  private grepl(pattern: Expression, x: Expression, ignoreCase: boolean, fixed: boolean): Expression {
    const sought = pattern.constant?.[0];
    if (typeof sought !== "string") throw new WhereError("`grepl()` takes a text in quotes first, and then the column: `grepl(\"ridge\", model)`.", pattern.at);
    if (x.shape !== "text" && x.shape !== "na") throw new WhereError("`grepl()` looks in text.", x.at);
    if (fixed && ignoreCase) throw new WhereError("`ignore.case` doesn't go with `fixed`.", pattern.at);
    let found: (text: string) => boolean;
    try {
      found = fixed ? (text) => text.includes(sought) : regex(sought, ignoreCase);
    } catch (e) {
      if (!(e instanceof RegexError)) throw e;
      throw new WhereError(`This expression isn't understood from its character ${e.at + 1} on: ${e.message}`, pattern.at);
    }
    // Each text is looked at once, however many runs have it.
    const known = new Map<string, boolean>();
    return {
      shape: "logical", at: pattern.at,
      of: (row) => {
        const text = x.of(row);
        if (text === null) return false;
        let is = known.get(text as string);
        if (is === undefined) known.set(text as string, (is = found(text as string)));
        return is;
      },
    };
  }

  private asDate(name: Token, x: Expression): Expression {
    if (x.shape === "time") return this.day(x);
    if (x.shape === "date") return x;
    const text = x.constant?.[0];
    const day = typeof text === "string" ? readDay(text) : null;
    if (day === null) throw new WhereError("`as.Date()` takes a date in quotes, `as.Date(\"2026-11-23\")`, or a time.", x.at);
    return { shape: "date", at: name.at, constant: [day], of: () => day };
  }

  private asTime(name: Token, x: Expression, zone: Expression | undefined): Expression {
    const tz = zone?.constant?.[0];
    if (zone && tz !== "UTC" && tz !== "GMT" && tz !== "") throw new WhereError("The page knows the time zones \"UTC\" and \"\", that of this machine.", zone.at);
    if (x.shape === "time") return x;
    const text = x.constant?.[0];
    const ms = typeof text === "string" ? readMoment(text, tz === "UTC" || tz === "GMT") : null;
    if (ms === null) throw new WhereError("`as.POSIXct()` takes a time in quotes: `as.POSIXct(\"2026-11-23 14:30\", tz = \"UTC\")`.", x.at);
    return { shape: "time", at: name.at, constant: [ms], of: () => ms };
  }

  private combine(name: Token, args: Expression[]): Expression {
    const constant: Cell[] = [];
    let shape: Shape = "na";
    for (const arg of args) {
      if (!arg.constant) throw new WhereError("`c()` takes values here, not columns.", arg.at);
      constant.push(...arg.constant);
      if (arg.shape === "na") continue;
      if (shape !== "na" && shape !== arg.shape) {
        throw new WhereError(`\`c()\` mixes ${shapeNames[shape]} with ${shapeNames[arg.shape]}.`, arg.at);
      }
      shape = arg.shape;
    }
    return { shape, at: name.at, constant, of: () => constant[0] ?? null };
  }

  private column(name: string, token: Token, length: number): Expression {
    const column = this.columns.get(name);
    if (!column) {
      const near = nearest(name, [...this.columns.keys()]);
      const hint = near.length ? ` Did you mean ${list(near)}?` : "";
      throw new WhereError(`There is no \`${name}\`.${hint}`, token.at, length);
    }
    const { num, type, levels, other } = column;
    if (type === "mixed") {
      throw new WhereError(
        `\`${name}\` holds vectors or values of different types, which can't be compared.`, token.at, length,
      );
    }
    const is = (shape: Shape, of: (row: number) => Cell): Expression => ({ shape, at: token.at, of });
    const number = (row: number) => (Number.isNaN(num[row]) ? null : num[row]);
    if (type === "character") return is("text", (row) => (Number.isNaN(num[row]) ? null : levels[num[row]]));
    if (type === "logical") return is("logical", (row) => (Number.isNaN(num[row]) ? null : num[row] === 1));
    if (type === "datetime") return is("time", number);
    if (type === "date") return is("date", number);
    if (type === "integer64") {
      return is("number", (row) => (other.get(row) === undefined ? null : num[row]));
    }
    return is("number", number);
  }

  private single(expression: Expression) {
    if (expression.constant && expression.constant.length !== 1) {
      throw new WhereError("One value is needed here; for several there is `%in%`.", expression.at);
    }
  }

  private number(expression: Expression, op: Token): Expression {
    this.single(expression);
    if (expression.shape === "text" || expression.shape === "time" || expression.shape === "date") {
      throw new WhereError(`\`${op.text}\` needs numbers, this is ${shapeNames[expression.shape]}.`, expression.at);
    }
    return expression;
  }

  private logical(expression: Expression): Expression {
    this.single(expression);
    if (expression.shape === "logical" || expression.shape === "na") return expression;
    if (expression.shape === "number") {
      return { shape: "logical", at: expression.at, of: (row) => { const x = expression.of(row); return x === null ? null : x !== 0; } };
    }
    throw new WhereError(
      `TRUE or FALSE is needed here, this is ${shapeNames[expression.shape]}. Compare it: \`model == "ridge"\`.`, expression.at,
    );
  }
}

/** The test that a condition puts to each run; null where there is no condition. */
export function parseWhere(source: string, columns: Map<string, Column>): ((row: number) => boolean) | null {
  if (!source.trim()) return null;
  const { of } = new Parser(source, columns).condition();
  return (row) => of(row) === true;
}

/** A name as it stands in a condition. */
export const quoteName = (name: string): string =>
  /^(?:\p{L}|\.(?!\d))[\p{L}\p{N}._]*$/u.test(name) && !Object.hasOwn(constants, name)
    ? name
    : `\`${name.replace(/[\\`]/g, "\\$&")}\``;

const list = (names: string[], word = "or") => {
  const quoted = names.map((name) => `\`${name}\``);
  return quoted.length > 1 ? `${quoted.slice(0, -1).join(", ")} ${word} ${quoted.at(-1)}` : quoted[0];
};
