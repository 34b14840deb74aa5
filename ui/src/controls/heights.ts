// Where does each row of a long list begin? Most have one height; a tree of sums holds the others.

export class Heights {
  private tree: Float64Array;
  private own = new Map<number, number>();

  constructor(
    public count: number,
    readonly usual: number,
  ) {
    this.tree = new Float64Array(sizeFor(count));
  }

  /** More rows at the end; those that were measured stay so. */
  grow(count: number): void {
    this.count = count;
    if (sizeFor(count) <= this.tree.length) return;
    const measured = this.own;
    this.tree = new Float64Array(sizeFor(count));
    this.own = new Map();
    for (const [row, height] of measured) this.set(row, height);
  }

  /** Rows are others now. */
  clear(count: number): void {
    this.count = count;
    this.tree = new Float64Array(sizeFor(count));
    this.own.clear();
  }

  of(row: number): number {
    return this.own.get(row) ?? this.usual;
  }

  /** Whether that changed anything. */
  set(row: number, height: number): boolean {
    const change = height - this.of(row);
    if (Math.abs(change) < 0.5) return false;
    if (height === this.usual) this.own.delete(row);
    else this.own.set(row, height);
    for (let at = row + 1; at < this.tree.length; at += at & -at) this.tree[at]! += change;
    return true;
  }

  /** Pixels above a row. */
  top(row: number): number {
    let sum = row * this.usual;
    for (let at = row; at > 0; at -= at & -at) sum += this.tree[at]!;
    return sum;
  }

  total(): number {
    return this.top(this.count);
  }

  /** The row at so many pixels from the top. */
  rowAt(pixels: number): number {
    if (!this.own.size) return clamp(Math.floor(pixels / this.usual), this.count);
    let row = 0;
    let left = pixels;
    for (let step = this.tree.length >> 1; step > 0; step >>= 1) {
      const next = row + step;
      if (next > this.count) continue;
      const size = step * this.usual + this.tree[next]!;
      if (size <= left) {
        row = next;
        left -= size;
      }
    }
    return clamp(row, this.count);
  }
}

/** A power of two, so that rows are found by halving. */
function sizeFor(count: number): number {
  let size = 1024;
  while (size <= count + 1) size *= 2;
  return size;
}

function clamp(row: number, count: number): number {
  return Math.max(0, Math.min(row, count - 1));
}
