// Lists of main.cf that also have other people's items: edit-configuration.sh adds ours, and undo takes out what is ours
// and nothing else, whatever was edited in between. The real postconf edits copies in a temporary folder.

import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { requireTools } from '../support/require-tools.js';

const folder = mkdtempSync(join(tmpdir(), 'relaycerts-tokens-'));
beforeAll(() => requireTools('postconf', 'dash', 'busybox'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** main.cf before, after our run, as somebody edits it then, and after undo; without `edited`, undo gives the first. */
interface Case {
  readonly name: string;
  readonly tokens: readonly string[];
  readonly before: string;
  readonly ours: string;
  readonly edited?: string;
  readonly undone?: string;
}

const domains = ['relay_domains last example.org'];
const sites = ['postscreen_dnsbl_sites last zen.spamhaus.org=127.0.0.[2..11]'];
const cases: readonly Case[] = [
  {
    name: 'a list that is not set',
    tokens: ['smtpd_restriction_classes last ours'],
    before: '',
    ours: 'smtpd_restriction_classes = ours',
    edited: 'smtpd_restriction_classes = ours\nmail_name = X',
    undone: 'mail_name = X',
  },
  {
    name: 'a list, with its own spacing',
    tokens: domains,
    before: 'relay_domains = a.example b.example,c.example',
    ours: 'relay_domains = a.example b.example,c.example, example.org',
  },
  {
    name: 'an item that was there before stays',
    tokens: domains,
    before: 'relay_domains = example.org, a.example',
    ours: 'relay_domains = example.org, a.example',
    edited: 'relay_domains = example.org, a.example, b.example',
    undone: 'relay_domains = example.org, a.example, b.example',
  },
  {
    name: 'others are added since',
    tokens: domains,
    before: 'relay_domains = a.example',
    ours: 'relay_domains = a.example, example.org',
    edited: 'relay_domains = a.example, example.org, b.example',
    undone: 'relay_domains = a.example, b.example',
  },
  {
    name: 'others are removed since, and ours is first now',
    tokens: domains,
    before: 'relay_domains = a.example',
    ours: 'relay_domains = a.example, example.org',
    edited: 'relay_domains = example.org b.example',
    undone: 'relay_domains = b.example',
  },
  {
    name: 'ours is removed since, from a list that had its default',
    tokens: domains,
    before: '',
    ours: 'relay_domains = ${{$compatibility_level} <level {2} ? {$mydestination} : {}}, example.org',
    edited: 'relay_domains = b.example',
    undone: 'relay_domains = b.example',
  },
  {
    name: 'the first place, before a table with braces',
    tokens: ['transport_maps first texthash:/etc/postfix/ours'],
    before: 'transport_maps = inline:{ a=smtp:, b = smtp: } hash:/etc/postfix/t',
    ours: 'transport_maps = texthash:/etc/postfix/ours, inline:{ a=smtp:, b = smtp: } hash:/etc/postfix/t',
    edited: 'transport_maps = texthash:/etc/postfix/ours, inline:{ a=smtp:, b = smtp: }',
    undone: 'transport_maps = inline:{ a=smtp:, b = smtp: }',
  },
  {
    name: 'restrictions that end with permit',
    tokens: ['smtpd_recipient_restrictions last ours'],
    before: 'smtpd_recipient_restrictions = permit_mynetworks reject_unauth_destination, permit',
    ours: 'smtpd_recipient_restrictions = permit_mynetworks reject_unauth_destination, ours, permit',
    edited: 'smtpd_recipient_restrictions = ours, permit',
    undone: 'smtpd_recipient_restrictions = permit',
  },
  {
    name: 'two items for one list, which a shell could take for patterns',
    tokens: [...sites, 'postscreen_dnsbl_sites last *.example=127.0.0.?'],
    before: 'postscreen_dnsbl_sites = bl.example*2',
    ours: 'postscreen_dnsbl_sites = bl.example*2, zen.spamhaus.org=127.0.0.[2..11], *.example=127.0.0.?',
    edited: 'postscreen_dnsbl_sites = zen.spamhaus.org=127.0.0.[2..11], *.example=127.0.0.?, *',
    undone: 'postscreen_dnsbl_sites = *',
  },
];

/** What the script does to main.cf, with the functions that find nothing else of ours. */
const harness = `set -eu
edited='master.cf main.cf' saved=$FOLDER/saved config=$FOLDER/etc
fail() { echo "$*" >&2; exit 1; }
settings_of() { :; }
all_services() { :; }
our_services() { :; }
all_files() { :; }
set_postscreen() { :; }
undo_postscreen() { :; }
all_tokens() { printf '%s\\n' "$TOKENS"; }
behind() { echo "$config/$1"; }
copy_file() { cp -p "$1" "$2"; }
chown() { :; }
# postconf waits until the last edit is two seconds old.
set_main() { printf '%s\\n' 'compatibility_level = 3.6' $1 >"$config/main.cf"; touch -t 200101010000 "$config/main.cf"; }
shown() { sed 1d "$1"; }
rm -rf "$saved" "$config"
mkdir -p "$config"
: >"$config/master.cf"
`;
const steps = `IFS=
set_main "$BEFORE"
save_configuration
change_configuration "$saved/new"
cp "$saved/new/main.cf" "$config/main.cf"
touch -t 200101010000 "$config/main.cf"
shown "$config/main.cf"
[ -z "$(add_tokens "$config")" ]
mkdir -p "$saved/after"
cp "$config"/*.cf "$saved/after/"
[ -z "$EDITED" ] || set_main "$EDITED"
echo --
copy_without_ours
shown "$saved/new/main.cf"
`;

// At the same time, because postconf waits a second for each edit.
it.concurrent.each(cases)(
  'ours come and go: $name',
  async ({ name, tokens, before, ours, edited = '', undone = before }) => {
    const text = `${harness}. src/render/edit-configuration.sh\n${steps}`;
    const runs = [['dash'], ['busybox', 'sh']].map(async ([program = '', ...args]) => {
      const own = join(folder, `${name.replaceAll(/\W/gu, '-')}-${program}`);
      const env = { ...process.env, FOLDER: own, TOKENS: tokens.join('\n'), BEFORE: before, EDITED: edited };
      return promisify(execFile)(program, [...args, '-c', text], { env });
    });
    for (const { stdout, stderr } of await Promise.all(runs)) {
      expect(stderr).toBe('');
      expect(stdout).toBe(`${ours}\n--\n${undone === '' ? '' : `${undone}\n`}`);
    }
  },
);

it.concurrent.each(['smtp/inet', '25/inet', 'smtpd/pass'])(
  'restrictions that port 25 has of its own are seen: %s',
  (id) => {
    const etc = mkdtempSync(join(folder, 'port25-'));
    const file = 'src/render/port25.sh';
    const names = [...readFileSync(file, 'utf8').matchAll(/\$\{(\w+)[:?=]/gu)].map(([, name = '']) => `${name}=x`);
    const [name = '', type = ''] = id.split('/');
    writeFileSync(join(etc, 'main.cf'), 'compatibility_level = 3.6\n');
    writeFileSync(
      join(etc, 'master.cf'),
      `${name} ${type} n - y - - smtpd\n  -o smtpd_recipient_restrictions=permit\n`,
    );
    const text = `fail() { echo "$1"; exit 1; }\npostconf() { command postconf -c ${etc} "$@"; }\n. ./${file}\ncheck_restrictions`;
    const { status, stdout } = spawnSync('sh', ['-euc', [...names, text].join('\n')], { encoding: 'utf8' });
    expect([status, stdout]).toEqual([
      1,
      expect.stringContaining(`relayPort25: ${id}/smtpd_recipient_restrictions = permit`),
    ]);
  },
);
