// Writes man/relaycerts.1 and src/cli/relaycerts.help, which --help prints, from the command tree. With --check it
// writes nothing and fails if those on disk differ.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { loader } from './bundle.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
/** When the text was last edited here: a page has a date, which must not depend on the machine that made it. */
const edited = '2026-11-28';

const environment = [
  ['RELAYCERTS_SETTINGS', 'The settings file, if --settings names none.'],
  ['NO_COLOR', 'If it is set and not empty, no colour.'],
  ['RELAYCERTS_DEBUG', 'If it is 1, errors include a stack trace.'],
  ['XDG_CONFIG_HOME', 'The operator key is in relaycerts/ below it; ~/.config if it is not set.'],
  ['NODE_DISABLE_COMPILE_CACHE', 'If it is 1, nothing is kept in ~/.cache/relaycerts.'],
];
const exitCodes = [
  ['0', 'done'],
  ['1', 'failed'],
  ['2', 'the command line or the settings are wrong; nothing was touched'],
  ['3', 'a check found something'],
  ['70', 'a bug in relaycerts'],
  ['130', 'interrupted'],
];
const files = [
  ['settings.json', 'The settings. Everything that is made is beside them.'],
  ['certs/', 'Keys and certificates; in certs/ca/ the CA and the ledger.'],
  ['hosts/', 'A folder for each host, with exactly the files that go there.'],
  ['~/.DOMAIN-relaycerts-passphrase.gpg', "The passphrase of the CA's key, OpenPGP-encrypted."],
  ['~/.config/relaycerts/operator-key.asc', 'The key that opens it, if the settings name no recipient.'],
];

/** Prose wrapped at spaces, at most 80 columns wide. */
const fill = (text) =>
  escape(text)
    .replaceAll(/(?=.{80})(.{1,79}) /gu, '$1\n')
    .replaceAll(/^(?=[.'])/gmu, '\\&');

/** Text that roff prints unchanged: no escape, no request at the start of a line. */
function escape(text) {
  return text
    .replaceAll('\\', String.raw`\e`)
    .replaceAll('-', String.raw`\-`)
    .replaceAll("'", String.raw`\(aq`)
    .replaceAll('"', String.raw`\(dq`)
    .replaceAll('^', String.raw`\(ha`)
    .replaceAll('~', String.raw`\(ti`)
    .replaceAll('`', String.raw`\(ga`)
    .replaceAll(/^\./gmu, String.raw`\&.`);
}

const list = (entries) => entries.flatMap(([word, text]) => ['.TP', `\\fB${escape(word)}\\fR`, fill(text)]);

const sentence = (text) => {
  const whole = `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
  return /[.!?]$/u.test(whole) ? whole : `${whole}.`;
};

function optionsOf(command) {
  const help = command.createHelp();
  return help
    .visibleOptions(command)
    .filter(({ long }) => command.parent === null || long !== '--help')
    .map((option) => [option.flags, sentence(help.optionDescription(option))]);
}

function examplesOf(command) {
  const lines = command.exampleLines;
  return lines.length === 0 ? [] : ['.PP', 'Examples:', '.PP', '.nf', '.in 2n', ...lines.map(escape), '.in', '.fi'];
}

/** A command by all its words; for a group, its subcommands one after the other. */
function sectionsOf(command, before) {
  const words = [...before, command.name()];
  if (command.commands.length > 0) {
    const head = [`.SS ${escape(words.join(' '))}`, fill(sentence(command.description())), ...examplesOf(command)];
    return [...head, ...command.commands.flatMap((one) => sectionsOf(one, words))];
  }
  return [
    `.SS ${escape(words.join(' '))}`,
    `\\fBrelaycerts ${escape(words.join(' '))}\\fR ${escape(command.usage())}`,
    '.PP',
    fill(sentence(command.description())),
    ...list([
      ...command.registeredArguments.map((one) => [one.name(), sentence(one.description)]),
      ...optionsOf(command),
    ]),
    ...examplesOf(command),
  ];
}

const folder = await mkdtemp(join(tmpdir(), 'relaycerts-man-'));
try {
  const outfile = join(folder, 'tree.mjs');
  await build({
    stdin: { contents: "export { buildProgram } from './src/cli/program.js';", resolveDir: root },
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    mainFields: ['module', 'main'],
    loader,
    banner: {
      js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);",
    },
    logLevel: 'error',
  });
  const { buildProgram } = await import(pathToFileURL(outfile).href);
  let help = '';
  const outside = {
    env: {},
    stdout: { write: (text) => (help += text) },
    stderr: { write: () => undefined },
    cwd: () => '/',
  };
  const program = buildProgram(outside, () => undefined);
  program.outputHelp();
  const page = [
    '.\\" Made by scripts/write-man.mjs from the command tree; edit src/cli instead.',
    `.TH RELAYCERTS 1 ${edited} "relaycerts ${program.version()}" "User Commands"`,
    '.SH NAME',
    'relaycerts \\- a private CA and mutual TLS for mail relaying',
    '.SH SYNOPSIS',
    '\\fBrelaycerts\\fR [\\fIoptions\\fR] \\fIcommand\\fR [\\fIarguments\\fR]',
    '.SH DESCRIPTION',
    fill(program.description()),
    ...examplesOf(program),
    '.SH OPTIONS',
    'They can come before or after the command.',
    ...list(optionsOf(program)),
    '.SH COMMANDS',
    ...program.commands.flatMap((command) => sectionsOf(command, [])),
    '.SH ENVIRONMENT',
    ...list(environment),
    '.SH FILES',
    ...list(files),
    '.SH EXIT STATUS',
    ...list(exitCodes),
    '.SH SEE ALSO',
    '.BR postconf (5),',
    '.BR openssl (1),',
    '.BR gpg (1)',
    '',
  ].join('\n');
  for (const [path, text] of [
    ['man/relaycerts.1', page],
    ['src/cli/relaycerts.help', help],
  ]) {
    if (!process.argv.includes('--check')) {
      await writeFile(join(root, path), text);
    } else if ((await readFile(join(root, path), 'utf8').catch(() => '')) !== text) {
      console.error(`${path} is not what the command tree says: run node scripts/write-man.mjs`);
      process.exitCode = 1;
    }
  }
} finally {
  await rm(folder, { recursive: true });
}
