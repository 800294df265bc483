// The words for fingerprints that the command line and the settings share. It imports nothing, so that --help is quick;
// fingerprint.ts computes them.

/** What a pin is of. Postfix looks both up in the table (postconf(5) relay_clientcerts). */
export const pinKinds = ['public-key', 'certificate'] as const;
export type PinKind = (typeof pinKinds)[number];

/** What `fingerprint --digest` takes; pins that are made here are SHA-256. */
export const digests = ['sha256', 'sha1', 'sha512', 'md5'] as const;
export type Digest = (typeof digests)[number];

/** What `fingerprint --format` takes. */
export const fingerprintFormats = ['postfix', 'openssl', 'hex', 'json'] as const;
export type FingerprintFormat = (typeof fingerprintFormats)[number];
