// What do the matching lines hold? Fields with exact counts of their values; a click filters by one.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { useAnswer } from '../base/answer.ts';
import { useKeys } from '../base/keys.ts';
import { levelOf } from '../base/theme.ts';
import { compact, count, share } from '../base/numbers.ts';
import { keep, kept } from '../base/store.ts';
import { visible, visibleText } from '../base/visible.tsx';
import { readFacets, type Ask, type Facet, type Field, type FieldsAnswer } from './data.ts';
import { Distribution } from './distribution.tsx';
import { withBounds, withValue, type How } from './edit.ts';
import { chosenValues } from './filters.ts';
import { isName, parseLogQuery } from './logql.ts';

interface Props {
  readonly ask: Ask | null;
  readonly runKey: string | null;
  readonly fields: FieldsAnswer | null;
  readonly isBusy: boolean;
  readonly setQuery: (query: string) => void;
  readonly columns: readonly string[];
  readonly toggleColumn: (name: string) => void;
}

const LIMIT = 8;
const MORE = 50;
const LEVEL_NAME = 'detected_level';
const OWN_COLUMNS = ['time', 'level', 'service', 'line'];
const NUMERIC = new Set(['integer', 'number', 'duration', 'bytes']);
const FIRST_OPEN = 5;
const FEW = 60;
/** Values of a field that is opened by itself. */
const CODES = /^(status|status_code|code|method|level|severity)$/;
/** Fields inside of lines that have few values wherever they are. */
const MANY = 30;
/** Numbers with more values are shown as a spread as well. */

export function Facets(props: Props) {
  const { fields, ask } = props;
  const [find, setFind] = useState('');
  const [opened, setOpened] = useState<Record<string, boolean>>(kept('facets', {}));
  const [wide, setWide] = useState<readonly string[]>([]);
  const box = useRef<HTMLInputElement>(null);
  useKeys({ findField: () => box.current?.focus() });
  const query = useMemo(() => parseLogQuery(ask?.query ?? ''), [ask?.query]);
  const first = useMemo(() => openAtFirst(fields?.fields ?? []), [fields]);
  const isChosen = (field: Field): boolean => Object.values(chosenValues(query, field.name)).some((values) => values.length);
  // What was clicked stays open, though it may have one value left.
  const isOpen = (field: Field): boolean => opened[field.name] ?? (first.includes(field.name) || isChosen(field));
  const wanted = find.trim().toLowerCase();
  const shown = (fields?.fields ?? []).filter((field) => !wanted || field.name.toLowerCase().includes(wanted));
  const asked = shown.filter((field) => isOpen(field) && !isNumeric(field)).map((field) => field.name).slice(0, 20);
  const kepts = asked.filter((name) => chosenValues(query, name).only.length > 0);
  const key = asked.length && props.runKey ? `${props.runKey} ${asked.join(',')} ${wide.join(',')}` : null;
  const answer = useAnswer(key, (signal) =>
    readFacets(ask!, { fields: asked.join(','), limit: wide.length ? MORE : LIMIT, keep: kepts }, signal));
  const open = (field: Field): void => {
    const next = { ...opened, [field.name]: !isOpen(field) };
    setOpened(next);
    keep('facets', next);
  };
  const filter = (field: Field, value: string, how: How): void => {
    const next = ask && withValue(ask.query, field, value, how);
    if (next) props.setQuery(next);
  };
  const groups = groupsOf(shown);
  return (
    <aside class="facets" aria-label="Fields">
      <div class="facets-find">
        <input ref={box} type="search" placeholder="Find a field (f)" aria-label="Find a field" value={find}
          onInput={(event) => setFind(event.currentTarget.value)}
          onKeyDown={(event) => event.key === 'Escape' && (setFind(''), event.currentTarget.blur())} />
      </div>
      <div class="facets-list" data-stale={props.isBusy || answer.isBusy ? '1' : undefined}>
        {fields && shown.length === 0 && <p class="hint">{wanted ? 'No such field in these lines.' : 'No fields.'}</p>}
        {answer.error && <p class="hint told-error">{visible(answer.error.text)}</p>}
        {groups.map(([title, some]) => (
          <section key={title}>
            <h2>{title}</h2>
            {some.map((field) => (
              <FieldBox key={field.source + field.name} field={field} isOpen={isOpen(field)} open={() => open(field)}
                facet={answer.value?.facets.find((one) => one.name === field.name) ?? null}
                chosen={chosenValues(query, field.name)} filter={(value, how) => filter(field, value, how)}
                ask={ask} runKey={props.runKey} isColumn={props.columns.includes(field.name) && !OWN_COLUMNS.includes(field.name)}
                toggleColumn={() => props.toggleColumn(field.name)} rows={fields?.rows ?? 0}
                isWide={wide.includes(field.name)} widen={() => setWide([...wide, field.name])}
                brush={(low, high) => {
                  const next = ask && withBounds(ask.query, field, low, high);
                  if (next) props.setQuery(next);
                }} />
            ))}
          </section>
        ))}
      </div>
    </aside>
  );
}

