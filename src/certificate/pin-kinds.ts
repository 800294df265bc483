// The words for fingerprints that the command line and the settings share. It imports nothing, to keep --help fast;
// fingerprint.ts computes them.

/** What a pin is a digest of. Postfix looks both up in the table (postconf(5) relay_clientcerts). */
export const pinKinds = ['public-key', 'certificate'] as const;
export type PinKind = (typeof pinKinds)[number];

/** The values of `fingerprint --digest`; the pins that relaycerts makes are SHA-256. */
export const digests = ['sha256', 'sha1', 'sha512', 'md5'] as const;
export type Digest = (typeof digests)[number];

/** The values of `fingerprint --format`. */
export const fingerprintFormats = ['postfix', 'openssl', 'hex', 'json'] as const;
export type FingerprintFormat = (typeof fingerprintFormats)[number];
