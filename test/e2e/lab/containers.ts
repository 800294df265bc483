// What the images do with a folder that `export docker` wrote, on a host of the lab: the steps that their own start
// scripts and manuals describe, in our words, on the stock Postfix of this release. A published port is a service there
// without settings of its own, because a container's main.cf holds for every port.

import { variablesOf } from '../../support/env-file.js';
import type { MailHost } from './mail-host.js';
import type { Desk } from './operator.js';

export const images = ['mail-gateway', 'boky', 'docker-mailserver', 'mailcow'] as const;
export type Image = (typeof images)[number];

/** Copies the operator's folder to the host, keeping modes, as /run/container. */
async function carry(desk: Desk, folder: string, host: MailHost): Promise<void> {
  const { stdout } = await desk.run(`tar -C ${folder} -c . | base64`);
  await host.exec(
    ['sh', '-euc', 'rm -rf /run/container; mkdir /run/container; base64 -d | tar -C /run/container -x -p'],
    {
      input: stdout,
    },
  );
}

/** The host becomes the container. */
export async function startContainer(desk: Desk, folder: string, host: MailHost, image: Image): Promise<void> {
  await carry(desk, folder, host);
  await host.sh('for name in tls trust relaycerts; do rm -rf "/etc/postfix/$name"; done');
  await starts[image](host);
  await host.reload();
}

/** What the volume of the compose file does. */
const mounted = 'mkdir /etc/postfix/relaycerts && cp -a /run/container/relaycerts /etc/postfix/relaycerts/example.org';

const starts: Readonly<Record<Image, (host: MailHost) => Promise<void>>> = {
  'mail-gateway': startMailGateway,
  boky: startBoky,
  'docker-mailserver': async (host) => {
    await host.sh(`${mounted} && sh -eu /run/container/user-patches.sh`);
  },
  mailcow: async (host) => {
    const text = await host.readFile('/run/container/data/conf/postfix/extra.cf');
    await host.sh('cp -a /run/container/data/conf/postfix/relaycerts /etc/postfix/');
    // The lab has no /opt of its own. Its main.cf has "!SSLv2" or not; what we add must not.
    if (/!SSLv[23]|>=TLSv1(?:\.[01])?$/mu.test(text)) throw new Error(`mailcow would allow TLS 1.0: ${text}`);
    await appendMain(host, text.replaceAll('/opt/postfix/conf/', '/etc/postfix/').split('\n'));
  },
};

/**
 * The last entry of a name counts. Postfix warns of the others, and its postlogd, which the lab has in place of a syslog
 * daemon, hangs if it warns while it starts: so only what counts stays.
 */
async function appendMain(host: MailHost, lines: readonly string[]): Promise<void> {
  const script = `cd /etc/postfix && cat >> main.cf && postconf -n > main.cf.new 2> /dev/null && mv main.cf.new main.cf`;
  await host.exec(['sh', '-c', script], { input: `${lines.join('\n')}\n` });
}

/** The service of the image's own port. */
async function publish(host: MailHost): Promise<void> {
  await host.exec(['postconf', '-M', '2500/inet=2500 inet n - y - - smtpd']);
}

async function hasFiles(host: MailHost, ...paths: readonly string[]): Promise<boolean> {
  const found = await Promise.all(paths.map((path) => host.machine.exists(path)));
  return found.every(Boolean);
}

