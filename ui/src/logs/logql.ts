// Where are the parts of a log query? Its matchers and stages with their places, so that a click edits
// a part and leaves the rest as it was typed. Judging queries is the server's: what is not understood
// here gives null, and is then only added to at its end or not at all.

export interface Part {
  readonly from: number;
  readonly to: number;
}

export type Op = '=' | '!=' | '=~' | '!~' | '>' | '>=' | '<' | '<=' | '==';

export interface Predicate extends Part {
  readonly name: string;
  readonly op: Op;
  /** Without its quotes. */
  readonly value: string;
}

export interface Stage extends Part {
  readonly kind: 'line' | 'parser' | 'label' | 'other';
  /** `json`, `|=`, …; of a label filter "". */
  readonly word: string;
  /** Of a label filter that is one predicate, or several of one name joined by `or`. */
  readonly predicates: readonly Predicate[];
  /** Of a line filter: what it looks for. */
  readonly texts: readonly string[];
}

export interface LogQuery {
  readonly text: string;
  readonly selector: Part;
  readonly matchers: readonly Predicate[];
  readonly stages: readonly Stage[];
}

interface Token extends Part {
  readonly kind: 'string' | 'word' | 'mark';
  readonly text: string;
  readonly value: string;
}

const TOKEN =
  /(?<space>\s+|#[^\n]*)|(?<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?<word>[\p{L}_:0-9.][\p{L}_:0-9.µ]*)|(?<mark>\|=|\|~|\|>|!=|!~|!>|=~|==|>=|<=|[{}()[\],|=<>+\-*/%^@])/uy;

export function tokensOf(text: string): Token[] | null {
  const found: Token[] = [];
  let at = 0;
  while (at < text.length) {
    TOKEN.lastIndex = at;
    const hit = TOKEN.exec(text);
    if (!hit) return null;
    const { string, word, mark } = hit.groups!;
    const part = { from: at, to: at + hit[0].length, text: hit[0] };
    if (string !== undefined) found.push({ ...part, kind: 'string', value: unquoted(string) });
    else if (word !== undefined) found.push({ ...part, kind: 'word', value: word });
    else if (mark !== undefined) found.push({ ...part, kind: 'mark', value: mark });
    at = part.to;
  }
  return found;
}

const ESCAPES: Record<string, string> = { n: '\n', t: '\t', r: '\r', a: '\u0007', b: '\b', f: '\f', v: '\v' };

function unquoted(text: string): string {
  if (text.startsWith('`')) return text.slice(1, -1);
  return text.slice(1, -1).replace(/\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[0-7]{3}|.)/gi, (_, code: string) => {
    const first = code[0]!;
    if (/[xuU]/.test(first) && code.length > 1) return String.fromCodePoint(Number.parseInt(code.slice(1), 16));
    if (code.length === 3) return String.fromCharCode(Number.parseInt(code, 8));
    return ESCAPES[first] ?? code;
  });
}

