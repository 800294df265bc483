// Parameters and services of Postfix as lines of shell that set them with postconf: the same for the printed steps and
// for the scripts that containers run when they start.

import { shellWord } from '../shell-word.js';
import type { Parameter, Service } from './postfix.js';
import { continued } from './step.js';

/** A line of main.cf. */
export function mainCfLine({ name, value }: Parameter): string {
  return `${name} = ${value}`.trimEnd();
}

export type ParameterText = (parameter: Parameter) => string;

/** Each service is replaced, with its overrides. */
export function setServices(services: readonly Service[]): readonly string[] {
  return services.flatMap(({ id, line, overrides }) => [
    `postconf -M ${shellWord(`${id}=${line}`)}`,
    ...(overrides.length === 0
      ? []
      : setParameters('postconf -P', overrides, ({ name, value }) => `${id}/${name}=${value}`)),
  ]);
}

/**
 * One command for all; a parameter that older releases do not know is set separately, and only if this release knows
 * it.
 */
export function setParameters(
  command: string,
  parameters: readonly Parameter[],
  text: ParameterText,
): readonly string[] {
  const always = parameters.filter(({ since }) => since === undefined).map((one) => shellWord(text(one)));
  const later = parameters.flatMap((one) => {
    if (one.since === undefined) return [];
    const test = `test -z "$(postconf -d ${one.name} 2>/dev/null)"`;
    return [`# Postfix ${one.since.join('.')} and later`, `${test} || ${command} ${shellWord(text(one))}`];
  });
  return [...continued([command, ...always]), ...later];
}
