// The script on a stock Debian configuration that is nobody else's: each run has its own mount namespace, with copies
// of main.cf and master.cf and with Postfix not running. The real postconf, postfix check and openssl do the work. How
// mail flows afterwards is test/e2e's.

import { execFile } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blocksFor } from '../support/blocks.js';
import { makeProject, smallSettings, type Project, type Result } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { stockPostfix } from '../support/stock-postfix.js';
import { folder as bundle } from '../support/folder.js';

const stock = `${stockPostfix}cd "$project"
receive() { mkdir -p -m 700 "$2" && cp "$1/"* "$2/"; }
paste() { printf '%s\\n' "$1"; }
differ() { if cmp -s "$1" "$2"; then echo "the same: $1 $2" >&2; exit 1; fi; }
state() { (cd /etc/postfix && stat -c '%n %F %U:%G %a' main.cf master.cf && sha256sum main.cf master.cf); }
`;

let project: Project;
/** Another domain's, with a relay on the same host. */
let another: Project;
const scripts = new Map<string, string>();

/** Runs sh commands as root of a host with a stock Postfix; what was printed is in the shell's variables. */
function onHost(commands: string, variables: Readonly<Record<string, string>> = {}): Promise<Result> {
  const folders = { project: project.folder, another: another.folder };
  const env = { ...process.env, ...folders, ...Object.fromEntries(scripts), ...variables };
  return new Promise((fulfil) => {
    const child = execFile('unshare', ['--mount', 'sh', '-c', `${stock}${commands}`], { env }, (_, stdout, stderr) => {
      fulfil({ status: child.exitCode, stdout, stderr });
    });
  });
}

/** The output of the commands, which must succeed. */
async function answer(commands: string, variables: Readonly<Record<string, string>> = {}): Promise<string> {
  const { status, stdout, stderr } = await onHost(commands, variables);
  const said = stderr
    // If main.cf is a link, `postfix check` of 3.10 warns of the link's own mode, which means nothing.
    .replaceAll(/^postfix\/postlog: warning: group or other writable: \/etc\/postfix\/\.\/(?:main|master)\.cf\n/gmu, '')
    .replaceAll(/^relaycerts: warning: Postfix is not running .*\n/gmu, '');
  expect([said, status]).toEqual(['', 0]);
  return stdout;
}

async function run(of: Project, ...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await of.run(args);
  expect(status, stderr).toBe(0);
  return stdout;
}

/** The output of show, in a variable of the hosts' shell. */
async function print(variable: string, ...args: readonly string[]): Promise<void> {
  scripts.set(variable, await run(project, 'show', ...args));
}

async function make(settings: Record<string, unknown>): Promise<void> {
  project.settings(settings);
  await run(project, 'make', '--quiet');
}

/** The blocks of a printed text that the host runs first, up to the one that begins with `before`. */
function firstBlocks(variable: string, host: string, before: string): string {
  const blocks = blocksFor(scripts.get(variable) ?? '', { host });
  const end = blocks.findIndex((block) => block.startsWith(before));
  return end < 1 ? 'exit 99' : blocks.slice(0, end).join('\n');
}

const relaysNow = [{ hostname: 'relayhost' }];
const relaysThen = [...relaysNow, { hostname: 'relay2' }];

beforeAll(async () => {
  requireTools('postconf', 'openssl', 'dash', 'busybox', 'bash', 'posh', 'policyd-spf');
  project = makeProject(smallSettings());
  await make(smallSettings({ smtpdServers: relaysThen }));
  await print('home_two_relays', 'mailhost', '--format', 'sh');
  another = makeProject({
    ...smallSettings({ smtpdServers: [{ hostname: 'relayhost', port: 2600 }] }),
    domain: 'example.net',
  });
  await run(another, 'make', '--quiet');
  scripts.set('net', await run(another, 'show', 'relayhost', '--format', 'sh'));
  await make(smallSettings({ smtpdServers: relaysNow, postfix: { tableType: 'hash' } }));
  await print('relay_hash', 'relayhost', '--format', 'sh');
  await make(smallSettings({ relayPort25: { dnsbl: ['bl.example.net'], postscreen: true, spf: 'reject' } }));
  await print('port25', 'relayhost', '--format', 'sh');
  await make(smallSettings({ smtpdServers: relaysNow }));
  for (const [variable, host] of [
    ['home', 'mailhost'],
    ['relay', 'relayhost'],
  ] as const) {
    await print(variable, host, '--format', 'sh');
    await print(`${variable}_undo`, host, '--format', 'sh', '--undo');
    await print(`${variable}_text`, host, '--format', 'text');
    await print(`${variable}_text_undo`, host, '--undo');
  }
});
afterAll(() => {
  project.remove();
  another.remove();
});

