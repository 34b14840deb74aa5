// Why is there no line? No such stream, none in this range, or filters that let none through.
import { useAnswer } from '../base/answer.ts';
import { getJson, LOKI } from '../base/api.ts';
import { count } from '../base/numbers.ts';
import { setRange } from '../base/range.ts';
import { formatAgo, formatTime, nowNs, type Ns, type Zone } from '../base/time.ts';
import { visible } from '../base/visible.tsx';
import { readLines, type Ask } from './data.ts';
import { parseLogQuery } from './logql.ts';

interface Why {
  readonly kind: 'nostream' | 'noline' | 'norange' | 'filtered';
  readonly near: readonly string[];
  readonly newest: Ns | null;
  readonly inRange: number;
}

const LONG_AGO = 29n * 86_400n * 1_000_000_000n;

/** Looks for the reason: no such stream, none in this range, or a stage that dropped all. */
async function whyEmpty(ask: Ask, signal: AbortSignal): Promise<Why> {
  const query = parseLogQuery(ask.query);
  const selector = query ? query.text.slice(query.selector.from, query.selector.to) : ask.query;
  const stats = async (start: Ns, end: Ns): Promise<number> =>
    (await getJson<{ entries: number }>(`${LOKI}/index/stats`, { query: selector, start, end }, { signal })).entries;
  const inRange = await stats(ask.start, ask.end);
  if (inRange > 0) return { kind: 'filtered', near: [], newest: null, inRange };
  const before = ask.end - LONG_AGO;
  if ((await stats(before, nowNs())) > 0) {
    let newest: Ns | null = null;
    for await (const messages of readLines({ query: selector, start: before, end: nowNs() }, { limit: 1 }, signal)) {
      for (const message of messages) if (message.entries?.[0]) newest = BigInt(message.entries[0][1]);
    }
    return { kind: 'norange', near: [], newest, inRange };
  }
  const names = (await getJson<{ data?: string[] }>(`${LOKI}/labels`, { start: before, end: nowNs() }, { signal })).data ?? [];
  const unknown = query?.matchers.filter((one) => !names.includes(one.name)) ?? [];
  const near: string[] = unknown.map((one) => `${one.name} is no label here; there are ${names.slice(0, 12).join(', ')}`);
  for (const one of query?.matchers ?? []) {
    if (unknown.includes(one) || one.op !== '=') continue;
    const values = (await getJson<{ data?: string[] }>(`${LOKI}/label/${encodeURIComponent(one.name)}/values`, { start: before, end: nowNs() }, { signal })).data ?? [];
    if (!values.includes(one.value)) near.push(`${one.name} has no value ${JSON.stringify(one.value)}; nearest are ${nearest(one.value, values).join(', ')}`);
  }
  return { kind: 'nostream', near, newest: null, inRange };
}

/** Those that share most pairs of letters with what was typed. */
function nearest(text: string, values: readonly string[]): string[] {
  const pairs = (one: string): Set<string> => new Set(Array.from({ length: Math.max(0, one.length - 1) }, (_, at) => one.slice(at, at + 2).toLowerCase()));
  const own = pairs(text);
  const score = (one: string): number => [...pairs(one)].filter((pair) => own.has(pair)).length / Math.max(1, one.length);
  return [...values].sort((a, b) => score(b) - score(a)).slice(0, 5);
}

export function Empty({ ask, zone, drop }: { ask: Ask; zone: Zone; drop: () => void }) {
  const why = useAnswer(`${ask.query} ${ask.start} ${ask.end}`, (signal) => whyEmpty(ask, signal));
  const found = why.value;
  return (
    <div class="empty" role="status">
      <h2>No line</h2>
      {!found && !why.error && <p class="soft">Looking for the reason…</p>}
      {why.error && <p class="soft">No line of this range fits the query.</p>}
      {found?.kind === 'filtered' && (
        <>
          <p>The streams have {count(found.inRange)} lines in this range; the filters let none of them through.</p>
          <button class="button" onClick={drop}>Without the last filter</button>
        </>
      )}
      {found?.kind === 'norange' && found.newest !== null && (
        <>
          <p>These streams have no line between {formatTime(ask.start, zone)} and {formatTime(ask.end, zone)}. Their newest line is of {formatTime(found.newest, zone)}, {formatAgo(found.newest, nowNs())}.</p>
          <button class="button primary" onClick={() => setRange(found.newest! - (ask.end - ask.start), found.newest! + 1_000_000n)}>Go there</button>
        </>
      )}
      {found?.kind === 'nostream' && (
        <>
          <p>No stream fits the selector.</p>
          {found.near.length > 0 && <ul>{found.near.map((text) => <li>{visible(text)}</li>)}</ul>}
        </>
      )}
    </div>
  );
}
