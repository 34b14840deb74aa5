// Where are we? The hash holds all of the view, `#/logs?q=…&from=now-6h`, so that a link is the view.
import { makeStore, useStore } from './store.ts';

export interface Url {
  readonly page: string;
  readonly params: ReadonlyMap<string, string>;
}

export type Patch = Readonly<Record<string, string | undefined>>;

/** Parameters that go along when another page is opened. */
export const SHARED = ['from', 'to', 'tz', 'tenant', 'q'] as const;

export function parseHash(hash: string): Url {
  const text = hash.replace(/^#\/?/, '');
  const [page = '', query = ''] = cut(text, '?');
  const params = new Map<string, string>();
  for (const pair of query.split('&')) {
    if (!pair) continue;
    const [name = '', value = ''] = cut(pair, '=');
    params.set(decoded(name), decoded(value));
  }
  return { page: decoded(page), params };
}

export function formatHash(url: Url): string {
  const pairs = [...url.params]
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${encoded(name)}=${encoded(value)}`);
  return `#/${url.page}${pairs.length ? '?' + pairs.join('&') : ''}`;
}

/** Readable where it may be: braces and quotes have to be escaped, most other marks not. */
function encoded(text: string): string {
  return encodeURIComponent(text).replace(/%(20|3A|2C|2F|3D|7C|40|24|3B)/g, (mark) =>
    mark === '%20' ? '+' : mark === '%3D' ? '=' : decodeURIComponent(mark),
  );
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replace(/\+/g, ' '));
  } catch {
    return text;
  }
}

function cut(text: string, mark: string): [string, string?] {
  const at = text.indexOf(mark);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

export const urlStore = makeStore<Url>(parseHash(location.hash));

const read = (): void => urlStore.set(parseHash(location.hash));
addEventListener('popstate', read);
addEventListener('hashchange', read);

export function useUrl(): Url {
  return useStore(urlStore);
}

/** Another view of this page; `undefined` and empty values leave the URL. */
export function go(patch: Patch, how: { page?: string; replace?: boolean } = {}): void {
  const now = urlStore.get();
  const next = patched(now, patch, how.page ?? now.page);
  const hash = formatHash(next);
  if (hash === formatHash(now)) return;
  history[how.replace ? 'replaceState' : 'pushState'](null, '', hash);
  urlStore.set(next);
}

export function patched(url: Url, patch: Patch, page = url.page): Url {
  const params = new Map(page === url.page ? url.params : shared(url));
  for (const [name, value] of Object.entries(patch)) {
    if (value === undefined || value === '') params.delete(name);
    else params.set(name, value);
  }
  return { page, params };
}

/** The address of another page with the same range, zone, tenant and query. */
export function linkTo(page: string, patch: Patch = {}): string {
  return formatHash(patched(urlStore.get(), patch, page));
}

function shared(url: Url): [string, string][] {
  return [...url.params].filter(([name]) => (SHARED as readonly string[]).includes(name));
}
