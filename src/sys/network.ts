// What this machine's network knows: its own name and addresses, and the addresses of a name. Nobody waits long for an
// answer, and a missing one is not an error.

import { Resolver } from 'node:dns/promises';
import { networkInterfaces } from 'node:os';
import { systemCode } from '../errors.js';
import type { Sys } from './sys.js';

/** Milliseconds; one attempt. */
const patience = 1500;

/** This machine's name with its domain if it knows one, otherwise its plain name. */
export async function readOwnName({ run, machine }: Pick<Sys, 'run' | 'machine'>): Promise<string> {
  try {
    const { status, stdout } = await run('hostname', ['-f'], {});
    return status === 0 ? stdout.toString().trim() : machine;
  } catch {
    return machine;
  }
}

/** Its addresses that others can reach, at least from its own network. */
export function readOwnAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((all = []) =>
    all.flatMap(({ address, internal }) => (internal ? [] : [address])),
  );
}

/** The addresses that DNS has for a name; none if the name does not exist, undefined if nobody answers. */
export async function resolveAddresses(name: string): Promise<readonly string[] | undefined> {
  const resolver = new Resolver({ timeout: patience, tries: 1 });
  const [four, six] = await Promise.all([orNone(resolver.resolve4(name)), orNone(resolver.resolve6(name))]);
  return four === undefined && six === undefined ? undefined : [...(four ?? []), ...(six ?? [])];
}

async function orNone(answer: Promise<readonly string[]>): Promise<readonly string[] | undefined> {
  try {
    return await answer;
  } catch (error) {
    return ['ENOTFOUND', 'ENODATA'].includes(systemCode(error) ?? '') ? [] : undefined;
  }
}
