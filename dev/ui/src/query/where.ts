// Conditions as R has them: `lambda > 1 & model == "ridge"`. A parser of our own, since what stands in a
// permalink must never be run as code. NA is null; a row for which a condition is NA is left out.

import { compareTexts, type Column } from "../data/column.ts";

type Cell = number | string | boolean | null;
type Shape = "number" | "text" | "logical" | "time" | "date" | "na";

interface Expression {
  shape: Shape;
  at: number;
  of: (row: number) => Cell;
  /** Of a constant. */
  constant?: Cell[];
}

/** What is wrong with a condition, and where. */
export class WhereError extends Error {
  constructor(message: string, readonly at: number, readonly length = 1) {
    super(message);
  }
}

interface Token {
  kind: "number" | "text" | "name" | "op" | "end";
  text: string;
  at: number;
  length: number;
}

const pattern =
  /\s*(?:(0[xX][0-9a-fA-F]+L?|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?L?)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|`((?:[^`\\]|\\.)*)`|((?:[\p{L}]|\.(?!\d))[\p{L}\p{N}._]*)|(%[^%\s]*%|<=|>=|==|!=|&&|\|\||[-+*/^()<>!&|,$:=]))/uy;

const escapes: { [letter: string]: string } = { n: "\n", t: "\t", r: "\r", 0: "\0" };
const unescape = (text: string) =>
  text.replace(/\\(?:u\{?([0-9a-fA-F]{1,4})\}?|x([0-9a-fA-F]{1,2})|(.))/gsu, (_, u, x, c) =>
    u || x ? String.fromCharCode(parseInt(u ?? x, 16)) : (escapes[c] ?? c),
  );

function tokens(source: string): Token[] {
  const found: Token[] = [];
  pattern.lastIndex = 0;
  const end = source.trimEnd().length;
  while (pattern.lastIndex < end) {
    const start = pattern.lastIndex;
    const match = pattern.exec(source);
    if (!match) {
      const at = start + source.slice(start).search(/\S/);
      const quote = `"'\``.includes(source[at]);
      throw new WhereError(quote ? "This quote is never closed." : `\`${source[at]}\` isn't understood here.`, at);
    }
    const [whole, number, text, quoted, name, op] = match;
    const trimmed = whole.trimStart();
    const at = start + whole.length - trimmed.length;
    const token = { at, length: trimmed.length };
    if (number !== undefined) found.push({ kind: "number", text: number.replace(/L$/, ""), ...token });
    else if (text !== undefined) found.push({ kind: "text", text: unescape(text.slice(1, -1)), ...token });
    else if (quoted !== undefined) found.push({ kind: "name", text: unescape(quoted), ...token });
    else if (name !== undefined) found.push({ kind: "name", text: name, ...token });
    else found.push({ kind: "op", text: op, ...token });
  }
  found.push({ kind: "end", text: "", at: end, length: 1 });
  return found;
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
  log1p: Math.log1p, floor: Math.floor, ceiling: Math.ceil, round: roundEven,
};

const functions = [...Object.keys(numeric), "is.na", "c", "startsWith", "endsWith", "xor"];

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

class Parser {
  private tokens: Token[];
  private next = 0;
  private depth = 0;

  constructor(source: string, private columns: Map<string, Column>) {
    this.tokens = tokens(source);
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
    if (a === "text" && (b === "time" || b === "date")) return [this.moment(left, b), right];
    if (b === "text" && (a === "time" || a === "date")) return [left, this.moment(right, a)];
    const hint = a === "text" || b === "text" ? " Text stands in quotes, numbers don't." : "";
    throw new WhereError(`\`${op.text}\` compares ${shapeNames[a]} with ${shapeNames[b]}.${hint}`, op.at, op.length);
  }

  private moment(text: Expression, shape: "time" | "date"): Expression {
    if (!text.constant) throw new WhereError("Compare this with text in quotes, such as \"2026-11-23\".", text.at);
    const constant = text.constant.map((cell) => {
      if (cell === null) return null;
      const iso = String(cell).trim().replace(/^(\d{4}-\d{2}-\d{2})[ T](.+?)Z?$/, "$1T$2Z");
      const ms = /^\d{4}-\d{2}-\d{2}/.test(iso) ? Date.parse(iso) : NaN;
      if (Number.isNaN(ms)) throw new WhereError(`\`${cell}\` isn't a date such as 2026-11-23 or a time such as 2026-11-23 14:30.`, text.at);
      return shape === "date" ? Math.floor(ms / 864e5) : ms;
    });
    return { shape, at: text.at, constant, of: () => constant[0] };
  }

  private sum(): Expression {
    let left = this.product();
    for (let op = this.take("+", "-"); op; op = this.take("+", "-")) left = this.calculate(left, op, this.product());
    return left;
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
    const [a, b] = [this.number(left, op).of, this.number(right, op).of];
    const how = arithmetic[op.text];
    const of = (row: number): Cell => {
      const x = a(row);
      const y = b(row);
      if (x === null || y === null) return null;
      const result = how(Number(x), Number(y));
      return Number.isNaN(result) ? null : result;
    };
    return { shape: "number", at: left.at, of };
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

  private call(name: Token): Expression {
    this.next++;
    const args: Expression[] = [];
    if (!this.take(")")) {
      do args.push(this.or());
      while (this.take(","));
      this.expect(")", "A `)` or `,` is missing here.");
    }
    if (!functions.includes(name.text)) {
      const near = nearest(name.text, functions);
      throw new WhereError(
        `\`${name.text}()\` isn't known here. ${near.length ? `Did you mean ${list(near)}?` : `There are ${list(functions, "and")}.`}`,
        name.at, name.length,
      );
    }
    if (name.text === "c") return this.combine(name, args);
    const wanted = ["startsWith", "endsWith", "xor"].includes(name.text) ? 2 : 1;
    if (args.length !== wanted) {
      throw new WhereError(`\`${name.text}()\` takes ${wanted === 1 ? "one value" : "two values"} here.`, name.at, name.length);
    }
    args.forEach((arg) => this.single(arg));
    const [x, y] = args;
    if (name.text === "is.na") return { shape: "logical", at: name.at, of: (row) => x.of(row) === null };
    if (name.text === "xor") {
      return this.connect(x, y, (a, b) => (a === null || b === null ? null : a !== b));
    }
    if (wanted === 2) {
      for (const arg of args) {
        if (arg.shape !== "text" && arg.shape !== "na") throw new WhereError(`\`${name.text}()\` takes text.`, arg.at);
      }
      const method = name.text === "startsWith" ? "startsWith" : "endsWith";
      return {
        shape: "logical", at: name.at,
        of: (row) => {
          const [a, b] = [x.of(row), y.of(row)];
          return a === null || b === null ? null : (a as string)[method](b as string);
        },
      };
    }
    const { of } = this.number(x, name);
    const how = numeric[name.text];
    return {
      shape: "number", at: name.at,
      of: (row) => {
        const value = of(row);
        const result = value === null ? NaN : how(Number(value));
        return Number.isNaN(result) ? null : result;
      },
    };
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
