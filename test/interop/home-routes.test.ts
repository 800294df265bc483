// Routes in a home host's main.cf and master.cf, before the script changes anything: what would stop or bypass the
// relay is refused, with a hint that works, and routes with their own transport are listed. On a stock Debian
// configuration in a mount namespace, with the real postconf and postmap.

import { execFile } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderProbe } from '../../src/render/script.js';
import { parseSettings } from '../../src/settings/schema.js';
import { makeProject, smallSettings, type Project, type Result } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { stockPostfix } from '../support/stock-postfix.js';
import { folder as bundle } from '../support/folder.js';

let project: Project;
let script: string;
let forced: string;

beforeAll(async () => {
  requireTools('postconf', 'openssl');
  project = makeProject(smallSettings());
  expect((await project.run(['make', '--quiet'])).status).toBe(0);
  script = (await project.run(['show', 'mailhost', '--format', 'sh'])).stdout;
  forced = (await project.run(['show', 'mailhost', '--format', 'sh', '--force-routes'])).stdout;
});
afterAll(() => project.remove());

/** Runs the script after these commands on a stock host; `changed` if main.cf or master.cf differ afterwards. */
function install(prepare: string, text = script): Promise<Result> {
  const commands = `${stockPostfix}
mkdir -p -m 700 ${bundle}
cp "$project"/hosts/mailhost.example.org/* ${bundle}/
${prepare}
mount -t tmpfs none /media
cat /etc/postfix/main.cf /etc/postfix/master.cf >/media/before
printf '%s\\n' "$script" | sh && status=0 || status=$?
cat /etc/postfix/main.cf /etc/postfix/master.cf | cmp -s - /media/before || echo changed
ls /etc/postfix | grep relaycerts-old && echo left
exit $status
`;
  const env = { ...process.env, project: project.folder, script: text };
  return new Promise((fulfil) => {
    const child = execFile('unshare', ['--mount', 'sh', '-c', commands], { env }, (_, stdout, stderr) => {
      fulfil({ status: child.exitCode, stdout, stderr });
    });
  });
}

const set = (name: string, value: string): string => `postconf -e '${name} = ${value}'`;
const table = (lines: string, type = 'texthash'): string => {
  const dump = `printf '%s\\n' ${lines} >/etc/postfix/table`;
  return type === 'hash' ? `${dump} && postmap hash:/etc/postfix/table` : dump;
};

