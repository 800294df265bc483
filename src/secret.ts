// A secret that cannot be printed by accident: every way of turning it into text gives `[secret]`.

import { inspect } from 'node:util';

/** Bytes that must reach no log, error, argv, environment or plaintext file. `reveal*` is the only way out. */
export class Secret {
  readonly #bytes: Uint8Array;

  constructor(value: string | Uint8Array) {
    this.#bytes = typeof value === 'string' ? new TextEncoder().encode(value) : Uint8Array.from(value);
  }

  /** The secret's own bytes (a copy). */
  revealBytes(): Uint8Array<ArrayBuffer> {
    return Uint8Array.from(this.#bytes);
  }

  /** The secret as UTF-8 text. */
  revealText(): string {
    return new TextDecoder().decode(this.#bytes);
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [inspect.custom](): string {
    return '[secret]';
  }
}
