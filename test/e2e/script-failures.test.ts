// The script when something is wrong: it prints the error and a hint, exits with a failure, and main.cf and master.cf
// are unchanged; if it had started to change them, it restores them and Postfix keeps running.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import { makeCertificate } from './lab/certificates.js';
import { patienceMs } from './lab/machine.js';
import type { ExecResult } from './lab/machine.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk, configurationOf, contentOf } from './lab/operator.js';
import { folder } from '../support/folder.js';

// postconf does not mind this group; the postfix command does.
const breakMainCf = 'echo "setgid_group = nosuchgroup" >> /etc/postfix/main.cf';

const asItWas = /^relaycerts: error: it failed; the configuration of \S+ is as it was before$/m;

let lab: Lab;
let desk: Desk;
let relay: MailHost;
let home: MailHost;

/** Runs the script, which must fail, print the error and a hint, and not change the configuration. */
async function refuses(
  host: MailHost,
  says: RegExp,
  run: () => Promise<ExecResult> = () => desk.script(host),
): Promise<void> {
  const before = await configurationOf(host);
  const { code, stderr } = await run();
  expect(stderr).toMatch(says);
  // Before ours, what `postfix check` says itself: 3.10 does so without a terminal too.
  expect(stderr).toMatch(/^(?:postfix(?:\/postlog)?: .*\n)*relaycerts: error: .*\nrelaycerts: hint: \S.*\n$/);
  expect(code).toBe(1);
  expect(await configurationOf(host)).toBe(before);
  expect(await host.machine.exists(`${folder}/saved`)).toBe(false);
}

/** Puts both files back, byte by byte, whatever `change` does to them before the script runs. */
async function aside<Answer>(host: MailHost, change: string, then: () => Promise<Answer>): Promise<Answer> {
  await host.sh(`cp -a /etc/postfix /root/aside && { ${change}\n}`);
  try {
    return await then();
  } finally {
    await host.sh('cp -a /root/aside/main.cf /root/aside/master.cf /etc/postfix/ && rm -r /root/aside');
  }
}

/** The script fails in the middle, and everything is as before. */
async function putsBack(host: MailHost, run: () => Promise<ExecResult>): Promise<ExecResult> {
  const before = await contentOf(host);
  const result = await run();
  expect(result.code).not.toBe(0);
  expect(await contentOf(host)).toBe(before);
  expect(await host.machine.exists(`${folder}/saved`)).toBe(false);
  return result;
}

/** Makes a program of the host run these shell words first, each time it is called meanwhile. */
async function precededBy<Answer>(
  host: MailHost,
  program: string,
  words: string,
  meanwhile: () => Promise<Answer>,
): Promise<Answer> {
  const file = (await host.sh(`command -v ${program}`)).stdout.trim();
  await host.sh(`mkdir -p /run/lab/real && cp -p ${file} /run/lab/real/`);
  await host.writeFile(`/run/lab/${program}`, `#!/bin/sh\n${words}\nexec /run/lab/real/${program} "$@"\n`, '0755');
  await host.exec(['mount', '--bind', `/run/lab/${program}`, file]);
  try {
    return await meanwhile();
  } finally {
    await host.exec(['umount', '--lazy', file]);
  }
}

/** Adds an error to main.cf once the script has changed it, before postfix check. */
function breakMeanwhile(run: () => Promise<ExecResult>): Promise<ExecResult> {
  const words = `[ "$1" != check ] || ! grep -q '^default_transport = relaycerts' /etc/postfix/main.cf || ${breakMainCf}`;
  return precededBy(home, 'postfix', words, run);
}

/** Runs a host's script cut short at many places: none of them does anything. */
async function refusesEveryCut(host: MailHost): Promise<void> {
  const script = await desk.show(`${host.hostname} --format sh`);
  await host.writeFile('/root/script', script);
  const before = await configurationOf(host);
  // Past the comments, in which a cut leaves an empty script; to the last byte, the newline, which may be missing.
  const [from, to] = [script.indexOf('\n{\n') + 2, Buffer.byteLength(script) - 2];
  const cuts = [`seq ${from} 61 ${to}`, `seq ${to - 40} ${to}`].map((seq) => `$(${seq})`).join(' ');
  const tryAll = `for cut in ${cuts}; do head -c $cut /root/script | sh > /root/said 2>&1 && echo $cut; done; true`;
  expect((await host.sh(tryAll)).stdout).toBe('');
  const { code, stderr } = await desk.run(
    `relaycerts show ${host.hostname} --format sh | head -c ${to} | ssh root@${host.hostname} sh`,
    true,
  );
  expect(stderr).toMatch(/end of file|EOF/);
  expect(code).not.toBe(0);
  expect(await configurationOf(host)).toBe(before);
  expect(await host.machine.exists(`${folder}/saved`)).toBe(false);
}

