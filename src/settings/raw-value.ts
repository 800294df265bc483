// A settings file's JSON value before it is checked: its members, and how a place or a path in it is written. What is
// right in it is for file.ts and contradictions.ts.

import { resolve } from 'node:path';
import type { Path } from './kinds.js';

/** `smtpClients[2].hostname` */
export function formatPath(path: Path): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${String(part)}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '');
}

/** A path as written in the settings: `~/` is the home folder, anything else is relative to the settings' folder. */
export function resolvePath(path: string, folder: string, home: string): string {
  return path.startsWith('~/') ? resolve(home, path.slice(2)) : resolve(folder, path);
}

/** An own member of a JSON object, or undefined. */
export function member(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? Object.getOwnPropertyDescriptor(value, key)?.value : undefined;
}

/** The items of a JSON list; none of anything else. */
export function items(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
