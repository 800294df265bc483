// How other programs do the work of a first make: a CA, a relay's and a client's certificate, and the client's pin.
// Only openssl with gpg also makes a passphrase, encrypts it and encrypts the CA's key with it; the others leave that
// key unencrypted.

/** `script` is POSIX sh for an empty folder; undefined if the peer does not have such keys. */
export const peers = [
  { name: 'openssl + gpg', needs: ['openssl', 'gpg'], script: opensslScript },
  { name: 'cfssl', needs: ['cfssl', 'cfssljson', 'openssl'], script: cfsslScript },
  { name: 'certtool', needs: ['certtool', 'openssl'], script: certtoolScript },
  { name: 'mkcert', needs: ['mkcert', 'openssl'], script: mkcertScript },
  { name: 'easy-rsa', needs: ['easyrsa', 'openssl'], script: easyRsaScript },
  { name: 'minica', needs: ['minica', 'openssl'], script: minicaScript },
  { name: 'cryptography', needs: ['python3'], modules: ['cryptography'], script: cryptographyScript },
];

/** Folders outside PATH where Debian puts them. */
export const peerFolders = ['/usr/share/easy-rsa'];

function opensslScript(keyType) {
  const generate = keyType.startsWith('rsa-')
    ? `genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:${keyType.slice('rsa-'.length)}`
    : 'genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256';
  return `set -eu
umask 077
mkdir -p certs/ca certs/smtpd-server certs/smtp-client
passphrase=$(openssl rand -hex 32)
printf %s "$passphrase" | gpg --batch --quiet --yes --trust-model always -e -r bench@example.org -o passphrase.gpg
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
}

const pin = (certificate) =>
  `openssl x509 -in ${certificate} -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 -c >pin\n`;

const cfsslProfile = (usage) => ({ expiry: '9552h', usages: ['digital signature', usage] });

function cfsslScript(keyType) {
  const [algo, size] = keyType === 'ecdsa-p256' ? ['ecdsa', 256] : ['rsa', Number(keyType.slice('rsa-'.length))];
  const request = (cn, hosts) => JSON.stringify({ CN: cn, hosts, key: { algo, size } });
  const profiles = { server: cfsslProfile('server auth'), client: cfsslProfile('client auth') };
  const config = JSON.stringify({ signing: { default: { expiry: '9552h' }, profiles } });
  return `umask 077
echo '${request('example.org relay CA', [])}' | cfssl gencert -initca - 2>/dev/null | cfssljson -bare ca
echo '${config}' >config.json
for pair in server:relayhost client:mailhost; do
  echo '${request('HOST.example.org', ['HOST.example.org'])}' | sed "s/HOST/\${pair#*:}/g" |
    cfssl gencert -ca ca.pem -ca-key ca-key.pem -config config.json -profile "\${pair%:*}" - 2>/dev/null |
    cfssljson -bare "\${pair#*:}"
done
${pin('mailhost.pem')}`;
}

function certtoolScript(keyType) {
  const generate =
    keyType === 'ecdsa-p256'
      ? '--key-type=ecdsa --curve=secp256r1'
      : `--key-type=rsa --bits=${keyType.slice('rsa-'.length)}`;
  return `umask 077
printf 'cn = "example.org relay CA"\\nca\\ncert_signing_key\\ncrl_signing_key\\nexpiration_days = 3650\\n' >ca.cfg
certtool --generate-privkey ${generate} --no-text --outfile ca.key 2>/dev/null
certtool --generate-self-signed --load-privkey ca.key --template ca.cfg --no-text --outfile ca.pem 2>/dev/null
for pair in tls_www_server:relayhost tls_www_client:mailhost; do
  name=\${pair#*:}
  printf 'cn = "%s.example.org"\\ndns_name = "%s.example.org"\\n%s\\nsigning_key\\nexpiration_days = 398\\n' \\
    "$name" "$name" "\${pair%:*}" >"$name.cfg"
  certtool --generate-privkey ${generate} --no-text --outfile "$name.key" 2>/dev/null
  certtool --generate-certificate --load-privkey "$name.key" --load-ca-certificate ca.pem --load-ca-privkey ca.key \\
    --template "$name.cfg" --no-text --outfile "$name.pem" 2>/dev/null
done
${pin('mailhost.pem')}`;
}

/** Its CA is always RSA-3072 and its leaves RSA-2048 or P-256. */
function mkcertScript(keyType) {
  if (keyType === 'rsa-4096') return undefined;
  const ecdsa = keyType === 'ecdsa-p256' ? '-ecdsa' : '';
  return `export CAROOT="$PWD/ca"
mkdir ca
mkcert ${ecdsa} -cert-file relayhost.pem -key-file relayhost.key relayhost.example.org 2>/dev/null
mkcert ${ecdsa} -client -cert-file mailhost.pem -key-file mailhost.key mailhost.example.org 2>/dev/null
${pin('mailhost.pem')}`;
}

function easyRsaScript(keyType) {
  const kind =
    keyType === 'ecdsa-p256'
      ? 'EASYRSA_ALGO=ec EASYRSA_CURVE=prime256v1'
      : `EASYRSA_ALGO=rsa EASYRSA_KEY_SIZE=${keyType.slice('rsa-'.length)}`;
  return `export EASYRSA_BATCH=1 EASYRSA_PKI="$PWD/pki" ${kind}
easyrsa init-pki >/dev/null 2>&1
EASYRSA_REQ_CN='example.org relay CA' easyrsa build-ca nopass >/dev/null 2>&1
easyrsa build-server-full relayhost.example.org nopass >/dev/null 2>&1
easyrsa build-client-full mailhost.example.org nopass >/dev/null 2>&1
${pin('pki/issued/mailhost.example.org.crt')}`;
}

/** Debian's, which makes only RSA keys. */
function minicaScript(keyType) {
  if (!keyType.startsWith('rsa-')) return undefined;
  const size = keyType.slice('rsa-'.length);
  return `umask 077
minica -ca-key-size ${size} -key-size ${size} -type server relayhost.example.org >/dev/null
minica -ca-key-size ${size} -key-size ${size} -type client mailhost.example.org >/dev/null
${pin('mailhost.example.org.crt')}`;
}

function cryptographyScript(keyType) {
  const generate =
    keyType === 'ecdsa-p256'
      ? 'ec.generate_private_key(ec.SECP256R1())'
      : `rsa.generate_private_key(65537, ${keyType.slice('rsa-'.length)})`;
  return `umask 077
python3 - <<'END'
import datetime
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as usage, NameOID
encoding, plain = serialization.Encoding, serialization.NoEncryption()
def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
def write(path, certificate, key):
    open(path + '.pem', 'wb').write(certificate.public_bytes(encoding.PEM))
    open(path + '.key', 'wb').write(key.private_bytes(encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
def issue(subject, key, days, extensions, signer):
    now = datetime.datetime(2026, 1, 1)
    builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name('example.org relay CA'))
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=days))
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    return builder.sign(signer, hashes.SHA256())
ca = ${generate}
write('ca', issue('example.org relay CA', ca, 3650, [(x509.BasicConstraints(True, 0), True)], ca), ca)
for host, purpose in (('relayhost', usage.SERVER_AUTH), ('mailhost', usage.CLIENT_AUTH)):
    key = ${generate}
    full = host + '.example.org'
    extensions = [(x509.BasicConstraints(False, None), True), (x509.ExtendedKeyUsage([purpose]), False)]
    extensions.append((x509.SubjectAlternativeName([x509.DNSName(full)]), False))
    write(host, issue(full, key, 398, extensions, ca), key)
digest = hashes.Hash(hashes.SHA256())
digest.update(key.public_key().public_bytes(encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
open('pin', 'w').write(':'.join('%02X' % octet for octet in digest.finalize()) + '\\n')
END
`;
}
