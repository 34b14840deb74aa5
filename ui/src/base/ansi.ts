// ANSI sequences of a line: colours and bold become classes, every other sequence is dropped.
export interface Piece {
  readonly text: string;
  readonly look: string;
}

// CSI … final, OSC … BEL or ST, other strings … ST, and escapes of two or three characters.
const SEQUENCE =
  /(?:\u001b\[|\u009b)([0-?]*)[ -/]*([@-~])|(?:\u001b\]|\u009d)[^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c|$)|\u001b[PX^_][^\u001b\u009c]*(?:\u001b\\|\u009c|$)|\u001b[ -/]*[0-~]/g;
const NAMES = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'];

export function hasAnsi(text: string): boolean {
  return text.includes('\u001b') || text.includes('\u009b') || text.includes('\u009d');
}

/** The text without its sequences. */
export function stripAnsi(text: string): string {
  return hasAnsi(text) ? text.replace(SEQUENCE, '') : text;
}

export function ansiPieces(text: string): Piece[] {
  const found: Piece[] = [];
  let [from, bold, colour] = [0, false, ''];
  const add = (to: number): void => {
    if (to > from) found.push({ text: text.slice(from, to), look: `${bold ? 'a-bold ' : ''}${colour && `a-${colour}`}`.trim() });
  };
  for (const sequence of text.matchAll(SEQUENCE)) {
    add(sequence.index);
    from = sequence.index + sequence[0].length;
    if (sequence[2] !== 'm') continue;
    const codes = (sequence[1] || '0').split(/[;:]/).map(Number);
    for (let at = 0; at < codes.length; at++) {
      const code = codes[at]!;
      if (code === 0) [bold, colour] = [false, ''];
      else if (code === 1) bold = true;
      else if (code === 22) bold = false;
      else if (code === 39) colour = '';
      else if (code >= 30 && code <= 37) colour = NAMES[code - 30]!;
      else if (code >= 90 && code <= 97) colour = NAMES[code - 90]!;
      else if (code === 38 || code === 48) {
        const chosen = codes[at + 1] === 5 ? codes[at + 2] : undefined;
        if (code === 38 && chosen !== undefined && chosen < 16) colour = NAMES[chosen % 8]!;
        at += codes[at + 1] === 5 ? 2 : 4;
      }
    }
  }
  add(text.length);
  return found;
}
