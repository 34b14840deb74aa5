// Lines as they come, over a WebSocket that comes back where it left off. The last 10,000 are held.
import { BASE, LOKI, encode, tenantName } from '../base/api.ts';
import { noteError } from '../base/session.ts';
import { ApiError } from '../base/api.ts';
import { makeStore, type Store } from '../base/store.ts';
import type { Ns } from '../base/time.ts';

export const MOST = 10_000;
const RATE_S = 5;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

export interface LiveEntry {
  readonly id: number;
  readonly ts: Ns;
  readonly line: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly meta: Readonly<Record<string, string>>;
}

export interface TailState {
  readonly state: 'idle' | 'connecting' | 'open' | 'waiting' | 'ended';
  readonly entries: readonly LiveEntry[];
  /** Came while it was paused, and are not shown yet. */
  readonly held: number;
  readonly isPaused: boolean;
  /** That the server, or the ring while it was paused, let go. */
  readonly dropped: number;
  readonly perSecond: number;
  /** Lines that came since it began. */
  readonly received: number;
  /** What the server is without, in its words. */
  readonly warnings: readonly string[];
  readonly error: ApiError | null;
}

type Meta = Readonly<Record<string, string>>;
interface Frame {
  readonly streams?: readonly {
    readonly stream: Meta;
    readonly values: readonly [time: string, line: string, meta?: Meta][];
  }[] | null;
  readonly dropped?: number;
  readonly position?: string;
  readonly warnings?: readonly { readonly text: string }[];
}

const NOTHING: TailState = {
  state: 'idle', entries: [], held: 0, isPaused: false, dropped: 0, perSecond: 0, received: 0, warnings: [], error: null,
};

export class Tail {
  readonly state: Store<TailState> = makeStore(NOTHING);
  private socket: WebSocket | null = null;
  private query = '';
  private position = '';
  private shown: LiveEntry[] = [];
  private waiting: LiveEntry[] = [];
  private number = 0;
  private waitMs = FIRST_WAIT_MS;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private readonly arrivals: { atMs: number; lines: number }[] = [];
  private readonly clock = setInterval(() => this.measure(), 1000);
  private isDrawn = true;
  /** Lines of the newest time: a server that does not know what was sent goes on with that time. */
  private newest: { ts: Ns; lines: Set<string> } = { ts: -1n, lines: new Set() };

  start(query: string): void {
    this.stop();
    this.query = query;
    this.position = '';
    this.newest = { ts: -1n, lines: new Set() };
    this.shown = [];
    this.waiting = [];
    this.waitMs = FIRST_WAIT_MS;
    this.state.set({ ...NOTHING, state: 'connecting' });
    this.connect();
  }

  stop(): void {
    clearTimeout(this.retry);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    if (this.state.get().state !== 'idle') this.patch({ state: 'ended', perSecond: 0 });
  }

  end(): void {
    this.stop();
    clearInterval(this.clock);
  }

  pause(isPaused: boolean): void {
    if (isPaused === this.state.get().isPaused) return;
    if (!isPaused) {
      this.shown = [...this.shown, ...this.waiting].slice(-MOST);
      this.waiting = [];
    }
    this.patch({ isPaused, held: this.waiting.length, entries: this.shown });
  }

  clear(): void {
    this.shown = [];
    this.waiting = [];
    this.patch({ entries: [], held: 0, dropped: 0, received: 0 });
  }

  private connect(): void {
    const params = { query: this.query, tenant: tenantName(), from: this.position, flags: 'categorize-labels', limit: 100, grouped: 1 };
    const origin = location.origin.replace(/^http/, 'ws');
    const socket = new WebSocket(`${origin}${BASE}${LOKI}/tail?${encode(params)}`);
    this.socket = socket;
    let wasOpen = false;
    socket.onopen = () => {
      wasOpen = true;
      this.waitMs = FIRST_WAIT_MS;
      this.patch({ state: 'open', error: null });
    };
    socket.onmessage = (event: MessageEvent<string>) => this.take(JSON.parse(event.data) as Frame);
    socket.onclose = (event) => {
      if (this.socket !== socket) return;
      this.socket = null;
      const error = event.reason ? new ApiError(400, event.reason) : this.state.get().error;
      this.patch({ state: 'waiting', error, perSecond: 0 });
      if (!wasOpen && !event.reason) void this.ask();
      this.retry = setTimeout(() => this.connect(), this.waitMs);
      this.waitMs = Math.min(this.waitMs * 2, LONGEST_WAIT_MS);
    };
  }

  /** A browser does not tell why a socket was refused: a plain question does. */
  private async ask(): Promise<void> {
    try {
      const answer = await fetch(`${BASE}${LOKI}/format_query?${encode({ query: this.query })}`);
      if (!answer.ok) this.patch({ error: new ApiError(answer.status, (await answer.text()).trim()) });
    } catch {
      noteError(new ApiError(0, 'The server does not answer.'));
    }
  }

  private take(frame: Frame): void {
    let found: LiveEntry[] = [];
    for (const { stream, values } of frame.streams ?? []) {
      for (const [ts, line, more] of values) {
        found.push({ id: ++this.number, ts: BigInt(ts), line, labels: stream, meta: more ?? {} });
      }
    }
    found = this.fresh(found);
    if (frame.position) this.position = frame.position;
    if (frame.warnings?.length) this.patch({ warnings: frame.warnings.map((one) => one.text) });
    found.sort((a, b) => (a.ts < b.ts ? -1 : a.ts > b.ts ? 1 : a.id - b.id));
    this.arrivals.push({ atMs: Date.now(), lines: found.length });
    const { isPaused } = this.state.get();
    const received = this.state.get().received + found.length;
    let dropped = this.state.get().dropped + (frame.dropped ?? 0);
    if (isPaused) {
      this.waiting.push(...found);
      if (this.waiting.length > MOST) {
        dropped += this.waiting.length - MOST;
        this.waiting = this.waiting.slice(-MOST);
      }
      this.patch({ held: this.waiting.length, dropped, received });
      return;
    }
    this.shown.push(...found);
    if (this.shown.length > MOST + 500) this.shown = this.shown.slice(-MOST);
    this.patch({ dropped, received });
    this.draw();
  }

  /** Without lines of the newest time that came before. */
  private fresh(found: LiveEntry[]): LiveEntry[] {
    const name = (one: LiveEntry): string => JSON.stringify([one.labels, one.line]);
    const known = this.newest;
    const fresh = found.filter((one) => one.ts !== known.ts || !known.lines.has(name(one)));
    const last = fresh.reduce((most, one) => (one.ts > most ? one.ts : most), known.ts);
    const lines = last === known.ts ? known.lines : new Set<string>();
    for (const one of fresh) if (one.ts === last) lines.add(name(one));
    this.newest = { ts: last, lines };
    return fresh;
  }

  /** At most once a frame, however many messages come. */
  private draw(): void {
    if (!this.isDrawn) return;
    this.isDrawn = false;
    requestAnimationFrame(() => {
      this.isDrawn = true;
      this.patch({ entries: this.shown.slice(-MOST) });
    });
  }

  private measure(): void {
    const since = Date.now() - RATE_S * 1000;
    while (this.arrivals.length && this.arrivals[0]!.atMs < since) this.arrivals.shift();
    const perSecond = this.arrivals.reduce((sum, one) => sum + one.lines, 0) / RATE_S;
    if (perSecond !== this.state.get().perSecond) this.patch({ perSecond });
  }

  private patch(change: Partial<TailState>): void {
    this.state.set({ ...this.state.get(), ...change });
  }
}
