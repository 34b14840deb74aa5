// How is the server asked? One place for addresses, tenant, errors, streams and cancelling.

/** What the server said in place of an answer. */
export class ApiError extends Error {
  constructor(
    readonly status: number, // 0: it could not be reached
    readonly text: string,
    readonly requestId = '',
    readonly retryAfterS: number | undefined = undefined,
  ) {
    super(text);
  }
}

export type Value = string | number | bigint | boolean | readonly string[] | undefined;
export type Params = Readonly<Record<string, Value>>;

export interface Call {
  readonly signal?: AbortSignal | undefined;
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** A body of JSON; parameters then stay in the address. */
  readonly json?: unknown;
  /** A body as it is, with its type. */
  readonly body?: { readonly text: string; readonly type: string };
}

/** `/` or the prefix at which a proxy mounts the server. */
export const BASE = location.pathname.replace(/ui\/?[^/]*$/, '');
export const LOKI = 'loki/api/v1';
export const NARFI = 'narfi/api/v1';
const MAX_ADDRESS = 6_000;

let tenant = '';

export function setTenant(name: string): void {
  tenant = name;
}

export function tenantName(): string {
  return tenant;
}

export function encode(params: Params): string {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value === undefined || value === '') continue;
    if (Array.isArray(value)) for (const one of value as readonly string[]) found.append(name, one);
    else found.append(name, String(value));
  }
  return found.toString();
}

/** The whole address, as a person would give it to curl. */
export function addressOf(path: string, params: Params = {}): string {
  const query = encode(params);
  return `${location.origin}${BASE}${path}${query ? '?' + query : ''}`;
}

/** The answer as soon as its head is there; raises `ApiError`, or `AbortError` when it was cancelled. */
export async function request(path: string, params: Params = {}, call: Call = {}): Promise<Response> {
  const headers: Record<string, string> = { 'X-Narfi-Request': '1' };
  if (tenant) headers['X-Scope-OrgID'] = tenant;
  let address = `${BASE}${path}`;
  let method = call.method ?? 'GET';
  let body: string | undefined;
  const query = encode(params);
  if (call.json !== undefined) {
    body = JSON.stringify(call.json);
    headers['Content-Type'] = 'application/json';
  } else if (call.body) {
    body = call.body.text;
    headers['Content-Type'] = call.body.type;
  } else if (method === 'GET' && query.length > MAX_ADDRESS) {
    method = 'POST'; // query endpoints take a form too
    body = query;
    headers['Content-Type'] = 'application/x-www-form-urlencoded';
  }
  if (query && (body === undefined || call.json !== undefined || call.body)) address += `?${query}`;
  let answer: Response;
  try {
    answer = await fetch(address, { method, headers, body: body ?? null, signal: call.signal ?? null, credentials: 'same-origin' });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError(0, 'The server does not answer.');
  }
  if (!answer.ok) throw await errorOf(answer);
  return answer;
}

export async function getJson<T>(path: string, params: Params = {}, call: Call = {}): Promise<T> {
  const answer = await request(path, params, call);
  return (await answer.json()) as T;
}

export async function getText(path: string, params: Params = {}, call: Call = {}): Promise<string> {
  return (await request(path, params, call)).text();
}

/** An answer that ended before it was whole: the server answered, and what came of it is right. */
export class BrokenError extends ApiError {
  constructor() {
    super(0, 'The connection broke before the answer was whole. What came before is here.');
  }
}

/**
 * The lines of an NDJSON answer as they come, in lists of those that came together. Raises `BrokenError`
 * where it ends within a line, or not by the server's will.
 */
export async function* getLines<T>(path: string, params: Params = {}, call: Call = {}): AsyncGenerator<T[]> {
  const answer = await request(path, params, call);
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (rest + value).split('\n');
      rest = lines.pop()!;
      const found = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as T);
      if (found.length) yield found;
    }
    if (rest.trim()) throw new BrokenError();
  } catch (error) {
    throw error instanceof TypeError ? new BrokenError() : error;
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

async function errorOf(answer: Response): Promise<ApiError> {
  const raw = (await answer.text().catch(() => '')).trim();
  const waits = Number(answer.headers.get('Retry-After'));
  return new ApiError(answer.status, told(raw) || `${answer.status} ${answer.statusText}`,
    answer.headers.get('X-Request-Id') ?? '', waits > 0 ? waits : undefined);
}

/** The sentence of an error that came as JSON. */
function told(text: string): string {
  if (!text.startsWith('{')) return text;
  try {
    const found = JSON.parse(text) as { message?: unknown; error?: unknown };
    return String(found.message ?? found.error ?? text);
  } catch {
    return text;
  }
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError(-1, error instanceof Error ? error.message : String(error));
}
