// The network between the machines: a bridge in its own namespace, with a DNS server for the lab's names. No route
// leads out of it, and the real machine has no interface on it.

import { bootMachine, runProcess } from './machine.js';
import type { Machine } from './machine.js';

/** RFC 5737 TEST-NET-1: addresses that belong to nobody. */
const network = '192.0.2';
const serverAddress = `${network}.1`;

/** Anything on the wire: its DNS name, its last octet, and the domain whose mail it accepts. */
export interface Station {
  readonly hostname: string;
  readonly octet: number;
  readonly mxOf?: string;
}

export function addressOf(station: Station): string {
  return `${network}.${station.octet}`;
}

/** Starts the bridge and the DNS server, which knows the stations by A, PTR and MX records and answers nothing else. */
export async function bootWire(stations: readonly Station[]): Promise<Machine> {
  const wire = await bootMachine({ hostname: 'wire' });
  const names = stations.map((station) => `${addressOf(station)} ${station.hostname}\n`).join('');
  await wire.writeFile('/run/lab/names', names);
  await wire.sh(`ip link add wire type bridge && ip address add ${serverAddress}/24 dev wire && ip link set wire up`);
  await wire.exec([
    'dnsmasq',
    '--conf-file=/dev/null',
    '--pid-file=/run/dnsmasq.pid',
    '--user=root',
    '--no-hosts',
    '--no-resolv',
    '--addn-hosts=/run/lab/names',
    `--listen-address=${serverAddress}`,
    '--bind-interfaces',
    // Without an upstream server, every other name does not exist: an answer, whereas silence would be a timeout.
    '--local=/#/',
    ...stations.flatMap((station) =>
      station.mxOf === undefined ? [] : [`--mx-host=${station.mxOf},${station.hostname},10`],
    ),
  ]);
  return wire;
}

/** Plugs a machine into the wire: eth0, its name and address, and the wire's DNS server. */
export async function plugIn(wire: Machine, machine: Machine, station: Station): Promise<void> {
  const port = `port${station.octet}`;
  const enterWire = ['nsenter', '--target', String(wire.pid), '--net', '--', 'sh', '-euc'];
  // The peer's namespace is named by its process ID on the real machine: so not from within the wire's own /proc.
  const script = `ip link add name ${port} type veth peer name eth0 netns ${machine.pid}
ip link set ${port} master wire up`;
  const { code, stderr } = await runProcess([...enterWire, script], { PATH: machine.account.path }, {});
  if (code !== 0) throw new Error(`the lab cannot connect ${station.hostname}: ${stderr.trim()}`);

  const label = station.hostname.split('.')[0] ?? station.hostname;
  await machine.execAs({ name: 'root', uid: 0, home: '/root', path: '/usr/sbin:/usr/bin:/sbin:/bin' }, [
    'sh',
    '-euc',
    'printf "%s" "$1" > /etc/hosts; printf "%s" "$2" > /etc/resolv.conf; printf "%s" "$3" > /etc/nsswitch.conf; ip address add "$4" dev eth0; ip link set eth0 up',
    'sh',
    `127.0.0.1 localhost\n${addressOf(station)} ${station.hostname} ${label}\n`,
    `nameserver ${serverAddress}\noptions timeout:2 attempts:1\n`,
    'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n',
    `${addressOf(station)}/24`,
  ]);
}
