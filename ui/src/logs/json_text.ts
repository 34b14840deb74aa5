// JSON of a line, laid out without reading its numbers: those beyond 2^53 stay as they are written.
export type Kind = 'key' | 'string' | 'number' | 'word' | 'mark' | 'space';

export interface Piece {
  readonly kind: Kind;
  readonly text: string;
}

const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[{}[\],:]|\s+/y;
const MOST = 200_000;
/** Characters that are looked at. */

/** Pieces in order with indentation; null: not an object or a list. */
export function layOut(line: string): Piece[] | null {
  const text = line.trim();
  if (!/^[{[]/.test(text) || text.length > MOST) return null;
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  const found: Piece[] = [];
  let depth = 0;
  const breakLine = (): void => void found.push({ kind: 'space', text: '\n' + '  '.repeat(depth) });
  for (let at = 0; at < text.length; ) {
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(text)?.[0];
    if (token === undefined) return null;
    at += token.length;
    if (!token.trim()) continue;
    const rest = /^\s*([}\]:])?/.exec(text.slice(at, at + 200))?.[1];
    if (token === '{' || token === '[') {
      found.push({ kind: 'mark', text: token });
      if (rest === '}' || rest === ']') continue;
      depth++;
      breakLine();
    } else if (token === '}' || token === ']') {
      if (!['{', '['].includes(found.at(-1)?.text ?? '')) {
        depth--;
        breakLine();
      }
      found.push({ kind: 'mark', text: token });
    } else if (token === ',') {
      found.push({ kind: 'mark', text: token });
      breakLine();
    } else if (token === ':') found.push({ kind: 'mark', text: ': ' });
    else if (token.startsWith('"')) found.push({ kind: rest === ':' ? 'key' : 'string', text: token });
    else found.push({ kind: /[\d-]/.test(token[0]!) ? 'number' : 'word', text: token });
  }
  return found;
}

/** Fields as `| json` names them: `request.method` is `request_method`; lists are left out. */
export function jsonFields(line: string): Record<string, string> | null {
  const text = line.trim();
  if (!text.startsWith('{') || text.length > MOST) return null;
  const found: Record<string, string> = Object.create(null) as Record<string, string>;
  const quotedNumbers = text.replace(/("(?:[^"\\]|\\.)*")|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/g, (_, s: string, n: string) => s ?? `"\\u0000${n}"`);
  try {
    flatten(JSON.parse(quotedNumbers), '', found);
  } catch {
    return null;
  }
  return found;
}

function flatten(value: unknown, name: string, into: Record<string, string>): void {
  if (Object.keys(into).length > 2_000) return;
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
    for (const [key, one] of Object.entries(value)) {
      const own = key.replace(/[^a-zA-Z0-9_]/g, '_').replace(/^(\d)/, '_$1');
      flatten(one, name ? `${name}_${own}` : own, into);
    }
  } else if (typeof value === 'string') into[name] = value.replace(/^\u0000/, '');
  else if (typeof value === 'boolean') into[name] = String(value);
}

/** Fields as `| logfmt` names them; null where the line has fewer than two. */
export function logfmtFields(line: string): Record<string, string> | null {
  const found: Record<string, string> = Object.create(null) as Record<string, string>;
  let pairs = 0;
  for (const hit of line.slice(0, MOST).matchAll(/(?:^|\s)([a-zA-Z_][\w.-]*)=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*))/g)) {
    found[hit[1]!.replace(/[^a-zA-Z0-9_]/g, '_')] ??= hit[2]?.replace(/\\(.)/g, '$1') ?? hit[3] ?? '';
    pairs++;
  }
  return pairs >= 2 ? found : null;
}
