// The first line of the page: where one can go, for whom, which time.
import { useState } from 'preact/hooks';
import { nextTheme, themeStore } from '../base/theme.ts';
import { signOut, type Session } from '../base/session.ts';
import { useStore } from '../base/store.ts';
import { NAME } from '../base/texts.ts';
import { go, linkTo, useUrl } from '../base/url.ts';
import { PAGES, type Page } from '../pages.ts';
import { RangePicker } from './range_picker.tsx';

interface Props {
  readonly session: Session | null;
  readonly page: Page | undefined;
  readonly openKeys: () => void;
}

const ICONS = { system: '◐', light: '☀', dark: '☾' } as const;

export function Header({ session, page, openKeys }: Props) {
  useUrl(); // links hold range and query
  const { theme } = useStore(themeStore);
  const isIn = session?.signed_in ?? false;
  const shown = isIn ? PAGES.filter((one) => isFor(one, session!)) : [];
  return (
    <header class="top">
      <a class="brand" href={linkTo('logs', { q: undefined })}>
        <img src="icon.svg" alt="" width="22" height="22" />
        <span>{NAME}</span>
      </a>
      <nav aria-label="Pages">
        {shown.map((one) => (
          <a href={linkTo(one.id)} aria-current={one === page ? 'page' : undefined}>{one.title}</a>
        ))}
      </nav>
      <div class="top-right">
        {isIn && <Tenant session={session!} />}
        {isIn && page?.hasRange && <RangePicker />}
        <button class="icon" title={`Colours: ${theme}`} aria-label={`Colours: ${theme}`} onClick={nextTheme}>
          {ICONS[theme]}
        </button>
        <button class="icon" title="Keys (?)" aria-label="Keys" onClick={openKeys}>?</button>
        {isIn && session!.auth && (
          <button class="button quiet" title={`Signed in as ${session!.name}`} onClick={() => void signOut()}>
            Sign out
          </button>
        )}
      </div>
    </header>
  );
}

function isFor(page: Page, session: Session): boolean {
  return (!page.needs || session.scopes.includes(page.needs)) && (!page.feature || session.features[page.feature]);
}

function Tenant({ session }: { session: Session }) {
  const url = useUrl();
  const [typed, setTyped] = useState<string | null>(null);
  const all = session.tenants.includes('*');
  if (session.tenancy === 'single' || (!all && session.tenants.length < 2)) return null;
  const chosen = url.params.get('tenant') ?? '';
  const choose = (name: string): void => go({ tenant: name || undefined });
  if (!all) {
    return (
      <label class="field">
        <span class="label">Tenant</span>
        <select value={chosen || session.tenants[0]} onChange={(event) => choose(event.currentTarget.value)}>
          {session.tenants.map((name) => <option value={name}>{name}</option>)}
        </select>
      </label>
    );
  }
  return (
    <form class="field" onSubmit={(event) => { event.preventDefault(); choose((typed ?? chosen).trim()); }}>
      <label class="label" for="tenant">Tenant</label>
      <input id="tenant" size={10} value={typed ?? chosen} placeholder="name"
        onInput={(event) => setTyped(event.currentTarget.value)} onBlur={() => typed !== null && choose(typed.trim())} />
    </form>
  );
}