async function startMailGateway(host: MailHost): Promise<void> {
  const tls = '/etc/postfix/tls';
  const env = variablesOf(await host.readFile('/run/container/mail-gateway.env'));
  await host.sh(`cp -a /run/container/tls ${tls}
if [ -d /run/container/trust ]; then
  mkdir -p /var/spool/postfix/etc/postfix
  cp -a /run/container/trust /etc/postfix/
  rm -rf /var/spool/postfix/etc/postfix/trust
  cp -a /run/container/trust /var/spool/postfix/etc/postfix/
fi
sed -i 's/^smtpd*_tls_.*//' /etc/postfix/main.cf`);
  const restrictions = 'permit_mynetworks,permit_tls_all_clientcerts,reject_unauth_destination';
  const main: Record<string, string> = { mynetworks: '127.0.0.0/8', smtpd_relay_restrictions: '' };
  const relayhost = env.get('RELAYHOST');
  if (relayhost !== undefined) main['relayhost'] = relayhost;
  if (await hasFiles(host, `${tls}/client.crt`, `${tls}/client.key`)) {
    main['smtp_tls_security_level'] = env.get('POSTFIX_SSL_OUT_SECURITY_LEVEL') ?? 'may';
    main['smtp_tls_cert_file'] = `${tls}/client.crt`;
    main['smtp_tls_key_file'] = `${tls}/client.key`;
  }
  if (await hasFiles(host, `${tls}/bundle.crt`, `${tls}/cert.key`)) {
    main['smtpd_tls_security_level'] = env.get('POSTFIX_SSL_IN_SECURITY_LEVEL') ?? 'may';
    main['smtpd_tls_cert_file'] = `${tls}/bundle.crt`;
    main['smtpd_tls_key_file'] = `${tls}/cert.key`;
    main['smtpd_tls_session_cache_database'] = 'btree:${data_directory}/smtpd_scache';
    await publish(host);
  }
  if (await hasFiles(host, `${tls}/rootCA.crt`)) {
    main['smtpd_tls_ask_ccert'] = 'yes';
    main['smtpd_tls_CAfile'] = `${tls}/rootCA.crt`;
    main['smtpd_recipient_restrictions'] = restrictions;
  }
  if (await hasFiles(host, `${tls}/relay_clientcerts`)) {
    main['relay_clientcerts'] = `hash:${tls}/relay_clientcerts`;
    main['smtpd_recipient_restrictions'] = restrictions;
  }
  await host.setMainCf(main);
  const raw = 'POSTFIX_RAW_CONFIG_';
  const ours = [...env].filter(([name]) => name.startsWith(raw));
  await appendMain(
    host,
    ours.map(([name, value]) => `${name.slice(raw.length).toLowerCase()}=${value}`),
  );
}

async function startBoky(host: MailHost): Promise<void> {
  const env = variablesOf(await host.readFile('/run/container/boky.env'));
  await host.sh(mounted);
  const main: Record<string, string> = {
    mynetworks: '127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16',
    smtpd_helo_required: 'yes',
    smtpd_client_restrictions: 'permit_mynetworks,permit_sasl_authenticated,reject',
    smtpd_helo_restrictions: 'permit_mynetworks,reject_invalid_helo_hostname,permit',
    smtpd_sender_restrictions: 'permit_mynetworks,reject',
    smtp_tls_security_level: 'may',
    mydestination: '',
    relay_domains: '',
  };
  const relayhost = env.get('RELAYHOST');
  if (relayhost !== undefined) {
    main['relayhost'] = relayhost;
    main['smtp_tls_CAfile'] = '/etc/ssl/certs/ca-certificates.crt';
  }
  if (env.has('ALLOWED_SENDER_DOMAINS')) main['smtpd_relay_restrictions'] = 'permit';
  else if (!env.has('ALLOW_EMPTY_SENDER_DOMAINS')) throw new Error('boky/postfix would not start');
  if (relayhost === undefined) await publish(host);
  await host.setMainCf(main);
  await applyBoky(host, env);
  // When it is started again, each "hash:" in main.cf becomes "lmdb:", and what follows, up to a comma, is made into a
  // table if it is a file: the script ends if that fails, as in a folder mounted read-only.
  const found = await host.sh(`sed -i -E '/^#/!s/(hash|btree):/lmdb:/g' /etc/postfix/main.cf
grep -v '^#' /etc/postfix/main.cf | grep -oE 'lmdb:/etc/postfix/relaycerts/example.org[^,]*' | while IFS=: read -r _ file; do
  if [ -f "$file" ]; then echo "$file"; fi
done`);
  if (found.stdout !== '') throw new Error(`boky/postfix would make a table of ${found.stdout}`);
  await host.sh(`sed -i 's/lmdb:/hash:/g' /etc/postfix/main.cf`);
  await applyBoky(host, env);
}

/** An empty variable removes the parameter. */
async function applyBoky(host: MailHost, env: ReadonlyMap<string, string>): Promise<void> {
  const prefix = 'POSTFIX_';
  const ours = [...env].flatMap(([name, value]): (readonly [string, string])[] =>
    name.startsWith(prefix) ? [[name.slice(prefix.length), value]] : [],
  );
  const set = ours.filter(([, value]) => value !== '').map(([name, value]) => `${name}=${value}`);
  const gone = ours.filter(([, value]) => value === '').map(([name]) => name);
  await host.exec(['postconf', '-e', ...set]);
  await host.exec(['postconf', '-X', ...gone]);
}
