// The frame of all pages: names of pages, tenant, range, theme, keys; what is wrong with the server.
import { Component, type ComponentChildren, type ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { lazy } from './base/lazy.tsx';
import { setTenant } from './base/api.ts';
import { useKeys } from './base/keys.ts';
import { shiftRange, zoomRange } from './base/range.ts';
import { sessionStore, type Session } from './base/session.ts';
import { useStore } from './base/store.ts';
import { NAME, T } from './base/texts.ts';
import { useUrl } from './base/url.ts';
import { Banner } from './controls/banner.tsx';
import { Header } from './controls/header.tsx';
import { Toasts } from './controls/toast.tsx';
import { HOME, PAGES, type Page } from './pages.ts';

const KeySheet = lazy(async () => (await import('./logs/later.ts')).KeySheet);
const SignIn = lazy(async () => (await import('./logs/later.ts')).SignIn);

export function App() {
  const url = useUrl();
  const session = useStore(sessionStore);
  const [helps, setHelps] = useState(false);
  const id = url.page || HOME;
  const page = PAGES.find((one) => one.id === id);
  setTenant(tenantOf(session, url.params.get('tenant')));
  useEffect(() => {
    document.title = page ? `${page.title} · ${NAME}` : NAME;
  }, [page]);
  useKeys({
    help: () => setHelps((is) => !is),
    ...(page?.hasRange && {
      earlier: () => shiftRange(-1),
      later: () => shiftRange(1),
      zoomIn: () => zoomRange(0.5),
      zoomOut: () => zoomRange(2),
    }),
    ...(helps && { close: () => setHelps(false) }),
  });
  return (
    <>
      <a class="skip" href="#main" onClick={skipToMain}>Skip to the page</a>
      <Header session={session} page={page} openKeys={() => setHelps(true)} />
      <Banner />
      <main id="main" tabIndex={-1}>
        {session && !session.signed_in ? (
          <SignIn />
        ) : session && page ? (
          <Guarded key={page.id + (url.params.get('tenant') ?? '')}>
            <Loaded page={page} />
          </Guarded>
        ) : session ? (
          <p class="empty">{T.noSuchPage}</p>
        ) : null}
      </main>
      {helps && <KeySheet close={() => setHelps(false)} />}
      <Toasts />
    </>
  );
}

function skipToMain(event: Event): void {
  event.preventDefault(); // the hash is the page's own
  document.getElementById('main')?.focus();
}

function tenantOf(session: Session | null, asked: string | undefined): string {
  if (!session || session.tenancy === 'single') return '';
  return asked || session.tenants.find((name) => name !== '*') || '';
}

const loaded = new Map<string, ComponentType>();

function Loaded({ page }: { page: Page }) {
  const [, redraw] = useState(0);
  const [failed, setFailed] = useState('');
  const found = loaded.get(page.id);
  useEffect(() => {
    if (found) return;
    page.load().then(
      (module) => {
        loaded.set(page.id, module.default);
        redraw((n) => n + 1);
      },
      (error: unknown) => setFailed(String(error)),
    );
  }, [page]);
  const Found = found;
  return Found ? <Found /> : failed ? <p class="empty">{failed}</p> : null;
}

/** A fault of a page is told in its place; the frame stays. */
export class Guarded extends Component<{ children?: ComponentChildren }, { error: string }> {
  override state = { error: '' };

  static override getDerivedStateFromError(error: unknown): { error: string } {
    return { error: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
  }

  override componentDidCatch(error: unknown): void {
    console.error(error);
  }

  override render() {
    if (!this.state.error) return this.props.children;
    return (
      <div class="empty" role="alert">
        <p>{T.pageBroke}</p>
        <pre>{this.state.error}</pre>
        <button class="button" onClick={() => this.setState({ error: '' })}>Try again</button>
      </div>
    );
  }
}
