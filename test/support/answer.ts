// Validates what commands print with --json against docs/json.schema.json. project.ts and terminal.ts check every
// output of every test, so a field that is not in the schema fails where it is first printed.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';

export const schemaFile = resolve(import.meta.dirname, '../../docs/json.schema.json');

let loaded: Ajv | undefined;

/** The schema of one command, or of all. */
function validatorOf(command: string | undefined): ValidateFunction {
  loaded ??= new Ajv({ allowUnionTypes: true }).addSchema(
    JSON.parse(readFileSync(schemaFile, 'utf8')) as object,
    'all',
  );
  const validate = loaded.getSchema(command === undefined ? 'all' : `all#/definitions/${encodeURIComponent(command)}`);
  if (validate === undefined) throw new Error(`docs/json.schema.json has no ${command ?? 'schema'}`);
  return validate as ValidateFunction;
}

/** The output, if the schema allows it. @throws Error - anything else */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- a test says which fields it looks at
export function answerOf<T>(stdout: string): T {
  const value: unknown = JSON.parse(stdout);
  if (validatorOf(undefined)(value)) return value as T;
  const { command = 'error' } = value as { readonly command?: string };
  const one = validatorOf(command);
  one(value);
  throw new Error(`not as docs/json.schema.json says: ${JSON.stringify(one.errors)}\n${stdout}`);
}

/** The rows of `status --json`. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the same
export function certificatesOf<Row>({ stdout }: { readonly stdout: string }): readonly Row[] {
  return answerOf<{ readonly certificates: readonly Row[] }>(stdout).certificates;
}

/** Fails if a command line with --json printed anything but one object that the schema allows. */
export function checkAnswer(args: readonly string[], stdout: string): void {
  if (args.includes('--json') && !args.some((word) => ['--help', '--version'].includes(word))) answerOf(stdout);
}
