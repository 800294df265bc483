// The script as on other systems: with nothing but busybox beside Postfix and openssl, a Postfix that was built with
// another configuration folder, no chroot, and lmdb tables. Each role has its own mount and network namespace.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { builtElsewhere, onlyBusybox, otherFolder } from '../support/other-systems.js';
import { makeProject, smallSettings, type Project } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { stockPostfix } from '../support/stock-postfix.js';
import { succeed } from '../support/succeed.js';
import { folder as bundle } from '../support/folder.js';

let project: Project;
const scripts: Record<string, string> = {};

/** The lines that the commands print on such a host, without those that say that all is well, and their exit status. */
function onHost(commands: string): { readonly said: readonly string[]; readonly status: number | null } {
  const host = `${stockPostfix}${builtElsewhere}${onlyBusybox}exec 2>&1
ip link set lo up
receive() { mkdir -p -m 700 ${bundle} && cp "$project/hosts/$1.example.org/"* ${bundle}/; }
state() { cat ${otherFolder}/m*.cf && ls -ln ${otherFolder}/m*.cf | awk '{ print $1, $3, $4 }'; }
run() { echo "$1:"; printf "%s\\n" "$2" | sh || echo "ended with $?"; }
postconf -e maillog_file=/var/spool/postfix/maillog
# Readers of main.cf wait until its last edit is two seconds old.
touch -t 200001010000 ${otherFolder}/main.cf
postfix start
state >/mnt/before
`;
  const env = { ...process.env, ...scripts, project: project.folder, node: process.execPath };
  const { stdout, status } = spawnSync('unshare', ['--mount', '--net', 'sh', '-c', `${host}${commands}`], { env });
  const lines = stdout.toString().trimEnd().split('\n');
  return { said: lines.map((line) => line.replace(/^relaycerts: /u, '')), status };
}

/** The second run changes nothing, nothing is in /etc/postfix but our folder, and undo puts everything back. */
const twiceAndBack = (host: string): string => `
receive ${host}
run first "$${host}"
state | cmp -s - /mnt/before && echo 'nothing was changed'
run again "$${host}"
ls /etc/postfix
run undo "$${host}_undo"
state | cmp - /mnt/before
postfix stop
`;

const missing = (hint: string) => [
  'error: Postfix is not installed on mailhost.example.org',
  `hint: ${hint}`,
  'ended with 1',
];

beforeAll(async () => {
  requireTools('postconf', 'openssl', 'busybox', 'unshare', 'ip');
  project = makeProject(smallSettings());
  succeed(await project.run(['make', '--quiet']));
  scripts['in_chroot'] = succeed(await project.run(['show', 'mailhost', '--format', 'sh'])).stdout;
  project.settings(smallSettings({ postfix: { tableType: 'lmdb', masterChroot: 'n' } }));
  for (const host of ['relayhost', 'mailhost']) {
    scripts[host] = succeed(await project.run(['show', host, '--format', 'sh'])).stdout;
    scripts[`${host}_undo`] = succeed(await project.run(['show', host, '--format', 'sh', '--undo'])).stdout;
  }
});
scripts['mail_log'] = readFileSync('src/remote/mail-log.sh', 'utf8');
afterAll(() => {
  project.remove();
});

// What semanage printed of Debian's policy 2.20221101, before and after the port got its label there.
it('a relay: a port that it cannot have is refused, then it is set up and undone', () => {
  const { said, status } = onHost(`receive relayhost
printf '#!/bin/sh\\necho Enforcing\\n' >/usr/sbin/getenforce
cat >/usr/sbin/semanage <<'END'
#!/bin/sh
cat <<'PORTS'
SELinux Port Type              Proto    Port Number

amavisd_send_port_t            tcp      10025
smtp_port_t                    tcp      25, 465, 587
unreserved_port_t              tcp      1024-65535
PORTS
END
chmod 755 /usr/sbin/getenforce /usr/sbin/semanage
run 'no label' "$relayhost"
sed -i 's/ 25, 465/ 2500, 25, 465/' /usr/sbin/semanage
"$node" -e 'require("net").createServer().listen(2500)' &
until netstat -an | grep -q :2500; do sleep 0.1; done
run 'another program' "$relayhost"
kill $!
{ cat /etc/services && echo 'rtsserv 2500/tcp'; } >/mnt/services
mount --bind /mnt/services /etc/services
postconf -M 'rtsserv/inet=rtsserv inet n - n - - smtpd'
run 'another service' "$relayhost"
postconf -MX rtsserv/inet
state >/mnt/before
${twiceAndBack('relayhost')}`);
  expect(said).toEqual([
    'no label:',
    'error: SELinux on relayhost.example.org does not let Postfix listen on port 2500',
    'hint: semanage port -a -t smtp_port_t -p tcp 2500',
    'ended with 1',
    'another program:',
    'error: another program listens on port 2500 of relayhost.example.org',
    'hint: choose another port in the settings; ss -ltnp shows the program',
    'ended with 1',
    'another service:',
    'error: master.cf has a service rtsserv on port 2500 that is not ours',
    'hint: choose another port in the settings, or remove it: postconf -MX rtsserv/inet && postfix reload',
    'ended with 1',
    'first:',
    'cannot tell whether the MX of example.org is this relay: neither dig nor host answers',
    'relayhost.example.org is set up: port 2500 relays only for the listed clients; look for "Trusted" in its mail log',
    'again:',
    'cannot tell whether the MX of example.org is this relay: neither dig nor host answers',
    'nothing to change on relayhost.example.org: port 2500 relays only for the listed clients; look for "Trusted" in its mail log',
    'relaycerts',
    'undo:',
    `relayhost.example.org is as it was before; its key and certificates are still there: rm -r ${bundle}`,
  ]);
  expect(status).toBe(0);
});

it('a home: a chroot in which it finds no relay is refused, then it is set up and undone', () => {
  const { said, status } = onHost(`receive mailhost
postconf -M 'smtp/unix=smtp unix - - n - - smtp'
run 'in a chroot' "$in_chroot"
state >/mnt/before
${twiceAndBack('mailhost')}
rm /usr/sbin/postconf
for tool in apk dnf pkg; do
  printf '#!/bin/sh\\n' >"/usr/sbin/$tool"
  chmod 755 "/usr/sbin/$tool"
  run "with $tool" "$mailhost"
  rm "/usr/sbin/$tool"
done
run 'with none' "$mailhost"
mount -t tmpfs none /var/log
echo 'everything' >/var/log/messages
mode=once sh -c "$mail_log"
`);
  expect(said).toEqual([
    'in a chroot:',
    'error: Postfix on mailhost.example.org uses no chroot, and inside one it could not look up the relay: /var/spool/postfix/etc/resolv.conf is missing',
    'hint: set postfix.masterChroot in the settings to "n"',
    'ended with 1',
    'first:',
    'mailhost.example.org is set up: it sends its mail to relayhost.example.org:2500 over verified TLS; look for "Verified" in its mail log',
    'again:',
    'nothing to change on mailhost.example.org: it sends its mail to relayhost.example.org:2500 over verified TLS; look for "Verified" in its mail log',
    'relaycerts',
    'undo:',
    `mailhost.example.org is as it was before; its key and certificates are still there: rm -r ${bundle}`,
    'with apk:',
    ...missing('install it: apk add postfix'),
    'with dnf:',
    ...missing('install it: dnf install postfix'),
    'with pkg:',
    ...missing('install it: pkg install postfix'),
    'with none:',
    ...missing('install the package postfix, which may have another name there'),
    'reading the mail log',
    'everything',
  ]);
  expect(status).toBe(0);
});