describe.concurrent('refused, and nothing is touched', () => {
  it.each<[what: string, prepare: string, says: RegExp]>([
    [
      'a next hop for a sender',
      `${table("'@example.net [smtp.example.net]:587'")} && ${set('sender_dependent_relayhost_maps', 'texthash:/etc/postfix/table')}`,
      /this mail will stop, .*: sender_dependent_relayhost_maps: @example\.net \[smtp\.example\.net\]:587$/mu,
    ],
    [
      'a next hop for a recipient, without a transport',
      `${table("'lan.example.net :[10.0.0.5]'", 'hash')} && ${set('transport_maps', 'hash:/etc/postfix/table')}`,
      /this mail will stop, .*: transport_maps: lan\.example\.net :\[10\.0\.0\.5\]$/mu,
    ],
    [
      'a next hop for every sender, in a table that cannot be listed',
      set('sender_dependent_relayhost_maps', 'static:[smtp.example.net]:587'),
      /this mail will stop, .*: sender_dependent_relayhost_maps: \? static:/mu,
    ],
    [
      'a route for every recipient',
      `${table("'* smtp:[10.0.0.5]'")} && ${set('transport_maps', 'texthash:/etc/postfix/table')}`,
      /this mail bypasses the relay: transport_maps: \* smtp:\[10\.0\.0\.5\]$/mu,
    ],
    [
      'a route for every recipient, by a pattern',
      `${table("'/./ smtp:[10.0.0.5]'")} && ${set('transport_maps', 'regexp:/etc/postfix/table')}`,
      /this mail bypasses the relay: transport_maps: nobody@\S+ smtp:\[10\.0\.0\.5\]$/mu,
    ],
    [
      "a transport for this domain's senders",
      `${table("'@example.org smtp:[10.0.0.5]'")} && ${set('sender_dependent_default_transport_maps', 'texthash:/etc/postfix/table')}`,
      /this mail bypasses the relay: sender_dependent_default_transport_maps: @example\.org smtp:/mu,
    ],
    [
      'a transport for senders that names no next hop, which is then the relay',
      set('sender_dependent_default_transport_maps', 'inline:{ {@b.example=smtp:}, {@c.example=local:} }'),
      /this mail will stop, .*: sender_dependent_default_transport_maps: @b\.example smtp:$/mu,
    ],
    [
      'the same, in a table that cannot be listed',
      set('sender_dependent_default_transport_maps', 'static:smtp:'),
      /this mail will stop, .*: sender_dependent_default_transport_maps: nobody@example\.org smtp:; /mu,
    ],
    [
      'relay_domains, which the transport "relay" takes to the relay',
      `printf 'mail.example.com x\\n' >/etc/postfix/domains
       ${set('relay_domains', 'lan.example.net, $mydestination, texthash:/etc/postfix/domains')}`,
      /this mail will stop, .*: relay_domains: lan\.example\.net; relay_domains: mail\.example\.com$/mu,
    ],
    [
      'another relayhost in master.cf',
      `postconf -P 'rewrite/unix/relayhost=[10.0.0.5]'`,
      /this mail bypasses the relay: master\.cf: rewrite\/unix\/relayhost = \[10\.0\.0\.5\]$/mu,
    ],
  ])('%s', async (_what, prepare, says) => {
    const refused = await install(prepare);
    expect(refused.stderr).toMatch(says);
    expect(refused.status).toBe(1);
    expect(refused.stdout).toBe('');
    expect(refused.stderr).toContain(
      'to install anyway: relaycerts show mailhost.example.org --format sh --force-routes | ssh root@mailhost.example.org sh\n',
    );
  });

  it('a transport of this name that is not ours', async () => {
    const { status, stdout, stderr } = await install(`postconf -M 'relaycerts/unix=relaycerts unix - - y - - smtp'`);
    expect(stderr).toMatch(/master\.cf has a transport relaycerts that is not ours/u);
    expect([status, stdout]).toEqual([1, '']);
  });
});

describe.concurrent('installed, and reported in one line', () => {
  it('with --force-routes, what will stop and what bypasses the relay', async () => {
    const prepare = `${set('sender_dependent_relayhost_maps', 'static:[smtp.example.net]')}
postconf -P 'rewrite/unix/default_transport=smtp'`;
    const { status, stdout, stderr } = await install(prepare, forced);
    expect(stderr).toMatch(
      /^relaycerts: warning: this mail will stop, .*\nrelaycerts: warning: this mail bypasses the relay: /mu,
    );
    expect([status, stdout]).toEqual([0, expect.stringMatching(/is set up: .*\nchanged\n$/u)]);
  });

  it.each<[what: string, prepare: string, says: RegExp | undefined]>([
    [
      'routes with a transport of their own',
      set('transport_maps', 'inline:{ {lan.example.net=smtp:[10.0.0.5]}, {.example.com=local:} }'),
      /^relaycerts: 2 routes have a transport of their own and keep working as before: transport_maps: \S+ \S+; transport_maps: /mu,
    ],
    [
      'a sender with a next hop and a transport of its own',
      `${set('sender_dependent_relayhost_maps', 'inline:{ {@example.net=[smtp.example.net]:587} }')}
       ${set('sender_dependent_default_transport_maps', 'inline:{ {@example.net=smtp:} }')}`,
      /^relaycerts: 2 routes have a transport of their own/mu,
    ],
    [
      'our own relay, named for a sender',
      set('sender_dependent_relayhost_maps', 'inline:{ {@example.net=[relayhost.example.org]:2500} }'),
      undefined,
    ],
    [
      'relay_domains with a route',
      `${set('relay_domains', 'lan.example.net, a.lan.example.com, b.example.com')}
       ${set('transport_maps', 'inline:{ {lan.example.net=relay:}, {.lan.example.com=smtp:[10.0.0.5]}, {b.example.com=local:} }')}`,
      /^relaycerts: 3 routes have a transport of their own/mu,
    ],
    [
      'relay_domains, with a transport that has a next hop',
      `${set('relay_domains', 'lan.example.net')} && ${set('relay_transport', 'relay:[10.0.0.5]')}`,
      undefined,
    ],
    [
      "one sender's next hop, whose domain has a transport",
      `${set('sender_dependent_relayhost_maps', 'inline:{ {ann@example.net=[smtp.example.net]:587} }')}
       ${set('sender_dependent_default_transport_maps', 'inline:{ {@example.net=smtp:[smtp.example.net]} }')}`,
      /^relaycerts: 2 routes have a transport of their own/mu,
    ],
    ['a content filter', set('content_filter', 'smtp-amavis:[127.0.0.1]:10024'), undefined],
    ['an empty table', `${table("''")} && ${set('transport_maps', 'texthash:/etc/postfix/table')}`, undefined],
  ])('%s', async (_what, prepare, says) => {
    const { status, stdout, stderr } = await install(prepare);
    expect(stderr.replace(/^relaycerts: warning: Postfix is not running .*\n/mu, '')).toBe('');
    expect([status, stdout]).toEqual([0, expect.stringMatching(/is set up: .*\nchanged\n$/u)]);
    if (says === undefined) expect(stdout).not.toContain('working as before');
    else expect(stdout).toMatch(says);
  });
});