describe.concurrent.each([
  ['home', 'mailhost.example.org', 'main.cf'],
  ['relay', 'relayhost.example.org', 'master.cf'],
])('%s', (role, host, file) => {
  it.each([
    // Owner and mode that postconf would not keep.
    ['busybox ash', `chgrp postfix /etc/postfix/${file} && chmod 640 /etc/postfix/${file}`],
    ['bash --posix', `mv /etc/postfix/${file} /etc/postfix/real.cf && ln -s real.cf /etc/postfix/${file}`],
    // at_least asks the program, not main.cf.
    ['posh', 'echo "mail_version = none of your business" >>/etc/postfix/main.cf'],
  ])('%s, %s: twice is as once, and --undo gives back bytes, owner and mode', async (shell, before) => {
    const said = await answer(`
${before}
receive hosts/${host} ${bundle}
state >"$top/stock"
paste "$${role}" | ${shell}
state >"$top/first"
stat -c '%i %Y' /etc/postfix/ma*.cf >"$top/inodes"
paste "$${role}" | ${shell}
state | cmp - "$top/first"
stat -c '%i %Y' /etc/postfix/ma*.cf | cmp - "$top/inodes"
differ "$top/first" "$top/stock"
grep -v '[0-9a-f]\\{64\\}' "$top/first" >"$top/owners"
grep -v '[0-9a-f]\\{64\\}' "$top/stock" | cmp - "$top/owners"
stat -c '%U:%G %a' ${bundle} ${bundle}/saved ${bundle}/*.key.pem ${bundle}/*.chain.pem
paste "$${role}_undo" | ${shell}
state | cmp - "$top/stock"
test ! -e ${bundle}/saved
find /etc/postfix -name '*.relaycerts'
paste "$${role}_undo" | ${shell}
`);
    expect(
      said.split('\n').map((line) => line.replace(/(?:: it sends| on \/| with|; its|: port|: no) .*$/u, '')),
    ).toEqual([
      `relaycerts: ${host} is set up`,
      `relaycerts: nothing to change on ${host}`,
      'root:root 700',
      'root:root 700',
      'root:root 600',
      'root:root 600',
      `relaycerts: ${host} is as it was before`,
      `relaycerts: nothing to undo on ${host}`,
      '',
    ]);
  });

  it("another name's certificate from the same CA is refused", async () => {
    const { status, stderr, stdout } = await onHost(`
receive hosts/${host} ${bundle}
for part in key crt chain; do cp hosts/relay2.example.org/relay2.example.org.$part.pem ${bundle}/${host}.$part.pem; done
state >"$top/stock"
paste "$${role}" | sh && status=0 || status=$?
state | cmp - "$top/stock"
exit $status
`);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/ca\.crt\.pem did not issue \S+ for \S+ and this purpose/u);
    expect(stderr).toMatch(/\nrelaycerts: hint: \S/u);
  });

  it('the text: its edit, and its inverse', async () => {
    const edit = firstBlocks(`${role}_text`, host, 'openssl verify');
    const undo = blocksFor(scripts.get(`${role}_text_undo`) ?? '', { host })[0] ?? 'exit 99';
    await answer(
      `
receive hosts/${host} ${bundle}
state >"$top/stock"
paste "$edit" | sh
state >"$top/first"
differ "$top/first" "$top/stock"
test -f /etc/postfix/${file}.before-relaycerts
# Once more: the copy stays the one from before the first time.
paste "$edit" | sh
paste "$undo" | sh 2>/dev/null || :
state | cmp - "$top/stock"
test ! -e /etc/postfix/${file}.before-relaycerts
`,
      { edit, undo },
    );
  });
});

describe.concurrent('the home host', () => {
  it('--undo knows what the last run set, whatever the settings are now', async () => {
    const said = await answer(`
receive hosts/mailhost.example.org ${bundle}
cp /etc/postfix/main.cf "$top/stock"
paste "$home_two_relays" | sh
postconf -h relayhost
postconf -e message_size_limit=12345678
paste "$home_undo" | sh
echo 'message_size_limit = 12345678' >>"$top/stock"
# postconf writes an empty value with a space before it, whether there was one or not.
sed 's/ *$//' /etc/postfix/main.cf | sort >"$top/sorted"
sed 's/ *$//' "$top/stock" | sort | diff - "$top/sorted"
`);
    expect(said).toContain('\n[relayhost.example.org]:2500, [relay2.example.org]:2500\n');
  });
});

describe.concurrent('the relay', () => {
  it("leaves another domain's service as it is, and removes its own", async () => {
    const ports = `postconf -M | sed -n 's/^\\([0-9]*\\) *inet.*/\\1/p' | tr '\\n' ' '`;
    const said = await answer(`
receive hosts/relayhost.example.org ${bundle}
receive "$another"/hosts/relayhost.example.net /etc/postfix/relaycerts/example.net
paste "$relay" | sh
paste "$net" | sh
${ports}; echo
paste "$relay" | sh
paste "$relay_undo" | sh
${ports}; echo
`);
    expect(said).toMatch(/\n2500 2600 \n(?:.*\n)*2600 \n$/u);
    expect(said).toContain('nothing to change on relayhost.example.org');
  });

  it('port 25: --undo gives back every byte, also by a script that knows nothing of it', async () => {
    await answer(`
chgrp postfix /etc/postfix/main.cf && chmod 640 /etc/postfix/main.cf
echo 'smtpd_recipient_restrictions = permit_mynetworks,  permit # ours' >>/etc/postfix/main.cf
receive hosts/relayhost.example.org ${bundle}
state >"$top/stock"
ls /etc/postfix >"$top/names"
paste "$port25" | dash
state >"$top/first"
differ "$top/first" "$top/stock"
paste "$port25" | busybox ash | grep -q 'nothing to change'
state | cmp - "$top/first"
paste "$relay_undo" | dash
state | cmp - "$top/stock"
ls /etc/postfix | cmp - "$top/names"
postconf -X smtpd_recipient_restrictions
paste "$port25" | dash
paste "$port25" | dash >"$top/again"
if grep 'goes without' "$top/again" >&2; then exit 1; fi
`);
  });

  it('makes a lost hash table again', async () => {
    await answer(`
receive hosts/relayhost.example.org ${bundle}
paste "$relay_hash" | sh
test -s ${bundle}/relay_clientcerts.db
rm ${bundle}/relay_clientcerts.db
paste "$relay_hash" | sh
test -s ${bundle}/relay_clientcerts.db
paste "$relay_hash" | sh | grep -q 'nothing to change'
`);
  });
});
