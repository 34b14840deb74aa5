// The state of the server as the Status page reads it; all fields: docs/api.md.
import { getJson, getText, NARFI, type Call } from '../base/api.ts';

export interface Part {
  readonly part: string;
  readonly state: string; // "ok", or what is wrong
  readonly since_ns: number;
  readonly what: string;
  readonly step: string;
}

export interface Task {
  readonly task: string;
  readonly runs: number;
  readonly failures: number;
  readonly last_success_ns: number | null;
  readonly last_error: string | null;
}

export interface ServerState {
  readonly version: string;
  readonly uptime_s: number;
  readonly ready: boolean;
  readonly not_ready_because: string | null;
  readonly now_ns: number;
  readonly roles: readonly string[];
  readonly log_level: string;
  readonly parts: readonly Part[];
  readonly disk: { readonly path: string; readonly free_bytes: number; readonly total_bytes: number; readonly min_free_bytes: number };
  readonly journal: { readonly kind: string; readonly bytes: number; readonly trouble: string | null };
  readonly flush: { readonly unflushed_bytes: number; readonly lag_s: number; readonly failing: readonly unknown[] };
  readonly quarantine: { readonly count: number };
  readonly losses: { readonly count: number } | null;
  readonly upkeep: readonly Task[];
  readonly ingesters: number;
  readonly blocks: { readonly visible: number; readonly removed: number } | null;
  readonly levels: readonly Level[] | null;
  readonly canary: Record<string, unknown> | null;
  readonly last_backup: unknown;
}

export interface Level {
  readonly level: number;
  readonly blocks: number;
  readonly rows: number;
  readonly stored_bytes: number;
}

export interface OneQuery {
  readonly id: string;
  readonly tenants: readonly string[];
  readonly route: string;
  readonly query: string;
  readonly who: string;
  readonly began_ns: number;
  readonly seconds: number;
  readonly read_bytes: number;
}

export interface RunningQuery extends OneQuery {
  readonly state: string;
  readonly timeout_s: number;
  readonly memory_bytes: number;
}

export interface EndedQuery extends OneQuery {
  readonly peak_bytes: number;
  readonly error: string | null;
}

export interface QueriesAnswer {
  readonly queries: readonly RunningQuery[];
  readonly recent: readonly EndedQuery[];
}

export interface Limit {
  readonly name: string;
  readonly limit: unknown;
  readonly used: number | null;
  readonly unit: string;
  readonly setting: string;
}

export const readState = (signal: AbortSignal): Promise<ServerState> => getJson(`${NARFI}/status`, {}, { signal });

export const readQueries = (signal: AbortSignal): Promise<QueriesAnswer> =>
  getJson(`${NARFI}/queries`, {}, { signal });

export const readLimits = (signal: AbortSignal): Promise<{ limits?: Limit[]; process?: Limit[] }> =>
  getJson(`${NARFI}/limits`, {}, { signal });

/** Counters by name and labels, from the text that Prometheus reads. */
export async function readMetrics(call: Call): Promise<Metrics> {
  return new Metrics(await getText('metrics', {}, call), performance.now());
}

export class Metrics {
  private readonly found = new Map<string, { readonly labels: Record<string, string>; readonly value: number }[]>();

  constructor(text: string, readonly atMs: number) {
    for (const line of text.split('\n')) {
      const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
      if (!match) continue;
      const labels: Record<string, string> = {};
      for (const pair of (match[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) labels[pair[1]!] = pair[2]!;
      const list = this.found.get(match[1]!) ?? [];
      list.push({ labels, value: Number(match[3]) });
      this.found.set(match[1]!, list);
    }
  }

  /** The sum over all labels. */
  sum(name: string): number {
    return (this.found.get(name) ?? []).reduce((sum, one) => sum + one.value, 0);
  }

  /** The sum by one label. */
  by(name: string, label: string): Map<string, number> {
    const found = new Map<string, number>();
    for (const one of this.found.get(name) ?? []) {
      const value = one.labels[label] ?? '';
      found.set(value, (found.get(value) ?? 0) + one.value);
    }
    return found;
  }
}

/** How much a counter grew each second between two readings; null where there is only one, or it began anew. */
export function rate(now: Metrics | null, before: Metrics | null, name: string): number | null {
  if (!now || !before || now.atMs <= before.atMs) return null;
  const grown = now.sum(name) - before.sum(name);
  return grown < 0 ? null : (grown * 1000) / (now.atMs - before.atMs);
}
