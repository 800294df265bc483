// The modes of an MTA-STS policy (RFC 8461 section 3.2). They are apart from mta-sts.ts because the command line names
// them, and loads nothing that hashes.

export const mtaStsModes = ['testing', 'enforce'] as const;
export type MtaStsMode = (typeof mtaStsModes)[number];
