// A secret that cannot be printed by accident: any conversion to text gives `[secret]`. It does not erase itself: a
// garbage-collected language cannot promise that no copy is left in memory.

import { inspect } from 'node:util';

/**
 * Bytes that must not reach a log, an error, argv, the environment or a plaintext file. Only `reveal*` returns them.
 */
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

  /** True if both hold the same bytes. */
  equals(other: Secret): boolean {
    return Buffer.from(this.#bytes).equals(other.#bytes);
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