describe('a main.cf that people edit', () => {
  it('without a newline at its end, and with settings more than once', async () => {
    const { status, stdout, stderr } = await install(`
printf 'relayhost = [a]\\nrelayhost = [b]\\nmynetworks = 127.0.0.0/8\\nmynetworks = 127.0.0.1' >>/etc/postfix/main.cf
printf '# last' >>/etc/postfix/master.cf`);
    const warnings = stderr.split('\n').filter((line) => !line.includes('Postfix is not running') && line !== '');
    expect(warnings).toEqual([
      expect.stringMatching(
        /^relaycerts: warning: \/etc\/postfix\/main\.cf sets these more than once, .*: mynetworks relayhost $/u,
      ),
    ]);
    expect([status, stdout]).toEqual([0, expect.stringMatching(/is set up: .*\nchanged\n$/u)]);
  });

  it("an earlier release's main.cf settings go; --undo restores older ones", async () => {
    const undo = (await project.run(['show', 'mailhost', '--format', 'sh', '--undo'])).stdout;
    const { status, stdout } = await install(`
cp /etc/postfix/main.cf /media/main.cf
mkdir -p -m 700 ${bundle}/saved/before
cp /etc/postfix/main.cf /etc/postfix/master.cf ${bundle}/saved/before/
printf '%s\\n' 'relayhost=[relayhost.example.org]:2500' smtp_tls_security_level=secure smtp_tls_CApath= \
  smtp_tls_chain_files=${bundle}/mailhost.example.org.chain.pem >${bundle}/saved/settings
while read -r line; do postconf -e "$line"; done <${bundle}/saved/settings
cp /etc/postfix/main.cf ${bundle}/saved/after
echo '# by hand' >>/etc/postfix/main.cf
printf '%s\n' "$script" | sh 2>&1
diff /media/main.cf /etc/postfix/main.cf | grep '^[<>]' | sed 's/ = .*//' | sort
script='${undo.replaceAll("'", String.raw`'\''`)}'
echo '# by hand' >>/media/main.cf`);
    expect(stdout.split('\n').filter((line) => /^[<>]/u.test(line))).toEqual([
      '> # by hand',
      '> default_transport',
      '> relayhost',
    ]);
    expect([status, stdout]).toEqual([0, expect.stringMatching(/is as it was before; .*\nchanged\n$/u)]);
  });

  it.concurrent.each([
    ['as by default without compatibility_level', 'postconf -X compatibility_level', true],
    ['with a route', set('transport_maps', 'inline:{ {.example.org=smtp:[10.0.0.5]} }'), false],
  ])('whose relay_domains has our domain, %s', async (_what, prepare, isWarned) => {
    const { status, stderr } = await install(`
${set('mydestination', 'example.org, localhost')}
${set('relay_domains', '$mydestination')}
${prepare}
[ ${String(isWarned)} = false ] || postconf -X relay_domains`);
    const said =
      'relay_domains has example.org, so mail for its subdomains would go to the relay over another transport';
    expect([status, stderr.includes(said)]).toEqual([0, isWarned]);
  });

  it("in a folder that is not root's, nothing is installed", async () => {
    const { status, stderr } = await install(`chown nobody /etc/postfix`);
    expect(stderr).toMatch(/error: \/etc\/postfix, which holds \S+, can be changed by others than root\n/u);
    expect(status).toBe(1);
    const { stderr: writable } = await install(`chmod 777 /etc/postfix`);
    const [, hint = ''] = / or: (chown .*)$/mu.exec(writable) ?? [];
    expect((await install(`chmod 777 /etc/postfix; ${hint}`)).status).toBe(0);
  });

  it('on a disk that fills up at any moment, keeps its configuration', async () => {
    const isDeep = process.env['RELAYCERTS_DEEP'] === '1';
    const attempts = (isDeep ? [0, 4, 8, 16, 24, 32, 48, 64, 96] : [0, 8, 24, 48, 96]).map(async (free) => {
      const { status, stdout, stderr } = await install(`
mount -o remount,size=$(($(du -sk "$top" | cut -f 1) + ${free}))k "$top"
trap 'find /etc/postfix -name "*.relaycerts*" -o -name saved >&2' EXIT`);
      if (status === 0) return true;
      expect(stdout).toBe('');
      expect(stderr).toMatch(
        /relaycerts: error: .*; the configuration of mailhost\.example\.org is as it was before\n$/u,
      );
      return false;
    });
    const succeeded = await Promise.all(attempts);
    expect(succeeded.filter((one) => !one).length).toBeGreaterThan(2);
    expect(succeeded.at(-1)).toBe(true);
  });
});

