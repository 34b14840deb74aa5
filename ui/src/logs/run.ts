// One run of a query: its lines as they come, more of them by cursor, what it cost, what is missing.
// A new run ends the one before; its rows stay in sight until the first ones of the new run are there.
import { ApiError, asApiError, BrokenError, isAbort } from '../base/api.ts';
import { noteError } from '../base/session.ts';
import { makeStore, type Store } from '../base/store.ts';
import {
  readLines, splitMeta, streamText,
  type Ask, type Entry, type LinesMessage, type Progress, type Stats, type Stream, type Warning,
} from './data.ts';

export const PAGE = 1_000;
/** Lines asked for at once. */
export const MOST = 50_000;
/** Lines held: the list is then at its end, and says how to see the others. */
export const AHEAD = 300;
/** Lines left below the last one seen when the next ones are asked for. */

export type Phase = 'idle' | 'running' | 'more' | 'done' | 'stopped' | 'error';
export type Direction = 'backward' | 'forward';

export interface RunState {
  readonly ask: Ask | null;
  readonly direction: Direction;
  readonly phase: Phase;
  readonly entries: readonly Entry[];
  /** Of which run the entries are: rows of another one are others. */
  readonly rowsOf: number;
  readonly cursor: string | null;
  readonly complete: boolean;
  readonly progress: Progress | null;
  readonly stats: Stats | null;
  readonly warnings: readonly Warning[];
  readonly error: ApiError | null;
  readonly firstMs: number | null;
  readonly ms: number | null;
}

const NOTHING: RunState = {
  ask: null, direction: 'backward', phase: 'idle', entries: [], rowsOf: 0, cursor: null, complete: true,
  progress: null, stats: null, warnings: [], error: null, firstMs: null, ms: null,
};

export class LogRun {
  readonly state: Store<RunState> = makeStore(NOTHING);
  private abort = new AbortController();
  private streams = new Map<number, Stream>();
  private held: Entry[] = [];
  /** So many of them came by pages that are whole. */
  private whole = 0;
  private number = 0;

  /** Ask anew. */
  async start(ask: Ask, direction: Direction): Promise<void> {
    this.abort.abort();
    this.abort = new AbortController();
    this.number += 1;
    this.held = [];
    this.whole = 0;
    this.streams = new Map();
    this.patch({
      ask, direction, phase: 'running', cursor: null, progress: null, stats: null, warnings: [], error: null,
      firstMs: null, ms: null,
    });
    await this.read(ask, direction, null);
  }

  /** After an error: the page that failed is asked for again; the lines of those before it stay. */
  async goOn(): Promise<void> {
    const { ask, direction, phase, cursor } = this.state.get();
    if (!ask || phase !== 'error') return;
    if (!this.whole) return this.start(ask, direction);
    this.abort.abort();
    this.abort = new AbortController();
    this.held.length = this.whole;
    this.patch({ phase: 'more', error: null });
    await this.read(ask, direction, cursor);
  }

  /** The next page, where there is one and nothing is on its way. */
  async more(): Promise<void> {
    const { ask, direction, cursor, phase } = this.state.get();
    if (!ask || !cursor || phase !== 'done' || this.held.length >= MOST) return;
    this.patch({ phase: 'more' });
    await this.read(ask, direction, cursor);
  }

  stop(): void {
    this.abort.abort();
    const { phase } = this.state.get();
    if (phase === 'running' || phase === 'more') this.patch({ phase: 'stopped', ...this.rows() });
  }

  clear(): void {
    this.abort.abort();
    this.held = [];
    this.state.set(NOTHING);
  }

  private async read(ask: Ask, direction: Direction, cursor: string | null): Promise<void> {
    const began = performance.now();
    const { signal } = this.abort;
    try {
      const more = { limit: PAGE, direction, cursor: cursor ?? undefined };
      for await (const messages of readLines(ask, more, signal)) {
        if (signal.aborted) return;
        this.take(messages, began);
      }
      if (!signal.aborted && ['running', 'more'].includes(this.state.get().phase)) {
        throw new BrokenError();
      }
    } catch (error) {
      if (signal.aborted || isAbort(error)) return;
      noteError(error);
      this.patch({ phase: 'error', error: asApiError(error), ...(this.held.length ? this.rows() : {}) });
    }
  }

  private take(messages: readonly LinesMessage[], began: number): void {
    let change: Partial<RunState> = {};
    const before = this.held.length;
    for (const message of messages) {
      if (message.stream !== undefined && message.labels) {
        this.streams.set(message.stream, { labels: message.labels, text: streamText(message.labels) });
      } else if (message.entries) {
        for (const [stream, ts, line, raw, order, length] of message.entries) {
          const { meta, parsed } = splitMeta(raw);
          this.held.push({ ts: BigInt(ts), line, stream: this.streams.get(stream)!, meta, parsed, order, length });
        }
      } else if (message.progress) change = { ...change, progress: message.progress };
      else if (message.warning) {
        change = { ...change, warnings: [...(change.warnings ?? this.state.get().warnings), message.warning] };
      } else if (message.end) {
        const { cursor, complete, stats } = message.end;
        this.whole = this.held.length;
        change = { ...change, ...this.rows(), phase: 'done', cursor, complete, stats, ms: performance.now() - began };
      } else if (message.error) {
        const error = new ApiError(message.error.status, message.error.text);
        change = { ...change, phase: 'error', error, ...(this.held.length ? this.rows() : {}) };
      }
    }
    if (this.held.length > before) {
      const firstMs = this.state.get().firstMs ?? performance.now() - began;
      change = { ...change, ...this.rows(), firstMs };
    }
    if (Object.keys(change).length) this.patch(change);
  }

  /** A new list over the same entries, so that who looks at it sees that it changed. */
  private rows(): Pick<RunState, 'entries' | 'rowsOf'> {
    return { entries: this.held.slice(0, MOST), rowsOf: this.number };
  }

  private patch(change: Partial<RunState>): void {
    this.state.set({ ...this.state.get(), ...change });
  }
}
