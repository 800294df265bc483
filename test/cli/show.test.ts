// `relaycerts show`: sections, formats and refusals, as the whole program prints them.

import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answerOf } from '../support/answer.js';
import { makeProject, smallSettings, treeOf, type Project } from '../support/project.js';

let project: Project;
beforeAll(async () => {
  project = makeProject();
  expect((await project.run(['make'])).status).toBe(0);
});
afterAll(() => {
  project.remove();
});

const show = async (...args: readonly string[]): Promise<string> => {
  const result = await project.run(['show', ...args]);
  expect([result.status, result.stderr]).toEqual([0, '']);
  return result.stdout;
};

describe('show', () => {
  it('prints every host, relays first; a host is named by label or FQDN', async () => {
    const all = await show();
    expect(all.indexOf('relayhost.example.org: smtpd-server')).toBe(0);
    expect(all.indexOf('mailhost.example.org: smtp-client')).toBeGreaterThan(0);
    expect(all).toBe((await show('relayhost')) + (await show('mailhost.example.org')));
    expect(await show('MAILHOST')).toBe(await show('mailhost'));
  });

  it('writes nothing and needs no key', async () => {
    const elsewhere = makeProject();
    await elsewhere.run(['make']);
    const before = await show();
    rmSync(elsewhere.path('certs/ca/example.org-ca.key.pem'));
    rmSync(elsewhere.path('hosts'), { recursive: true });
    const tree = treeOf(elsewhere.folder);
    expect((await elsewhere.run(['show', 'mailhost', '--section', 'main.cf'])).stdout).toBe(
      await show('mailhost', '--section', 'main.cf'),
    );
    expect(treeOf(elsewhere.folder)).toEqual(tree);
    elsewhere.remove();
    expect(before).toBe(await show());
  });

  it('reports that its output found no room, and how to fix it', () => {
    const under = ['sh', '-c', 'exec "$@" >/dev/full', 'sh'];
    expect(project.spawn(['show'], { under })).toEqual({
      status: 1,
      stdout: '',
      stderr:
        'relaycerts: error: cannot write to standard output: the disk is full\n' +
        'relaycerts: hint: make room there, or send the output elsewhere, and run the same command again\n',
    });
  });

  it('main.cf: the lines of the home host', async () => {
    expect(await show('mailhost', '--section', 'main.cf')).toBe(`# >>> relaycerts: main.cf on mailhost.example.org
default_transport = relaycerts
relayhost = [relayhost.example.org]:2500
# <<< relaycerts
`);
  });

  it('master.cf: the transport of the home host', async () => {
    expect(await show('mailhost', '--section', 'master.cf')).toBe(`# >>> relaycerts: master.cf on mailhost.example.org
relaycerts unix - - y - 10 smtp
  -o syslog_name=postfix/relaycerts
  -o smtp_tls_security_level=secure
  -o smtp_tls_policy_maps=static:secure
  -o smtp_tls_wrappermode=no
  -o smtp_discard_ehlo_keywords=
  -o smtp_discard_ehlo_keyword_address_maps=
  -o smtp_never_send_ehlo=no
  -o smtp_tls_secure_cert_match=nexthop
  -o smtp_cname_overrides_servername=no
  -o smtp_tls_CAfile=/etc/postfix/relaycerts/example.org/example.org-ca.crt.pem
  -o smtp_tls_CApath=
  -o tls_append_default_CA=no
  -o smtp_tls_trust_anchor_file=
  -o smtp_tls_chain_files=/etc/postfix/relaycerts/example.org/mailhost.example.org.chain.pem
  -o smtp_tls_cert_file=
  -o smtp_tls_key_file=
  -o smtp_tls_eccert_file=
  -o smtp_tls_eckey_file=
  -o smtp_tls_mandatory_protocols=!SSLv2,!SSLv3,!TLSv1,!TLSv1.1
  -o smtp_tls_connection_reuse=no
  -o smtp_tls_loglevel=1
  -o smtp_sasl_auth_enable=no
  -o smtp_fallback_relay=
  -o soft_bounce=yes
# Postfix 3.9 and later:
  -o smtp_tls_enable_rpk=no
# Postfix 3.10 and later:
  -o tls_required_enable=no
# <<< relaycerts
`);
  });

  it('master.cf: the services of the relay', async () => {
    const text = await show('relayhost', '--section', 'master.cf');
    expect(text.startsWith('# >>> relaycerts: master.cf on relayhost.example.org\n2500 inet n - y - - smtpd\n')).toBe(
      true,
    );
    expect(text).toContain(`
  -o smtpd_tls_CAfile=/etc/postfix/relaycerts/example.org/example.org-ca.crt.pem
  -o smtpd_tls_CApath=
`);
    expect(text).toContain('\n  -o smtpd_relay_restrictions=permit_tls_clientcerts,defer\n');
    expect(text).toContain(`
# Postfix 3.10 and later:
  -o smtpd_hide_client_session=yes
`);
    expect(text).toContain('\n  -o tlsmgr_service_name=relaycerts-2500-tlsmgr\n');
    expect(text).toContain('\nrelaycerts-2500-tlsmgr unix - - y 1000? 1 tlsmgr\n  -o ');
    expect(text).toContain('\nrelaycerts-2500-cleanup unix n - y - 0 cleanup\n  -o ');
  });

  it('relay_clientcerts: the text of the bundle', async () => {
    const lines = (await show('relayhost', '--section', 'relay_clientcerts')).split('\n');
    expect(`${lines.slice(1, -2).join('\n')}\n`).toBe(project.read('hosts/relayhost.example.org/relay_clientcerts'));
  });

  it('--json: every section of every host, and the script', async () => {
    const { hosts } = answerOf<{
      hosts: { host: string; role: string; sections: Record<string, unknown>; script: string }[];
    }>(await show('--json'));
    expect(await show('--format', 'json')).toBe(await show('--json'));
    // One shape for any number of hosts.
    expect(answerOf(await show('mailhost', '--json'))).toMatchObject({ hosts: [hosts[1]] });
    expect(hosts.map(({ host, role, sections }) => [host, role, Object.keys(sections)])).toEqual([
      ['relayhost.example.org', 'smtpd-server', ['rsync', 'master.cf', 'relay_clientcerts', 'install', 'verify']],
      ['mailhost.example.org', 'smtp-client', ['rsync', 'main.cf', 'master.cf', 'install', 'verify']],
    ]);
    expect(hosts[1]?.script).toBe(await show('mailhost', '--format', 'sh'));
  });

  it('names the settings file in its commands if it has another name', async () => {
    project.write('other.json', JSON.stringify(smallSettings()));
    const text = await show('mailhost', '--settings', 'other.json');
    expect(text).toContain('relaycerts --settings other.json show mailhost.example.org --format sh | ssh');
  });

  it('prints nothing that Postfix calls deprecated', async () => {
    const everything =
      (await show()) + (await show('mailhost', '--format', 'sh')) + (await show('relayhost', '--format', 'sh'));
    expect(everything).not.toMatch(
      /smtp_enforce_tls|smtp_use_tls|smtpd_use_tls|smtpd_enforce_tls|per_site|permit_tls_all_clientcerts|smtp_tls_cert_file=\S/u,
    );
  });

  it.each([
    [['show', 'nohost'], 2, /have no host "nohost"/u],
    [['show', '$(id)'], 2, /have no host "\$\(id\)"/u],
    [['show', '--format', 'sh'], 2, /a script is for one host/u],
    [['show', 'mailhost', '--format', 'sh', '--section', 'main.cf'], 2, /has no script of its own/u],
    [['show', '--section', 'everything'], 2, /Allowed choices/u],
  ])('%j: exit %d and one clear error', async (args, status, says) => {
    const result = await project.run(args);
    expect(result.status).toBe(status);
    expect(result.stderr).toMatch(says);
    expect(result.stderr).toMatch(/relaycerts: hint: \S/u);
    // What is piped to a shell fails there too.
    expect(result.stdout).toBe(args.includes('sh') ? 'exit 1\n' : '');
  });

  it('before make: reports that there is no certificate yet', async () => {
    const fresh = makeProject();
    const result = await fresh.run(['show']);
    fresh.remove();
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(
      /no certificate yet for relayhost\.example\.org, mailhost\.example\.org\nrelaycerts: hint: relaycerts make/u,
    );
  });
});
