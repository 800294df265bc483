// Certificates made by openssl, good and bad ones, for what must be true of Postfix whoever issued them. They are made
// in a machine's own memory; relaycerts has no part in them.

import type { Machine } from './machine.js';

export interface CertificateOptions {
  /** The commonName and the only dNSName. */
  readonly name: string;
  readonly purpose: 'clientAuth' | 'serverAuth';
  /** The signer: a CA that `makeCa` returned; by default self-signed. */
  readonly issuer: Authority | 'self';
  /** True if it ended years ago. */
  readonly expired?: boolean;
}

export interface Authority {
  readonly certificate: string;
  readonly key: string;
}

export interface Credential extends Authority {
  /** Key first, then the certificate, as smtp_tls_chain_files expects. */
  readonly chain: string;
  /** Upper-case hexadecimal octets with colons: the pins that relay_clientcerts may list. */
  readonly publicKeySha256: string;
  readonly certificateSha256: string;
}

const newKey = 'openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem';

/** The digest in a line of `openssl x509 -fingerprint` or `openssl dgst -c`. */
function digestOf(line: string): string {
  return line
    .trim()
    .replace(/^.*= ?/, '')
    .toUpperCase();
}

async function inFreshFolder(machine: Machine, script: string, args: readonly string[]): Promise<readonly string[]> {
  const around = `folder=$(mktemp -d)\ntrap 'rm -rf "$folder"' EXIT\ncd "$folder"\n${script}`;
  const { stdout } = await machine.exec(['sh', '-euc', around, 'sh', ...args]);
  return stdout.split('\0');
}

/** Makes a self-signed CA for ten years. */
export async function makeCa(machine: Machine, name: string): Promise<Authority> {
  const script = `${newKey}
openssl req -x509 -new -key key.pem -sha256 -days 3650 -subj "/CN=$1" -out crt.pem \\
  -addext keyUsage=critical,keyCertSign,cRLSign
cat crt.pem; printf '\\0'; cat key.pem`;
  const [certificate = '', key = ''] = await inFreshFolder(machine, script, [name]);
  return { certificate, key };
}

/** Makes a key and a certificate for 30 days from now, or for 30 days in 2020. */
export async function makeCertificate(
  machine: Machine,
  { name, purpose, issuer, expired = false }: CertificateOptions,
): Promise<Credential> {
  const files = issuer === 'self' ? ['', ''] : [issuer.certificate, issuer.key];
  const script = `${newKey}
printf 'basicConstraints=critical,CA:FALSE\\nextendedKeyUsage=%s\\nsubjectAltName=DNS:%s\\n' "$2" "$1" > ext.cnf
openssl req -new -key key.pem -subj "/CN=$1" -out request.pem
set -- "$3" "$4" "$5"
if [ -n "$1" ]; then
  printf '%s' "$1" > ca.pem
  printf '%s' "$2" > ca.key
  signer='-CA ca.pem -CAkey ca.key -CAcreateserial'
else
  signer='-signkey key.pem'
fi
$3 openssl x509 -req -in request.pem -sha256 -days 30 -extfile ext.cnf $signer -out crt.pem 2> /dev/null
cat crt.pem; printf '\\0'; cat key.pem; printf '\\0'
openssl x509 -in crt.pem -noout -fingerprint -sha256; printf '\\0'
openssl x509 -in crt.pem -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 -c`;
  // -days accepts no negative number: an expired certificate is made in the past.
  const past = expired ? 'faketime 2020-01-01' : '';
  const parts = await inFreshFolder(machine, script, [name, purpose, ...files, past]);
  const [certificate = '', key = '', certificateDigest = '', publicKeyDigest = ''] = parts;
  return {
    certificate,
    key,
    chain: key + certificate,
    certificateSha256: digestOf(certificateDigest),
    publicKeySha256: digestOf(publicKeyDigest),
  };
}
