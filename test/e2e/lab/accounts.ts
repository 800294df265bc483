// Who may log in where: sshd on the hosts with root and a sudoer, and the operator's own account, with a key that all
// hosts know and the keys of all hosts, so that ssh and rsync need no flag.

import { rootAccount } from './machine.js';
import type { Account, Machine } from './machine.js';

/** The operator is not root: if rsync kept the operator's ownership, a test must show it. */
export const operatorAccount: Account = {
  name: 'operator',
  uid: 4711,
  home: '/home/operator',
  path: '/opt/bin:/usr/local/bin:/usr/bin:/bin',
};

/** May do everything through sudo, without a password. */
export const adminAccount: Account = {
  name: 'admin',
  uid: 4712,
  home: '/home/admin',
  path: '/usr/local/bin:/usr/bin:/bin',
};

const sshPorts = [22, 2222] as const;

// As on Debian, but without PAM, whose session modules differ between containers.
const sshdConfig = `${sshPorts.map((port) => `Port ${port}`).join('\n')}
KbdInteractiveAuthentication no
PasswordAuthentication no
UsePAM no
PrintMotd no
AcceptEnv LANG LC_*
Subsystem sftp /usr/lib/openssh/sftp-server
PidFile /run/sshd.pid
`;

async function addAccount(machine: Machine, { name, uid, home }: Account): Promise<void> {
  // '*' means no password; '!' would be a locked account, which sshd refuses.
  const script = `echo "$1:x:$2:$2::$3:/bin/sh" >> /etc/passwd
echo "$1:*:19000:0:99999:7:::" >> /etc/shadow
echo "$1:x:$2:" >> /etc/group
mkdir -m 0755 "$3"
chown "$2:$2" "$3"`;
  await machine.execAs(rootAccount, ['sh', '-euc', script, 'sh', name, String(uid), home]);
}

/** Makes the operator's account, ssh key and `relaycerts` command; resolves with the public key's line. */
export async function prepareOperator(operator: Machine): Promise<string> {
  await addAccount(operator, operatorAccount);
  const probe = await operator.exec(['test', '-r', '/opt/relaycerts/package.json'], { anyExit: true });
  if (probe.code !== 0)
    throw new Error('the checkout is closed to others, so the lab operator cannot run it: chmod -R go+rX .');
  await operator.sh('umask 077; mkdir .ssh; ssh-keygen -q -t ed25519 -N "" -C operator -f .ssh/id_ed25519');
  return operator.readFile('.ssh/id_ed25519.pub');
}

/** Starts sshd (ports 22 and 2222) with new host keys, for root and admin; resolves with the host's known_hosts lines. */
export async function startSshd(host: Machine, address: string, operatorKey: string): Promise<string> {
  await addAccount(host, adminAccount);
  await host.writeFile('/etc/ssh/sshd_config', sshdConfig);
  await host.writeFile('/etc/sudoers.d/admin', 'admin ALL=(ALL:ALL) NOPASSWD: ALL\n', '0440');
  for (const { home } of [rootAccount, adminAccount]) {
    await host.writeFile(`${home}/.ssh/authorized_keys`, operatorKey, '0600');
  }
  const script = `chown -R admin:admin /home/admin/.ssh
chmod 0700 /root/.ssh /home/admin/.ssh
sed -i 's/^root:[^:]*:/root:*:/' /etc/shadow
rm -f /etc/ssh/ssh_host_* /etc/ssh/sshd_config.d/*
ssh-keygen -q -t ed25519 -N "" -C "" -f /etc/ssh/ssh_host_ed25519_key
mkdir -m 0755 /run/sshd
/usr/sbin/sshd -E /var/log/sshd.log`;
  await host.exec(['sh', '-euc', script]);
  const key = (await host.readFile('/etc/ssh/ssh_host_ed25519_key.pub')).trim();
  // With the address, because CheckHostIP (the default before OpenSSH 8.5) would add it, and print that.
  const names = [host.hostname, address];
  return sshPorts
    .map((port) => `${names.map((name) => (port === 22 ? name : `[${name}]:${port}`)).join(',')} ${key}\n`)
    .join('');
}

/**
 * Gives the operator the hosts' known_hosts lines, and opens one connection to root on each, which later commands
 * share: handshakes would take half their time. Without ~/.ssh/config, each command opens its own again.
 */
export async function connectOperator(
  operator: Machine,
  knownHosts: string,
  hostnames: readonly string[],
): Promise<void> {
  await operator.writeFile('.ssh/known_hosts', knownHosts, '0600');
  await operator.writeFile('.ssh/config', 'ControlPath ~/.ssh/to-%C\n', '0600');
  // The connection must not hold the pipes of the call that opens it.
  const open = 'ssh -MNf "root@$1" > ".ssh/$1.log" 2>&1 || { cat ".ssh/$1.log"; exit 1; }';
  await Promise.all(hostnames.map((hostname) => operator.exec(['sh', '-c', open, 'sh', hostname])));
}
