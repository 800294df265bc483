// The words for fingerprints that the command line and the settings share. It imports nothing, so that --help is quick;
// fingerprint.ts computes them.

export const pinKinds = ['public-key', 'certificate'] as const;
export type PinKind = (typeof pinKinds)[number];

export const digests = ['sha256', 'sha1', 'sha512', 'md5'] as const;
export type Digest = (typeof digests)[number];

export const fingerprintFormats = ['postfix', 'openssl', 'hex', 'json'] as const;
export type FingerprintFormat = (typeof fingerprintFormats)[number];
