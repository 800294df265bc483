// How long the commands take, as ratios within this one run: to `node -e 0`, and for the first make to a shell script
// that does the same work with openssl and gpg. Rounds are interleaved, so that a machine whose speed drifts slows all
// alike. Usage: npm run bench [-- ROUNDS]

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const rounds = Number(process.argv[2] ?? 15);
const program = resolve('bin/relaycerts.js');
const root = mkdtempSync(join(tmpdir(), 'relaycerts-bench-'));
const keyTypes = ['ecdsa-p256', 'rsa-2048'];
// It alone doubles Node's own start.
const { NODE_EXTRA_CA_CERTS: _, ...environment } = process.env;

let folders = 0;
function freshFolder(keyType) {
  folders += 1;
  const folder = join(root, String(folders));
  mkdirSync(join(folder, 'home'), { recursive: true });
  const settings = {
    domain: 'example.org',
    smtpdServers: [{ hostname: 'relayhost' }],
    smtpClients: [{ hostname: 'mailhost' }],
    ca: { keyType },
    certificates: { keyType },
  };
  writeFileSync(join(folder, 'settings.json'), JSON.stringify(settings));
  return folder;
}

function run(folder, command, args) {
  const start = performance.now();
  const result = spawnSync(command, args, {
    cwd: folder,
    env: { ...environment, HOME: join(folder, 'home'), XDG_CONFIG_HOME: '', GNUPGHOME: join(root, 'gnupg') },
  });
  const ms = performance.now() - start;
  if (result.status !== 0)
    throw new Error(`${command} ${args.join(' ')} failed: ${String(result.stderr ?? result.error)}`);
  return ms;
}

// The same files as make: a passphrase encrypted with OpenPGP, an encrypted CA key, one relay, one client, the pin.
const script = (keyType) => {
  const generate =
    keyType === 'rsa-2048'
      ? 'genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048'
      : 'genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256';
  return `set -eu
umask 077
mkdir -p certs/ca certs/smtpd-server certs/smtp-client
passphrase=$(openssl rand -hex 32)
printf %s "$passphrase" | gpg --batch --quiet --yes --trust-model always -e -r bench@example.org -o home/passphrase.gpg
openssl ${generate} -aes-256-cbc -pass fd:3 -out certs/ca/ca.key.pem 3<<END 2>/dev/null
$passphrase
END
openssl req -x509 -new -key certs/ca/ca.key.pem -passin fd:3 -days 3650 -subj '/CN=example.org relay CA' \\
  -addext 'basicConstraints=critical,CA:TRUE,pathlen:0' -addext 'keyUsage=critical,keyCertSign,cRLSign' -out certs/ca/ca.crt.pem 3<<END
$passphrase
END
for pair in smtpd-server:relayhost:serverAuth smtp-client:mailhost:clientAuth; do
  IFS=: read -r role name usage <<END
$pair
END
  openssl ${generate} -out certs/$role/$name.key.pem 2>/dev/null
  openssl req -new -key certs/$role/$name.key.pem -subj "/CN=$name.example.org" -out $name.csr
  printf 'basicConstraints=critical,CA:FALSE\\nkeyUsage=critical,digitalSignature\\nextendedKeyUsage=%s\\nsubjectAltName=DNS:%s.example.org\\n' $usage $name >$name.ext
  openssl x509 -req -in $name.csr -CA certs/ca/ca.crt.pem -CAkey certs/ca/ca.key.pem -passin fd:3 -days 398 -extfile $name.ext -out certs/$role/$name.crt.pem 2>/dev/null 3<<END
$passphrase
END
done
openssl x509 -in certs/smtp-client/mailhost.crt.pem -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 -c >pin
`;
};

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

function prepareGnuPg() {
  const home = join(root, 'gnupg');
  mkdirSync(home, { mode: 0o700 });
  run(freshFolder('ecdsa-p256'), 'gpg', [
    '--batch',
    '--quiet',
    '--passphrase',
    '',
    '--quick-gen-key',
    'bench@example.org',
    'future-default',
    'default',
    'never',
  ]);
}

try {
  prepareGnuPg();
  const times = new Map();
  const time = (name, ms) => times.set(name, [...(times.get(name) ?? []), ms]);
  for (let round = 0; round <= rounds; round += 1) {
    // Round 0 warms the caches and is not counted.
    const count = round === 0 ? () => undefined : time;
    count('node -e 0', run(root, 'node', ['-e', '0']));
    count('--help', run(root, 'node', [program, '--help']));
    for (const keyType of keyTypes) {
      const folder = freshFolder(keyType);
      count(`first make, ${keyType}`, run(folder, 'node', [program, 'make']));
      if (keyType === 'ecdsa-p256') {
        count('second make', run(folder, 'node', [program, 'make']));
        count('fingerprint', run(folder, 'node', [program, 'fingerprint']));
        count('show --format sh', run(folder, 'node', [program, 'show', 'mailhost', '--format', 'sh']));
      }
      const other = freshFolder(keyType);
      count(`openssl + gpg script, ${keyType}`, run(other, 'sh', ['-c', script(keyType)]));
    }
  }
  const base = median(times.get('node -e 0'));
  console.log(`node ${process.version}, ${rounds} rounds, medians`);
  for (const [name, values] of times) {
    const ms = median(values);
    const versus = name.startsWith('first make')
      ? times.get(name.replace('first make', 'openssl + gpg script'))
      : undefined;
    const ratio = versus === undefined ? '' : `   ${(ms / median(versus)).toFixed(2)} x openssl + gpg`;
    console.log(
      `${name.padEnd(34)} ${ms.toFixed(0).padStart(6)} ms   ${(ms / base).toFixed(2).padStart(6)} x node -e 0${ratio}`,
    );
  }
  if (process.env.BENCH_JSON !== undefined) {
    writeFileSync(
      process.env.BENCH_JSON,
      JSON.stringify(Object.fromEntries([...times].map(([name, values]) => [name, median(values)]))),
    );
  }
} finally {
  spawnSync('gpgconf', ['--homedir', join(root, 'gnupg'), '--kill', 'all']);
  rmSync(root, { recursive: true, force: true });
}
