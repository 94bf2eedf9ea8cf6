// The words of a condition.

/** What is wrong with a condition, and where. */
export class WhereError extends Error {
  constructor(message: string, readonly at: number, readonly length = 1) {
    super(message);
  }
}

export interface Token {
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

export function tokens(source: string): Token[] {
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
