// What packs offer for the logs that are there: questions that can be asked as they are, and rules.
import { getJson, NARFI } from '../base/api.ts';
import type { Ns } from '../base/time.ts';
import { linkTo } from '../base/url.ts';

export interface Question {
  readonly title: string;
  readonly question: string;
  readonly query: string;
  readonly kind: 'logs' | 'series' | 'table';
  readonly unit: string;
}

export interface PackRule {
  readonly group: string;
  readonly name: string;
  readonly type: 'alerting' | 'recording';
  readonly query: string;
  /** Seconds. */
  readonly for: number;
  readonly summary: string;
  readonly runbook: string;
}

export interface Pack {
  readonly name: string;
  readonly title: string;
  /** Whether there are streams for it in the range. */
  readonly here: boolean;
  readonly questions: readonly Question[];
  readonly rules: readonly PackRule[];
}

interface PacksAnswer {
  readonly packs: readonly Pack[];
  readonly warnings: readonly { readonly text: string }[];
}

/** Those for which there are streams. */
export async function readPacks(start: Ns, end: Ns, signal: AbortSignal): Promise<readonly Pack[]> {
  const answer = await getJson<PacksAnswer>(`${NARFI}/packs`, { start, end }, { signal });
  return answer.packs.filter((one) => one.here);
}

/** Lines are shown by the Logs page, numbers by the Metrics page. */
export function askOf(one: Question): string {
  return linkTo(one.kind === 'logs' ? 'logs' : 'metrics', { q: one.query });
}
