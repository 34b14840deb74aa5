// Who looks at the page, and how is the server? Asked first, and again whenever an answer says so.
import { ApiError, asApiError, BrokenError, BASE, getJson, NARFI, request, setTenant } from './api.ts';
import { makeStore } from './store.ts';

export interface Session {
  readonly auth: boolean;
  readonly signed_in: boolean;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly tenancy: 'single' | 'header';
  readonly tenants: readonly string[];
  readonly restricted: boolean;
  readonly version: string;
  readonly features: { readonly sql: boolean; readonly ruler: boolean; readonly canary: boolean };
}

/** Nothing is known yet, the form is shown, or somebody is in. */
export const sessionStore = makeStore<Session | null>(null);

export type Health =
  | { readonly state: 'well' }
  | { readonly state: 'starting'; readonly text: string }
  | { readonly state: 'offline'; readonly retryAtMs: number };

export const healthStore = makeStore<Health>({ state: 'well' });
/** Rises when the server is back, so that pages ask again. */
export const recoveredStore = makeStore(0);

export async function loadSession(): Promise<void> {
  try {
    sessionStore.set(await getJson<Session>(`${NARFI}/session`));
  } catch (error) {
    noteError(error);
  }
}

export async function signIn(token: string): Promise<void> {
  const answer = await request(`${NARFI}/session`, {}, { method: 'POST', json: { token } });
  sessionStore.set((await answer.json()) as Session);
}

export async function signOut(): Promise<void> {
  await request(`${NARFI}/session`, {}, { method: 'DELETE' });
  setTenant('');
  await loadSession();
}

export function can(scope: string): boolean {
  return sessionStore.get()?.scopes.includes(scope) ?? false;
}

/** What an error of any call says of the session or of the server; pages show the rest. */
export function noteError(error: unknown): ApiError {
  const found = asApiError(error);
  if (found.status === 401) {
    const before = sessionStore.get();
    if (before?.signed_in) void loadSession();
  } else if (found.status === 0 && !(found instanceof BrokenError)) watch('offline');
  else if (found.status === 503 && /^not ready/.test(found.text)) watch('starting', found.text);
  return found;
}

let watching = false;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

/** Ask `/ready` with longer and longer waits until it is well again. */
function watch(state: 'offline' | 'starting', text = ''): void {
  if (watching) return;
  watching = true;
  let waitMs = FIRST_WAIT_MS;
  const tell = (now: 'offline' | 'starting', told: string): void =>
    healthStore.set(now === 'starting' ? { state: now, text: told } : { state: now, retryAtMs: Date.now() + waitMs });
  const look = async (): Promise<void> => {
    try {
      const answer = await fetch(`${BASE}ready`);
      if (answer.ok) {
        watching = false;
        healthStore.set({ state: 'well' });
        await loadSession();
        recoveredStore.set(recoveredStore.get() + 1);
        return;
      }
      waitMs = FIRST_WAIT_MS;
      tell('starting', (await answer.text()).trim());
    } catch {
      waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
      tell('offline', '');
    }
    setTimeout(() => void look(), waitMs);
  };
  tell(state, text);
  setTimeout(() => void look(), waitMs);
}