export function isNumeric(field: Field): boolean {
  if (field.type === 'integer' && !field.unit) return false; // codes, ports, ids: their values first
  return NUMERIC.has(field.type) && (field.distinct === null || field.distinct > 12);
}

/** The level, and labels of few values, widest first. */
function openAtFirst(fields: readonly Field[]): string[] {
  const few = fields.filter((one) => !isNumeric(one) && one.distinct !== null && one.distinct > 1 && one.distinct <= FEW);
  const level = few.filter((one) => one.name === 'detected_level').map((one) => one.name);
  const labels = few.filter((one) => one.source === 'label').map((one) => one.name);
  const codes = fields.filter((one) => one.source === 'column' && CODES.test(one.name) && one.share > 0.05).map((one) => one.name);
  const others = few.filter((one) => one.source !== 'label' && one.share > 0.2 && one.name !== 'detected_level').map((one) => one.name);
  return [...level, ...labels.slice(0, 3), ...codes, ...others].slice(0, FIRST_OPEN);
}

function groupsOf(fields: readonly Field[]): [string, Field[]][] {
  const isLevel = (one: Field): boolean => one.name === LEVEL_NAME;
  const from = (...sources: Field['source'][]): Field[] => fields.filter((one) => sources.includes(one.source) && !isLevel(one));
  const groups: [string, Field[]][] = [
    ['Level', fields.filter(isLevel)], ['Labels', from('label')], ['Metadata', from('metadata')], ['In the lines', from('column', 'parsed')],
  ];
  return groups.filter(([, some]) => some.length);
}

const TYPES: Record<Field['type'], string> = { text: 'abc', integer: '123', number: '1.2', boolean: 't/f', duration: 'ms', bytes: 'B', time: 'time', ip: 'ip' };

interface BoxProps {
  readonly field: Field;
  readonly facet: Facet | null;
  readonly isOpen: boolean;
  readonly open: () => void;
  readonly chosen: { only: string[]; not: string[] };
  readonly filter: (value: string, how: How) => void;
  readonly ask: Ask | null;
  readonly runKey: string | null;
  readonly isColumn: boolean;
  readonly toggleColumn: () => void;
  readonly rows: number;
  readonly isWide: boolean;
  readonly widen: () => void;
  readonly brush: (low: string | null, high: string | null) => void;
}

