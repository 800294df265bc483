// A host's output comes from outside: whatever it is, judging it gives findings and throws nothing, every finding is
// one line for a terminal, and every command of its cures is one line in which each value is one word of sh.

import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { judgeFrom } from '../../src/check/from-home.js';
import { judgeConfiguration } from '../../src/check/host-configuration.js';
import { parseFacts } from '../../src/check/host-facts.js';
import { hasNoFiles, judgeFiles } from '../../src/check/host-files.js';
import { judgeProgram } from '../../src/check/host-program.js';
import { judgeState } from '../../src/check/host-state.js';
import { quotePath } from '../../src/errors.js';
import type { Finding } from '../../src/findings/finding.js';
import { cureLines } from '../../src/render/cure.js';
import { homeProgramOf } from '../../src/render/home-programs.js';
import { threeHosts as settings } from '../support/inventory.js';
import * as fc from '../support/fast-check.js';

const [relay] = settings.smtpdServers;
const [client] = settings.smtpClients;
const names = [
  'clock',
  'folder',
  'file',
  'chain',
  'table',
  'postfix',
  'errors',
  'running',
  'maps',
  'values',
  'disk',
  'wanted',
];
const others = [
  'found',
  'service',
  'inherited',
  'port',
  'listener',
  'table-file',
  'routes',
  'queue',
  'addresses',
  'port25',
  'with',
  'authorities',
  'program',
  'program-old',
  'program-stopped',
  'edit',
  'not-applied',
];
const known = [
  ' relayhost=x',
  ' smtpd_milters=inet:x',
  ' first CERTIFICATE',
  ' mode -rw-r--r--',
  ' owner 0:0',
  ' names a:b',
  ' stops transport_maps: * smtp:',
  ' passes x',
  ' users:(("x"))',
  ' 2500/inet',
  ' 0',
  ' message_size_limit=1e99',
  ' {"queue_name":"deferred","recipients":[{"delay_reason":"relayhost.example.org"}]}',
  ' {"queue_name":"deferred"}',
  ' 250 2.1.5 Ok',
];
const word = fc.oneof(
  fc.constantFrom(
    'main.cf',
    '2500/inet',
    '/etc/postfix/relaycerts/example.org/relay_clientcerts',
    relay.hostname,
    'no',
    '600',
  ),
  fc.string({ maxLength: 12 }),
);
const line = fc.oneof(
  fc.constantFrom(...known),
  fc.string({ maxLength: 60 }).map((text) => ` ${text}`),
);
const section = fc
  .tuple(fc.constantFrom(...names, ...others), fc.array(word, { maxLength: 4 }), fc.array(line, { maxLength: 6 }))
  .map(([name, words, lines]) => [`@${name} ${words.join(' ')}`, ...lines].join('\n'));
const printed = fc.array(section, { maxLength: 14 }).map((sections) => [...sections, '@end', ''].join('\n'));

const programs = (['exim', 'nodemailer'] as const).flatMap((program) => {
  const found = homeProgramOf(settings, { ...client, program });
  return found === undefined ? [] : [found];
});

function judgeAll(text: string): readonly Finding[] {
  const facts = parseFacts(text);
  if (facts === undefined) return [];
  const wanted = new Map([['relay_clientcerts', Buffer.from('# x\nAA b\n')]]);
  return [relay, client].flatMap((host) => {
    hasNoFiles(facts);
    return [
      ...judgeFiles(settings, host, wanted, facts),
      ...judgeConfiguration(settings, host, facts),
      ...judgeState(settings, host, facts, { from: 0, to: 1000 }),
      ...judgeFrom(relay, client, facts),
      ...programs.flatMap((program) => judgeProgram(program, client.hostname, facts)),
    ];
  });
}

describe('anything that a host prints', () => {
  it('is judged, and the report is safe', () => {
    fc.assert(
      fc.property(printed, (text) => {
        for (const finding of judgeAll(text)) {
          expect(finding.message).not.toMatch(/[\p{Cc}\p{Cf}]/u);
          for (const { text: cure } of cureLines(settings, finding)) expect(cure).not.toMatch(/[\p{Cc}\p{Cf}]/u);
        }
      }),
    );
  });

  it.each(['$(touch /tmp/x)', '`id`', "'; id; '", '-rf', 'a b', '"', '\\', '*', '\u001B[2J', '\u202E'])(
    'a service called %s stays one word of a command',
    (name) => {
      const [finding] = judgeAll(`@port 2500\n ${name}\n@end\n`).filter(({ id }) => id === 'second-service');
      const [command] = finding === undefined ? [] : cureLines(settings, finding);
      const fakes = `ssh() { shift; eval "$*"; }\npostconf() { printf '[%s]' "$@"; }\npostfix() { :; }\n`;
      const { stdout, stderr } = spawnSync('sh', ['-c', fakes + (command?.text ?? '')], { encoding: 'utf8' });
      expect(stderr).toBe('');
      // Characters that move the cursor or reverse text are shown escaped, and then name nothing.
      const isPlain = !/[\p{Cc}\p{Cf}]/u.test(name);
      expect(stdout).toBe(`[-MX][${isPlain ? name : quotePath(name)}]`);
    },
  );

  it('is nothing if it was cut short', () => {
    expect(parseFacts('@clock 1\n@postfix 3.7\n')).toBeUndefined();
    expect(parseFacts('')).toBeUndefined();
  });
});
