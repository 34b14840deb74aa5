// Which key does what? Pages say what they can do by name; this says by which key, and when none acts.
import { useLayoutEffect } from 'preact/hooks';
import { keep, kept, makeStore } from './store.ts';

/** Names of actions and their keys; texts are in `key_texts.ts`. */
export const KEYS = {
  query: ['/'],
  findField: ['f'],
  range: ['t'],
  earlier: ['['],
  later: [']'],
  zoomIn: ['+', '='],
  zoomOut: ['_'],
  next: ['j', 'ArrowDown'],
  previous: ['k', 'ArrowUp'],
  pageDown: ['PageDown'],
  pageUp: ['PageUp'],
  first: ['g', 'Home'],
  last: ['G', 'End'],
  open: ['Enter'],
  close: ['Escape'],
  nextHit: ['n'],
  previousHit: ['N'],
  nextError: ['e'],
  previousError: ['E'],
  nextWarning: ['w'],
  previousWarning: ['W'],
  context: ['c'],
  only: ['x'],
  not: ['-'],
  copyLine: ['y'],
  copyLink: ['Y'],
  live: ['l'],
  pause: [' '],
  wrap: ['z'],
  viewLines: ['1'],
  viewTable: ['2'],
  viewJson: ['3'],
  download: ['d'],
  search: ['s'],
  help: ['?'],
} as const satisfies Record<string, readonly string[]>;

export type Action = keyof typeof KEYS;
export type Handlers = Partial<Record<Action, (event: KeyboardEvent) => void | false>>;

/** WCAG 2.1.4: keys of one letter can be switched off. */
export const keysOnStore = makeStore<boolean>(kept('keys', true));

export function setKeysOn(on: boolean): void {
  keep('keys', on);
  keysOnStore.set(on);
}

const stack: Handlers[] = [];

/** These actions while the component is there; the last one to come is asked first. */
export function useKeys(handlers: Handlers): void {
  useLayoutEffect(() => {
    stack.push(handlers);
    return () => {
      const at = stack.indexOf(handlers);
      if (at >= 0) stack.splice(at, 1);
    };
  });
}

export function startKeys(): void {
  addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const target = event.composedPath()[0];
    if (target instanceof Element && isText(target)) return;
    const isPlain = event.key.length === 1;
    if (isPlain && !keysOnStore.get()) return;
    if ((event.key === 'Enter' || event.key === ' ') && target instanceof Element && isControl(target)) return;
    for (const [action, keys] of Object.entries(KEYS) as [Action, readonly string[]][]) {
      if (!keys.includes(event.key)) continue;
      for (const handlers of [...stack].reverse()) {
        const handler = handlers[action];
        if (handler && handler(event) !== false) {
          event.preventDefault();
          return;
        }
      }
    }
  });
}

function isText(element: Element): boolean {
  const tag = element.tagName;
  if (tag === 'TEXTAREA' || tag === 'SELECT' || (element as HTMLElement).isContentEditable) return true;
  return tag === 'INPUT' && !['checkbox', 'radio', 'button', 'range'].includes((element as HTMLInputElement).type);
}

function isControl(element: Element): boolean {
  return ['BUTTON', 'A', 'SUMMARY', 'INPUT'].includes(element.tagName) || element.getAttribute('role') === 'button';
}

/** How a key is written on the sheet. */
export function keyName(key: string): string {
  const names: Record<string, string> = {
    ArrowDown: '↓', ArrowUp: '↑', Escape: 'Esc', ' ': 'Space', PageDown: 'PgDn', PageUp: 'PgUp',
  };
  return names[key] ?? key;
}
