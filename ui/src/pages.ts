// Which pages are there? One line each; `ui/README.md` says how one is added.
import type { ComponentType } from 'preact';
import LogsPage from './logs/page.tsx';

export interface Page {
  /** In the hash: `#/logs`. */
  readonly id: string;
  readonly title: string;
  /** Whether the range picker is of use. */
  readonly hasRange: boolean;
  /** A scope without which there is nothing to see; the nav leaves the page out. */
  readonly needs?: string;
  /** A feature of the server without which there is nothing to see. */
  readonly feature?: 'sql' | 'ruler' | 'canary';
  readonly load: () => Promise<{ readonly default: ComponentType }>;
}

export const PAGES: readonly Page[] = [
  { id: 'logs', title: 'Logs', hasRange: true, needs: 'read', load: async () => ({ default: LogsPage }) },
  { id: 'patterns', title: 'Patterns', hasRange: true, needs: 'read', load: () => import('./patterns/page.tsx') },
  { id: 'metrics', title: 'Metrics', hasRange: true, needs: 'read', load: () => import('./metrics/page.tsx') },
  { id: 'live', title: 'Live', hasRange: false, needs: 'read', load: () => import('./live/page.tsx') },
  { id: 'explain', title: 'Explain', hasRange: true, needs: 'read', load: () => import('./explain/page.tsx') },
  { id: 'sql', title: 'SQL', hasRange: true, needs: 'read', feature: 'sql', load: () => import('./sql/page.tsx') },
  { id: 'deletes', title: 'Deletes', hasRange: true, needs: 'delete', load: () => import('./deletes/page.tsx') },
  { id: 'rules', title: 'Rules', hasRange: false, needs: 'read', feature: 'ruler', load: () => import('./rules/page.tsx') },
  { id: 'status', title: 'Status', hasRange: false, needs: 'read', load: () => import('./status/page.tsx') },
];

export const HOME = 'logs';
