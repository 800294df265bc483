// A map that keeps only what was set most recently, so that a log of any length takes a limited amount of memory. It
// forgets in generations: looking for the oldest of one big Map takes the longer the more were deleted before it.

/** Entries of a generation, of which there are two: more than a relay has processes, or a fleet has addresses at once. */
const mostByDefault = 20_000;

export class Recent<Value> {
  #young = new Map<string, Value>();
  #old = new Map<string, Value>();
  readonly #most: number;
  readonly #forget: (value: Value) => void;

  /** At least the last `most` entries are kept, and at most twice as many; `forget` gets the others. */
  constructor(most = mostByDefault, forget: (value: Value) => void = () => undefined) {
    this.#most = most;
    this.#forget = forget;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  has(key: string): boolean {
    return this.#young.has(key) || this.#old.has(key);
  }

  get(key: string): Value | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  set(key: string, value: Value): void {
    this.#old.delete(key);
    this.#young.set(key, value);
    if (this.#young.size >= this.#most) this.#age();
  }

  delete(key: string): boolean {
    return this.#young.delete(key) || this.#old.delete(key);
  }

  /** Forgets all. */
  clear(): void {
    this.#age();
    this.#age();
  }

  #age(): void {
    const gone = this.#old;
    this.#old = this.#young;
    this.#young = new Map();
    for (const value of gone.values()) this.#forget(value);
  }
}
