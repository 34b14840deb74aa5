import './style/index.ts';
import { render } from 'preact';
import { App } from './app.tsx';
import { startKeys } from './base/keys.ts';
import { loadSession } from './base/session.ts';
import { startTheme } from './base/theme.ts';
import { PAGES, HOME } from './pages.ts';
import { urlStore } from './base/url.ts';

/** Styles that first results do not need. */
function addRest(): void {
  const link = document.createElement('link');
  link.rel = 'stylesheet';
  link.href = document.querySelector<HTMLMetaElement>('meta[name=narfi-rest]')!.content;
  document.head.append(link);
}

addRest();
startTheme();
startKeys();
void loadSession();
void PAGES.find((page) => page.id === (urlStore.get().page || HOME))?.load();
render(<App />, document.getElementById('app')!);