/** A text as LogQL reads it. */
export function quoted(text: string): string {
  const plain = JSON.stringify(text);
  return /["\\]/.test(text) && !/[`\p{Cc}\p{Cs}]/u.test(text) ? `\`${text}\`` : plain;
}

export function isName(text: string): boolean {
  return /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(text);
}

const PARSERS = new Set(['json', 'logfmt', 'regexp', 'pattern', 'unpack']);
const OTHERS = new Set(['line_format', 'label_format', 'decolorize', 'drop', 'keep', 'unwrap']);
const LINE = new Set(['|=', '|~', '|>', '!=', '!~', '!>']);
const OPS = new Set(['=', '!=', '=~', '!~', '>', '>=', '<', '<=', '==']);

/** The parts of a log query; null: it is a metric query, or not understood. */
export function parseLogQuery(text: string): LogQuery | null {
  const tokens = tokensOf(text);
  if (!tokens || tokens[0]?.text !== '{') return null;
  const end = tokens.findIndex((token) => token.kind === 'mark' && token.text === '}');
  if (end < 0) return null;
  const matchers = matchersOf(tokens.slice(1, end));
  const stages = matchers && stagesOf(tokens.slice(end + 1));
  if (!stages) return null;
  return { text, selector: { from: tokens[0].from, to: tokens[end]!.to }, matchers: matchers!, stages };
}

function matchersOf(tokens: readonly Token[]): Predicate[] | null {
  const found: Predicate[] = [];
  for (let at = 0; at < tokens.length; at += 4) {
    const predicate = predicateOf(tokens.slice(at, at + 3));
    if (!predicate) return null;
    found.push(predicate);
    if (tokens[at + 3] && tokens[at + 3]!.text !== ',') return null;
  }
  return found;
}

function predicateOf(tokens: readonly Token[]): Predicate | null {
  const [name, op, value] = tokens;
  if (tokens.length !== 3 || name!.kind !== 'word' || !OPS.has(op!.text) || value!.kind === 'mark') return null;
  return { name: name!.text, op: op!.text as Op, value: value!.value, from: name!.from, to: value!.to };
}

function stagesOf(tokens: readonly Token[]): Stage[] | null {
  const found: Stage[] = [];
  let at = 0;
  while (at < tokens.length) {
    const first = tokens[at]!;
    if (first.text !== '|' && !LINE.has(first.text)) return null;
    let end = at + 1;
    while (end < tokens.length && !begins(tokens, end)) end++;
    const stage = stageOf(tokens.slice(at, end));
    if (!stage) return null;
    found.push(stage);
    at = end;
  }
  return found;
}

/** Whether a stage begins here: `!=` and `!~` behind a name compare a label. */
function begins(tokens: readonly Token[], at: number): boolean {
  const token = tokens[at]!;
  if (token.kind !== 'mark') return false;
  if (token.text === '|' || token.text.startsWith('|')) return true;
  return LINE.has(token.text) && (tokens[at - 1]!.kind === 'string' || tokens[at - 1]!.text === ')' || isValue(tokens, at - 1));
}

/** Whether a word stands where a value does: behind an operator, or as the word of a stage. */
function isValue(tokens: readonly Token[], at: number): boolean {
  const before = tokens[at - 1];
  if (!before || tokens[at]!.kind !== 'word') return false;
  return OPS.has(before.text) || (before.text === '|' && (PARSERS.has(tokens[at]!.text) || tokens[at]!.text === 'decolorize'));
}

function stageOf(tokens: readonly Token[]): Stage | null {
  const [first, second] = tokens;
  const part = { from: first!.from, to: tokens.at(-1)!.to };
  if (first!.text !== '|') {
    const texts = tokens.filter((token) => token.kind === 'string').map((token) => token.value);
    return { ...part, kind: 'line', word: first!.text, predicates: [], texts };
  }
  if (!second || (second.kind !== 'word' && second.text !== '(')) return null;
  if (PARSERS.has(second.text) && tokens[2]?.text !== '=') return { ...part, kind: 'parser', word: second.text, predicates: [], texts: [] };
  if (OTHERS.has(second.text)) return { ...part, kind: 'other', word: second.text, predicates: [], texts: [] };
  return { ...part, kind: 'label', word: '', predicates: predicatesOf(tokens.slice(1)), texts: [] };
}

/** One predicate, or several of one name with `or` between them; else none. */
function predicatesOf(tokens: readonly Token[]): Predicate[] {
  const found: Predicate[] = [];
  for (let at = 0; at < tokens.length; at += 4) {
    const predicate = predicateOf(tokens.slice(at, at + 3));
    if (!predicate || predicate.name !== (found[0] ?? predicate).name) return [];
    found.push(predicate);
    if (tokens[at + 3] && tokens[at + 3]!.text !== 'or') return [];
  }
  return found;
}

/** Whether it asks for samples rather than lines. */
export function isMetricQuery(text: string): boolean {
  return /^[\s(]*(?:[a-z_]+\s*\(|(?:sum|avg|min|max|count|topk|bottomk|stddev|stdvar|sort|sort_desc)\s+(?:by|without)\b|-?\d)/.test(text);
}