describe.concurrent('a host with two instances of Postfix', () => {
  const second = `mkdir "$top/out"
cp /etc/postfix/main.cf /etc/postfix/master.cf "$top/out"
printf 'multi_instance_enable = yes\\nmulti_instance_name = postfix-out\\n' >>"$top/out/main.cf"
postconf -e multi_instance_enable=yes 'multi_instance_wrapper=$command_directory/postmulti -p --' multi_instance_directories="$top/out"
`;
  const stays =
    'warning: only /etc/postfix is set up; the other Postfix instances of mailhost.example.org stay as they are: /mnt/out';

  it('has the first one set up, also if the other one has an error', async () => {
    const { status, stdout, stderr } = await install(`${second}
echo 'queue_directory = /nonexistent' >>"$top/out/main.cf"`);
    expect(stderr).toContain(stays);
    expect([status, stdout]).toEqual([0, expect.stringMatching(/is set up: .*\nchanged\n$/u)]);
  });

  it('has no other one set up later, which undo could not restore', async () => {
    const { status, stdout, stderr } = await install(`${second}
postconf -c "$top/out" -e queue_directory=/var/spool/postfix data_directory=/var/lib/postfix
printf '%s\\n' "$script" | MAIL_CONFIG="$top/out" sh`);
    expect(stderr).toContain(
      'relaycerts set up /mnt/out on mailhost.example.org before, and this would be /etc/postfix',
    );
    expect([status, stdout]).toEqual([1, expect.stringMatching(/is set up: .*\n$/u)]);
  });

  it('tells check of the other one', async () => {
    const settings = parseSettings(smallSettings(), {
      file: '/x/settings.json',
      home: '/root',
      program: 'relaycerts',
      command: 'relaycerts',
    });
    const [home] = settings.smtpClients;
    const { stdout } = await install(second, renderProbe(settings, home, { keyPlace: 'here', mailDomain: undefined }));
    expect(stdout).toContain('\n@instances\n /mnt/out\n@maps\n');
  });
});