beforeAll(async () => {
  lab = await startLab({ relays: 1, homes: 1, faults: 'any' });
  [relay] = lab.relays;
  [home] = lab.homes;
  desk = new Desk(lab.operator);
  await desk.make({ smtpdServers: [{ hostname: 'relayhost' }], smtpClients: [{ hostname: 'mailhost' }] });
});
afterAll(() => lab.stop());

describe('before any change', () => {
  test('the bundle is not there', async () => {
    await Promise.all(
      [relay, home].map((host) => refuses(host, /the folder \/etc\/postfix\/relaycerts\/example\.org is missing/)),
    );
  });

  test('Postfix itself finds an error in its configuration', async () => {
    await Promise.all(
      [relay, home].map((host) =>
        aside(host, breakMainCf, async () => {
          await refuses(host, /postfix check finds an error in \/etc\/postfix as it is now; nothing was changed/);
          // The hint; a second -t stands in for the operator's terminal.
          const { stdout } = await desk.run(`ssh -t -t root@${host.hostname} postfix check`, true);
          expect(stdout).toMatch(/fatal: .*unknown group name: nosuchgroup/);
        }),
      ),
    );
  });

  describe('with the bundle copied', () => {
    beforeEach(async () => {
      await Promise.all(
        [relay, home].map(async (host) => {
          await host.sh(`rm -rf ${folder}`);
          await desk.copy(host);
        }),
      );
    });

    test('the user is not root', async () => {
      const asAdmin = () => desk.run(`relaycerts show mailhost --format sh | ssh admin@${home.hostname} sh`, true);
      await refuses(home, /has to run as root on mailhost\.example\.org/, asAdmin);
    });

    test.each(['chain', 'crt', 'key'] as const)('the %s file is of another key: half a copy', async (part) => {
      const name = home.hostname;
      const other = await makeCertificate(home.machine, { name, purpose: 'clientAuth', issuer: 'self' });
      const ours = await home.readFile(`${folder}/${name}.crt.pem`);
      const files = { chain: other.key + ours, crt: other.certificate, key: other.key };
      await home.writeFile(`${folder}/${name}.${part}.pem`, files[part], '0600');
      await refuses(home, /does not belong to|are not the same/);
    });

    test('a file is cut short, or is not there', async () => {
      const chain = `${folder}/${relay.hostname}.chain.pem`;
      await relay.sh(`head -c 300 ${chain} > ${folder}/cut && mv ${folder}/cut ${chain}`);
      await refuses(relay, /cannot read the certificate in \S*chain\.pem/);
      await relay.sh(`: > ${chain}`);
      await refuses(relay, /chain\.pem is empty/);
      await relay.sh(`rm ${folder}/relay_clientcerts`);
      await desk.copy(relay);
      await relay.sh(`rm ${folder}/relay_clientcerts`);
      await refuses(relay, /relay_clientcerts is missing/);
    });

    test('the certificate has expired, or is of another CA', async () => {
      const name = home.hostname;
      for (const [expired, says] of [
        [true, /has expired/],
        [false, /ca\.crt\.pem did not issue /],
      ] as const) {
        const other = await makeCertificate(home.machine, { name, purpose: 'clientAuth', issuer: 'self', expired });
        await home.writeFile(`${folder}/${name}.chain.pem`, other.chain, '0600');
        await home.writeFile(`${folder}/${name}.crt.pem`, other.certificate, '0600');
        await home.writeFile(`${folder}/${name}.key.pem`, other.key, '0600');
        await refuses(home, says);
      }
    });

    test('a bundle file is a symbolic link, which is not followed', async () => {
      const key = `${folder}/${home.hostname}.key.pem`;
      await home.sh(`mv ${key} /root/key && chown admin /root/key && ln -s /root/key ${key}`);
      await refuses(home, /key\.pem is missing, or is not a regular file/);
      expect((await home.sh('stat -c %U /root/key')).stdout).toBe('admin\n');
      await home.sh(`rm -r ${folder} && mkdir /root/elsewhere && ln -s /root/elsewhere ${folder}`);
      await refuses(home, /the folder \S+ is a link/);
    });

    test('master.cf has a service on that port, under any name', async () => {
      await relay.sh('echo "relayport 2500/tcp" >> /etc/services');
      for (const name of ['2500', '0.0.0.0:2500', 'relayport']) {
        await aside(relay, `postconf -M '${name}/inet=${name} inet n - n - - smtpd'`, () =>
          refuses(relay, /master\.cf has a service \S+ on port 2500 that is not ours/),
        );
      }
    });

    test('another program listens on the port', async () => {
      await relay.sh('/usr/sbin/sshd -p 2500 -o PidFile=/run/other.pid');
      await refuses(relay, /another program listens on port 2500/);
      await relay.sh('kill $(cat /run/other.pid)');
    });

    test('the pipe was cut, anywhere', async () => {
      await Promise.all([relay, home].map(refusesEveryCut));
    });
  });
});

