// English of the page that is more than one control's label; that of keys is in `key_texts.ts`.
export const NAME = 'Narfi';

export const T = {
  signIn: 'Sign in',
  signInHint: 'This server asks for a token. Whoever runs it makes one with',
  signInPlace: 'narfi_…',
  wrongToken: 'The token was not taken.',
  offline: 'The server does not answer. What is shown may be old.',
  starting: 'The server is starting',
  retryIn: (s: number): string => (s > 0 ? `Trying again in ${s} s` : 'Trying again…'),
  noSuchPage: 'There is no such page.',
  keys: 'Keys',
  keysOn: 'Keys of one letter act',
  close: 'Close',
  copied: 'Copied',
  notCopied: 'The browser did not let the page copy.',
  running: 'Running…',
  stop: 'Stop',
  pageBroke: 'This part of the page broke. The rest goes on.',
} as const;
