// Dark, light, or as the system is; and colours as a canvas needs them.
import { keep, kept, makeStore } from './store.ts';

export type Theme = 'system' | 'light' | 'dark';
export const THEMES: readonly Theme[] = ['system', 'light', 'dark'];

/** Also rises when the system changes: canvases are drawn again. */
export const themeStore = makeStore<{ theme: Theme }>({ theme: kept<Theme>('theme', 'system') });

export function setTheme(theme: Theme): void {
  keep('theme', theme);
  apply(theme);
  themeStore.set({ theme });
}

export function nextTheme(): void {
  const at = THEMES.indexOf(themeStore.get().theme);
  setTheme(THEMES[(at + 1) % THEMES.length]!);
}

function apply(theme: Theme): void {
  document.documentElement.dataset['theme'] = theme;
}

export function startTheme(): void {
  apply(themeStore.get().theme);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () =>
    themeStore.set({ theme: themeStore.get().theme }),
  );
}

/** A token such as `--level-error` as `rgb(…)`: a canvas cannot read `light-dark()`. */
export function colourOf(token: string, within: Element): string {
  const probe = document.createElement('span');
  probe.style.color = `var(${token})`;
  probe.hidden = true;
  within.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

export const LEVELS = ['critical', 'fatal', 'error', 'warn', 'info', 'debug', 'trace', 'unknown'] as const;

const ALIASES: Record<string, string> = {
  err: 'error', eror: 'error', e: 'error', crit: 'critical', emerg: 'critical', alert: 'critical', panic: 'fatal',
  warning: 'warn', w: 'warn', notice: 'info', information: 'info', inf: 'info', i: 'info', dbg: 'debug', trc: 'trace',
};

/** The name that has a colour for what a log calls its level. */
export function levelOf(value: string | undefined): string {
  const name = (value ?? '').toLowerCase();
  const found = ALIASES[name] ?? name;
  return (LEVELS as readonly string[]).includes(found) ? found : 'unknown';
}

/** Tokens for values that are no levels, in order of their size. */
export const SERIES = ['--series-1', '--series-2', '--series-3', '--series-4', '--series-5', '--series-6', '--series-7', '--series-8'] as const;
