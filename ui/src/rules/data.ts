// Rules and alerts as the ruler tells them to Prometheus' clients.
import { getJson } from '../base/api.ts';

export interface Alert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly state: 'inactive' | 'pending' | 'firing';
  readonly activeAt: string;
  readonly value: string;
}

export interface Rule {
  readonly type: 'alerting' | 'recording';
  readonly name: string;
  readonly query: string;
  readonly duration?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly alerts?: readonly Alert[];
  readonly state?: Alert['state'];
  readonly health: string;
  readonly lastError?: string;
  readonly evaluationTime: number;
  readonly lastEvaluation: string;
}

export interface Group {
  readonly name: string;
  readonly file: string;
  readonly interval: number;
  readonly evaluationTime: number;
  readonly lastEvaluation: string;
  readonly rules: readonly Rule[];
}

export async function readGroups(signal: AbortSignal): Promise<readonly Group[]> {
  const answer = await getJson<{ data: { groups: readonly Group[] } }>('prometheus/api/v1/rules', {}, { signal });
  return answer.data.groups;
}