describe('in the middle of the change', () => {
  beforeAll(async () => {
    await lab.restore();
    await Promise.all([relay, home].map((host) => desk.copy(host)));
  });

  test('postfix check fails', async () => {
    const { stderr } = await putsBack(home, () => breakMeanwhile(() => desk.script(home)));
    expect(stderr).toMatch(/^relaycerts: error: postfix check found an error in \/etc\/postfix\nrelaycerts: hint: \S/m);
    expect(stderr).toMatch(asItWas);
  });

  test("postfix check fails, and nobody reads the script's output", async () => {
    const remote = `'{ sh; echo $? > code; } 2>&1 | true; exit $(cat code)'`;
    const piped = `relaycerts show mailhost --format sh | ssh root@${home.hostname} ${remote}`;
    await putsBack(home, () => breakMeanwhile(() => desk.run(piped, true)));
  });

  test('Postfix stops at the reload: the port is taken, but not in any list', async () => {
    const bind = `use Socket; socket(S, PF_INET, SOCK_STREAM, 0); bind(S, sockaddr_in(2500, INADDR_ANY)) or die;
my $pid = fork // die; if ($pid) { print $pid; exit } sleep 3600`;
    await relay.sh(`perl -e '${bind}' > /run/bound.pid 2> /run/bound.log`);
    const { stderr } = await putsBack(relay, () => desk.script(relay));
    await relay.sh('kill $(cat /run/bound.pid)');
    expect(stderr).toMatch(/Postfix stopped at the reload|does not listen on port 2500/);
    expect(stderr).toMatch(asItWas);
    await relay.exec(['postfix', 'status']);
    expect((await relay.exec(['ss', '-Hltn', 'sport = :25'])).stdout).not.toBe('');
  });

  test('SIGHUP and SIGTERM', async () => {
    const cases = [
      ['HUP', 129, relay],
      ['TERM', 143, home],
    ] as const;
    const signalled = cases.map(async ([signal, status, host]) => {
      const { code, stderr } = await putsBack(host, async () => {
        // The script's first sleep is after its reload.
        const words = `ls /etc/postfix/*.relaycerts-old > /run/lab/changing; kill -${signal} $PPID`;
        const ended = await precededBy(host, 'sleep', words, () => desk.script(host));
        expect(await host.readFile('/run/lab/changing')).toMatch(/^\/etc\/postfix\/master\.cf\.relaycerts-old$/m);
        return ended;
      });
      expect(stderr).toMatch(asItWas);
      expect(code).toBe(status);
      await host.exec(['postfix', 'status']);
    });
    await Promise.all(signalled);
    const closed = async (): Promise<boolean> => (await relay.exec(['ss', '-Hltn', 'sport = :2500'])).stdout === '';
    await expect.poll(closed, { timeout: patienceMs }).toBe(true);
  });

  test('and once nothing is wrong, it works', async () => {
    await desk.install(relay, home);
  });
});