function FieldBox(props: BoxProps) {
  const { field, facet, isOpen, rows } = props;
  return (
    <div class="facet" data-open={isOpen ? '1' : undefined}>
      <div class="facet-head">
        <button class="facet-name" aria-expanded={isOpen} onClick={props.open} title={`${visibleText(field.name)}: ${field.type}, ${count(field.rows)} lines`}>
          <span class="facet-type" aria-hidden="true">{TYPES[field.type]}</span>
          <span class="cut">{visible(field.name)}</span>
          <span class="soft num">{field.distinct !== null ? compact(field.distinct) : ''}{field.distinct !== null && !field.exact ? '±' : ''}</span>
        </button>
        <button class="icon tiny" aria-pressed={props.isColumn} onClick={props.toggleColumn}
          title={props.isColumn ? 'Take out of the table' : 'A column of the table'} aria-label={`${visibleText(field.name)} as a column`}>⊞</button>
      </div>
      {isOpen && (isNumeric(field) ? (
        <Distribution ask={props.ask} runKey={props.runKey} field={field} brush={props.brush} />
      ) : facet ? (
        <>
          <Values {...props} facet={facet} rows={rows} />
          {field.type === 'integer' && facet.distinct > MANY && <Distribution ask={props.ask} runKey={props.runKey} field={field} brush={props.brush} />}
        </>
      ) : (
        <p class="hint facet-wait">…</p>
      ))}
    </div>
  );
}

function Values({ field, facet, chosen, filter, rows, isWide, widen }: BoxProps & { facet: Facet; rows: number }) {
  const known = new Set(facet.top.map((one) => one.value));
  const away = [...chosen.only, ...chosen.not].filter((value) => !known.has(value));
  const most = Math.max(1, ...facet.top.map((one) => one.count));
  const usable = isName(field.name);
  return (
    <ul class="values">
      {[...facet.top, ...away.map((value) => ({ value, count: 0 }))].map((one) => (
        <ValueRow key={one.value} name={field.name} value={one.value} count={one.count} rows={rows} most={most} usable={usable}
          state={chosen.only.includes(one.value) ? 'only' : chosen.not.includes(one.value) ? 'not' : ''} filter={filter} />
      ))}
      <li class="values-foot hint">
        {facet.other > 0 && <>{count(Math.max(0, facet.distinct - facet.top.length))} more values, {count(facet.other)} lines </>}
        {facet.missing > 0 && <span>· {compact(facet.missing)} without </span>}
        {!facet.exact && <span title={`Counts may be off by ${count(facet.error)}`}>· about </span>}
        {facet.other > 0 && !isWide && <button class="link" onClick={widen}>show {MORE}</button>}
      </li>
    </ul>
  );
}

interface ValueProps {
  readonly name: string;
  readonly value: string;
  readonly count: number;
  readonly rows: number;
  readonly most: number;
  readonly usable: boolean;
  readonly state: '' | 'only' | 'not';
  readonly filter: (value: string, how: How) => void;
}

function ValueRow({ name, value, count: n, rows, most, usable, state, filter }: ValueProps) {
  const row = useRef<HTMLLIElement>(null);
  const level = name === 'detected_level' || name === 'level' ? value : undefined;
  useEffect(() => {
    const element = row.current!;
    const heard = (event: KeyboardEvent): void => {
      if (!['x', '-', 'o'].includes(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      filter(value, event.key === 'x' ? 'only' : event.key === '-' ? 'not' : 'or');
    };
    element.addEventListener('keydown', heard);
    return () => element.removeEventListener('keydown', heard);
  });
  return (
    <li ref={row} class="value" data-state={state || undefined}>
      <button class="value-main" disabled={!usable} aria-pressed={state !== ''}
        title="Click: only this. Alt: not this. Shift: this one too. Keys: x, −, o"
        onClick={(event) => filter(value, event.altKey ? 'not' : event.shiftKey ? 'or' : 'only')}>
        <i class="value-bar" style={{ width: `${(n / most) * 100}%`, ...(level && { background: `var(--fill-${levelOf(level)})` }) }} />
        <span class="cut">{state === 'not' && '≠ '}{value === '' ? <em>empty</em> : visible(value.slice(0, 300))}</span>
        <span class="num value-count">{compact(n)}</span>
        <span class="num soft value-share">{share(n, rows)}</span>
      </button>
      <button class="icon tiny" disabled={!usable} title="Not this (alt-click)" aria-label={`Not ${visibleText(value)}`} onClick={() => filter(value, 'not')}>≠</button>
    </li>
  );
}
